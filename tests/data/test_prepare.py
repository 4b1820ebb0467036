"""Whole preparations, from a folder or an archive to a dataset that opens."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ganforge.data import prepare as prepare_module
from ganforge.data.dataset import Dataset
from ganforge.data.ledger import Listener
from ganforge.data.prepare import Request, prepare
from ganforge.data.workers import Died, Task
from ganforge.errors import DataError

SIDE = 32


class Heard(Listener):
    """Remembers all that was said."""

    def __init__(self):
        self.notes, self.warnings, self.stages = [], [], {}

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def progress(self, what, done, total):
        assert self.stages.get(what, (0, total))[0] <= done <= total
        self.stages[what] = done, total


def noise(seed, side=SIDE, channels=3):
    values = np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values)


def save(image, path, *arguments, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, *arguments, **options)


def made(source, out, listener=None, **options):
    return prepare(Request(str(source), out=out, **{"workers": 0, **options}), listener)


def left_out(path):
    with (path / "left-out.csv").open(newline="", errors="surrogateescape") as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


def bytes_of(path):
    return {file.name: file.read_bytes() for file in path.glob("*.npy")}


def total(facts):
    return facts["count"] + facts["holdout"] + sum(entry["count"] for entry in facts["left_out"].values())


def in_mode(image, mode):
    grey = np.asarray(image.convert("L"))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode in ("I", "F"):
        return Image.fromarray(grey.astype(np.int32) * 257 if mode == "I" else grey.astype(np.float32))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.buildTransform(*profiles, "RGB", "LAB").apply(image)
    return image.convert(mode)


# -- the torture folder ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torture(tmp_path_factory):
    """A folder of everything that can be wrong, and what is to become of each file (None: it is kept)."""
    folder = tmp_path_factory.mktemp("torture")
    image = noise(0, 64)
    fate: dict[str, str | None] = {}

    def put(name, content, reason=None):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
        fate[name] = reason

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        put(f"modes/{mode}.png", in_mode(image, mode).save)
    for mode in ("I", "F", "CMYK", "YCbCr", "LAB", "RGBX"):
        put(f"modes/{mode}.tif", in_mode(image, mode).save)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        put(f"exif/{orientation}.jpg", lambda path, exif=exif: image.save(path, exif=exif))
    for ending in ("gif", "webp", "bmp", "ppm", "tga", "jp2", "ico", "pcx"):
        put(f"formats/x.{ending}", image.save)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG")
    png = io.BytesIO()
    image.save(png, "PNG")
    put("names/jpeg named.png", jpeg.getvalue())
    put("names/png named.jpg", png.getvalue())
    put("names/no ending", png.getvalue())
    put("names/☃ \n line.png", png.getvalue())
    put(os.fsdecode(b"names/caf\xe9.png"), png.getvalue())
    put("damage/cut.jpg", jpeg.getvalue()[:1500], "truncated")
    put("damage/cut.png", png.getvalue()[:3000], "truncated")
    put("damage/header only.jpg", jpeg.getvalue()[:20], "not-a-picture")
    put("damage/zeros.jpg", bytes(3000), "not-a-picture")
    put("damage/empty.png", b"", "empty")
    put("damage/drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-a-picture")
    put("damage/text.png", b"no picture", "not-a-picture")
    put("damage/bomb.png", lambda path: Image.new("1", (5000, 5000)).save(path), "too-many-pixels")
    put("damage/tiny.png", lambda path: Image.new("RGB", (3, 3)).save(path), "too-small")
    put("damage/.DS_Store", b"x", "litter")
    put("damage/README.txt", b"words", "not-a-picture")
    os.mkfifo(folder / "damage" / "pipe.png")
    fate["damage/pipe.png"] = "not-a-file"
    (folder / "damage" / "broken link.png").symlink_to("nowhere")
    fate["damage/broken link.png"] = "unreadable"
    (folder / "loop").symlink_to(folder)
    return folder, fate


def test_the_torture_folder_comes_out_as_it_must(torture, tmp_path):
    folder, fate = torture
    heard = Heard()
    prepared = made(folder, tmp_path / "out", heard, max_res=SIDE, max_megapixels=20.0, labels="none")
    assert left_out(prepared.path) == {name: reason for name, reason in fate.items() if reason}
    facts = prepared.facts
    assert facts["count"] == sum(reason is None for reason in fate.values())
    assert facts["source"]["files"] == len(fate) == total(facts)
    assert facts["noticed"]["rotated"]["count"] == 7
    assert facts["noticed"]["misnamed"]["count"] == 2
    dataset = Dataset.open(prepared.path)
    assert list(dataset.verify())
    assert heard.stages["converting"][0] == heard.stages["converting"][1]
    with Image.open(prepared.path / "preview.png") as preview:
        assert preview.width > 10 * SIDE
        assert len(preview.convert("RGB").getcolors(1 << 24)) > 1000


def test_a_check_finds_the_same_and_writes_nothing(torture, tmp_path, monkeypatch):
    folder, fate = torture
    monkeypatch.chdir(tmp_path)
    prepared = prepare(Request(str(folder), max_res=SIDE, max_megapixels=20.0, labels="none", workers=0, check=True))
    assert prepared.path is None
    assert {name: entry["count"] for name, entry in prepared.facts["left_out"].items()} == {
        reason: list(fate.values()).count(reason) for reason in set(fate.values()) if reason
    }
    assert prepared.facts["noticed"]["duplicate"]["count"] >= 3  # the same PNG under four names
    assert prepared.groups
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_arrays_are_the_same_bytes_however_many_workers(torture, tmp_path, workers):
    options = {"max_res": SIDE, "max_megapixels": 20.0, "labels": "none", "dedupe": "near", "holdout": 0.25}
    alone = made(torture[0], tmp_path / "alone", **options)
    together = made(torture[0], tmp_path / "together", workers=workers, **options)
    for part in ("", "holdout"):
        assert bytes_of(alone.path / part) == bytes_of(together.path / part) != {}
    assert left_out(alone.path) == left_out(together.path)
    assert (alone.path / "duplicates.csv").read_bytes() == (together.path / "duplicates.csv").read_bytes()


def test_stop_refuses_at_the_first_problem_and_keeps_nothing(torture, tmp_path):
    with pytest.raises(DataError, match="--on-error skip leaves it out"):
        made(torture[0], tmp_path / "out", on_error="stop", labels="none")
    assert list(tmp_path.iterdir()) == []


def test_every_level_is_the_rounded_mean_of_the_one_above(tmp_path):
    for number in range(20):
        save(noise(number, 70), tmp_path / "in" / f"{number}.png")
    dataset = Dataset.open(made(tmp_path / "in", tmp_path / "out").path)
    assert dataset.resolutions == (4, 8, 16, 32, 64)
    for low, high in ((4, 8), (8, 16), (16, 32), (32, 64)):
        mean = dataset.level(high).reshape(20, 3, low, 2, low, 2).mean(axis=(3, 5))
        np.testing.assert_array_equal(dataset.level(low), np.rint(mean).astype(np.uint8))


# -- sizes, channels, labels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "base"), [((28, 28), (7, 7)), ((96, 96), (3, 3)), ((24, 16), (4, 6)), ((64, 64), (4, 4))]
)
def test_sizes_on_a_grid_are_kept_pixel_for_pixel(tmp_path, size, base):
    width, height = size
    pictures = [
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (height, width, 3), dtype=np.uint8)) for n in range(5)
    ]
    for number, picture in enumerate(pictures):
        save(picture, tmp_path / "in" / f"{number}.png")
    dataset = Dataset.open(made(tmp_path / "in", tmp_path / "out").path)
    assert dataset.base == base
    assert (dataset.path / f"images-{height}x{width}.npy").exists()
    for number, picture in enumerate(pictures):
        np.testing.assert_array_equal(dataset.level(dataset.resolution)[number].transpose(1, 2, 0), np.asarray(picture))


@pytest.mark.parametrize(
    ("modes", "channels", "wanted"),
    [
        (("L", "L"), "auto", 1),
        (("L", "1"), "auto", 1),
        (("L", "grey RGB"), "auto", 1),
        (("L", "grey LA"), "auto", 1),
        (("L", "RGB"), "auto", 3),
        (("L", "L"), "3", 3),
        (("RGB", "RGB"), "1", 1),
        (("L", "RGB"), "4", 4),
    ],
)
def test_channels_are_one_only_when_all_are_grey(tmp_path, modes, channels, wanted):
    for number, mode in enumerate(modes):
        image = noise(number) if mode == "RGB" else noise(number).convert("L").convert(mode.removeprefix("grey "))
        save(image, tmp_path / "in" / f"{number}.png")
    heard = Heard()
    dataset = Dataset.open(made(tmp_path / "in", tmp_path / "out", heard, channels=channels).path)
    assert dataset.channels == wanted
    assert any(note.startswith(f"channels: {wanted}") for note in heard.notes)
    assert list(dataset.verify())
    grey = np.asarray(noise(0).convert("L"))
    if wanted < 4 and modes[0] == "L":
        np.testing.assert_array_equal(dataset.level(SIDE)[0, 0], grey)


def test_an_archive_gives_the_same_arrays_as_its_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for number in range(12):
            save(noise(number), tmp_path / "p" / f"class{number % 3}" / f"{number}.png")
            archive.write(tmp_path / "p" / f"class{number % 3}" / f"{number}.png", f"class{number % 3}/{number}.png")
    folder, archived = made(tmp_path / "p", tmp_path / "a"), made(tmp_path / "p.zip", tmp_path / "b", workers=1)
    assert bytes_of(folder.path) == bytes_of(archived.path)
    assert Dataset.open(folder.path).digest == Dataset.open(archived.path).digest


def test_labels_stay_with_their_pictures_when_others_are_left_out(tmp_path):
    for number in range(40):
        save(Image.new("L", (8, 8), number), tmp_path / "in" / f"class{number % 2}" / f"{number:02}.png")
    for number in range(0, 40, 5):
        (tmp_path / "in" / f"class{number % 2}" / f"{number:02}.png").write_bytes(b"damaged")
    dataset = Dataset.open(made(tmp_path / "in", tmp_path / "out", holdout=0.3).path)
    for part in (dataset, dataset.holdout):
        np.testing.assert_array_equal(part.level(8)[:, 0, 0, 0] % 2, part.labels)
    assert dataset.count + dataset.holdout.count == 32
    assert np.bincount(dataset.holdout.labels).tolist() == [4, 4]


def test_a_holdout_of_nothing_is_said(tmp_path):
    save(noise(0), tmp_path / "in" / "0.png")
    heard = Heard()
    assert Dataset.open(made(tmp_path / "in", tmp_path / "out", heard, holdout=0.1).path).holdout is None
    assert any("nothing was held out" in warning for warning in heard.warnings)


# -- duplicates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dedupe", "kept"), [("none", 6), ("exact", 5), ("near", 3)])
def test_duplicates_are_left_out_as_asked_and_listed_in_any_case(tmp_path, dedupe, kept):
    smooth = [noise(n, 6).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for n in range(3)]
    for number, image in enumerate(smooth):
        save(image, tmp_path / "in" / f"{number}.png")
    save(smooth[0], tmp_path / "in" / "0-again.bmp")
    save(smooth[0], tmp_path / "in" / "0-lossy.jpg", quality=90)
    save(smooth[1], tmp_path / "in" / "1-lossy.jpg", quality=90)
    prepared = made(tmp_path / "in", tmp_path / "out", dedupe=dedupe)
    assert prepared.facts["count"] == kept
    assert total(prepared.facts) == 6
    first = "0-again.bmp"  # of the names, in order
    found = {name for names in prepared.groups.values() for name, _ in names}
    assert found == {"none": {"0.png"}, "exact": {"0.png"}, "near": {"0-lossy.jpg", "0.png", "1.png"}}[dedupe]
    assert first in prepared.groups
    assert (prepared.path / "duplicates.csv").read_text().startswith("picture,duplicate,differing_bits")
    if dedupe == "near":
        assert left_out(prepared.path)["0.png"] == "duplicate"
        assert left_out(prepared.path)["0-lossy.jpg"] == "near-duplicate"


def test_duplicates_under_two_labels_are_warned_about(tmp_path):
    for label in "ab":
        save(noise(0), tmp_path / "in" / label / "1.png")
    heard = Heard()
    made(tmp_path / "in", tmp_path / "out", heard, dedupe="exact")
    assert any("1 duplicates have another label" in warning for warning in heard.warnings)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fit": "croop"}, "did you mean crop"),
        ({"channels": "2"}, "unknown value of --channels"),
        ({"on_error": "ignore"}, "--on-error"),
        ({"dedupe": "all"}, "--dedupe"),
        ({"max_res": 100}, "96 or 112"),
        ({"aspect": "wide"}, "--aspect"),
        ({"background": "whit"}, "no colour"),
        ({"crop": (0, 0, 0, 9)}, "--crop"),
        ({"holdout": 1.0}, "--holdout 1 is not between"),
        ({"near_distance": 99}, "--near-distance"),
        ({"workers": -1}, "--workers"),
        ({"max_megapixels": 0.0}, "--max-megapixels"),
        ({"max_res": 1024, "min_side": 200}, "would have to be enlarged too much"),
        ({"only": ("cat",)}, "--only cat: the pictures have no labels"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(tmp_path, options, says):
    save(noise(0), tmp_path / "in" / "0.png")
    with pytest.raises(DataError, match=says) as refused:
        made(tmp_path / "in", tmp_path / "out", **options)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_nothing_to_take_is_refused_with_the_commonest_reason(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        made(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "a\nb.txt").write_text("words")
    with pytest.raises(DataError, match=r"none of the 1 files can be taken: not a picture .*a\\nb\.txt") as refused:
        made(tmp_path / "in", tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_an_existing_output_is_replaced_only_by_force(tmp_path):
    for number in range(3):
        save(noise(number), tmp_path / "in" / f"{number}.png")
    first = made(tmp_path / "in", tmp_path / "out")
    save(noise(3), tmp_path / "in" / "3.png")
    with pytest.raises(DataError, match="--force"):
        made(tmp_path / "in", tmp_path / "out")
    assert Dataset.open(first.path).count == 3
    assert Dataset.open(made(tmp_path / "in", tmp_path / "out", force=True).path).count == 4


@pytest.mark.parametrize("out", ["in", "."])
def test_the_pictures_are_never_written_over(tmp_path, out):
    save(noise(0), tmp_path / "in" / "0.png")
    with pytest.raises(DataError, match="holds the pictures themselves"):
        made(tmp_path / "in", tmp_path / out, force=True)
    assert (tmp_path / "in" / "0.png").exists()


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    save(noise(0), tmp_path / "in" / "0.png")
    usage = os.statvfs(tmp_path)
    monkeypatch.setattr(prepare_module, "SPARE", usage.f_frsize * usage.f_blocks)
    with pytest.raises(DataError, match="smaller --max-res"):
        made(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_default_output_is_below_datasets_and_passed_over_by_the_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(noise(0), tmp_path / "cats" / "0.png")
    assert prepare(Request("cats", workers=0)).path == Path("datasets/cats")
    heard = Heard()
    assert prepare(Request(".", workers=0), heard).facts["count"] == 1
    assert any("is a dataset that ganforge made" in note for note in heard.notes)


# -- accidents -------------------------------------------------------------------------------------------------------


def test_a_picture_that_ends_its_decoder_is_left_out(tmp_path, monkeypatch):
    for number in range(4):
        save(noise(number), tmp_path / "in" / f"{number}.png")

    class Deadly(prepare_module.Pool):
        def map(self, function, tasks, budget=0.0):
            for task in tasks:
                for item in task.items:
                    yield Task([item]), Died() if item.name == "2.png" else function([item])

    monkeypatch.setattr(prepare_module, "Pool", Deadly)
    prepared = made(tmp_path / "in", tmp_path / "out")
    assert left_out(prepared.path) == {"2.png": "decoder-died"}
    assert prepared.facts["count"] == 3


PROGRAM = """
import pathlib
import sys

from ganforge.data.prepare import Request, prepare

if __name__ == "__main__":
    prepare(Request(sys.argv[1], out=pathlib.Path(sys.argv[2]), workers=1, force=True))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A thousand pictures in a zip archive, and a program that prepares them."""
    folder = tmp_path_factory.mktemp("many")
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(1000):
            file = io.BytesIO()
            noise(number, 64).save(file, "PNG")
            archive.writestr(f"{number:04}.png", file.getvalue())
    (folder / "program.py").write_text(PROGRAM)
    return folder


def start(many, out):
    return subprocess.Popen([sys.executable, many / "program.py", many / "many.zip", out], stderr=subprocess.PIPE)


@pytest.mark.parametrize("after", [0.25, 0.6, 0.9])
def test_kill_leaves_the_old_one_or_none_and_the_next_run_cleans_up(many, tmp_path, after):
    program = start(many, tmp_path / "out")
    time.sleep(after)
    program.kill()
    program.communicate()
    if (tmp_path / "out").exists():
        assert Dataset.open(tmp_path / "out").count == 1000
    small = tmp_path / "small"
    save(noise(0), small / "0.png")
    made(small, tmp_path / "out", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small"]
    assert Dataset.open(tmp_path / "out").count == 1


def test_an_interrupt_ends_it_within_two_seconds_and_cleans_up(many, tmp_path):
    program = start(many, tmp_path / "out")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.partial-*/dataset/*.npy")):
        assert time.monotonic() < deadline
        assert program.poll() is None
        time.sleep(0.005)
    program.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = program.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert errors.count(b"Traceback") <= 1  # of the main process alone
    assert list(tmp_path.iterdir()) == []


def test_names_in_the_facts_are_valid_json_whatever_they_are(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff\xfe \n.png")
    (tmp_path / "in").mkdir()
    Path(path).write_bytes(b"words")
    save(noise(0), tmp_path / "in" / "0.png")
    prepared = made(tmp_path / "in", tmp_path / "out")
    facts = json.loads((prepared.path / "dataset.json").read_text())
    assert facts["left_out"]["not-a-picture"]["count"] == 1


def test_preparing_does_not_import_torch():
    code = "import sys; import ganforge.data.prepare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
