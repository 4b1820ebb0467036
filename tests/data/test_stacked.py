"""Stacked sets: three grey pictures to one, a thousand classes of ten."""

import json
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ganforge.data import prepare as prepare_module
from ganforge.data import stacked
from ganforge.data.dataset import Dataset
from ganforge.data.prepare import Request, prepare
from ganforge.data.pyramid import pyramid
from ganforge.errors import DataError
from ganforge.evaluation.classifier import stacked as judged_alone
from ganforge.evaluation.inputs import open_pictures

SIDE = 16


def shade(label, number):
    """The grey value of a flat picture that says which class it is of, and which picture."""
    return 20 * label + number


def grey_set(folder, classes, each=6, mode="L"):
    for label in range(classes):
        for number in range(each):
            path = folder / f"class {label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("L", (SIDE, SIDE), shade(label, number))
            picture.putpixel((label, number), 255)
            picture.convert(mode).save(path)
    return folder


def made(source, out, **options):
    return prepare(Request(str(source), out=out, **{"workers": 0, "stack": 3, "count": 500, **options}))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return grey_set(tmp_path_factory.mktemp("grey") / "digits", 10)


@pytest.fixture(scope="module")
def stacks(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("stacked") / "set"
    made(digits, out)
    return Dataset.open(out)


def test_a_stack_is_three_grey_pictures_and_its_label_says_which_classes(stacks):
    assert (stacks.count, stacks.channels, stacks.resolutions) == (500, 3, (4, 8, 16))
    assert stacks.classes[:2] == ("000", "001")
    assert (stacks.classes[731], stacks.classes[-1]) == ("731", "999")
    for picture, label in zip(stacks.level(16), stacks.labels, strict=True):
        digits = [int(channel[-1, -1]) // 20 for channel in picture]
        assert label == 100 * digits[0] + 10 * digits[1] + digits[2]
        assert stacks.classes[label] == "".join(map(str, digits))


def test_every_level_is_what_halving_the_stacks_gives(stacks):
    levels = pyramid(np.asarray(stacks.level(16)), 3)
    for level, resolution in zip(levels, (4, 8, 16), strict=True):
        assert np.array_equal(level, stacks.level(resolution))
    assert list(stacks.verify())


def test_channels_are_drawn_apart_and_evenly():
    drawn = stacked.draw(10, 30_000, 0)
    assert np.array_equal(drawn, np.random.default_rng([0, 3]).integers(0, 10, (30_000, 3)))
    counts = np.bincount(stacked.stack_labels(drawn, 10), minlength=1000)
    assert 5 < counts.min() < 30 < counts.max() < 60  # Poisson of 30
    assert not np.array_equal(drawn, stacked.draw(10, 30_000, 1))
    assert not np.array_equal(drawn, stacked.draw(10, 30_000, 0, "holdout"))


def test_the_same_seed_makes_the_same_stacks(digits, stacks, tmp_path):
    made(digits, tmp_path / "again")
    made(digits, tmp_path / "other", seed=1)
    assert Dataset.open(tmp_path / "again").digest == stacks.digest
    assert Dataset.open(tmp_path / "other").digest != stacks.digest


def test_the_facts_say_how_it_was_made(stacks):
    facts = json.loads((stacks.path / "dataset.json").read_text())
    classes = [f"class {label}" for label in range(10)]
    assert facts["stack"] == {"channels": 3, "pictures": 60, "seed": 0, "part": "training", "classes": classes}
    assert (facts["count"], facts["name"], facts["source"]["files"]) == (500, "set", 60)
    assert len(facts["class_counts"]) == 1000
    assert sum(facts["class_counts"]) == 500
    assert any(text.startswith("stacks: 500 of 60 pictures; 1000 classes") for text in facts["chosen"])
    assert len(facts["warnings"]) == 1  # of the grey classes, which have 6 pictures each; none of the thousand
    assert (stacks.path / "left-out.csv").exists()
    with Image.open(stacks.path / "preview.png") as preview:
        assert preview.mode == "RGB"
    assert [path.name for path in stacks.path.parent.iterdir()] == ["set"]


def test_the_classifier_of_modes_knows_it_as_stacked(stacks, tmp_path):
    assert judged_alone(open_pictures(str(stacks.path), None)) == 3
    made(grey_set(tmp_path / "four", 4), tmp_path / "out", count=100)
    four = Dataset.open(tmp_path / "out")
    assert (len(four.classes), four.classes[-1]) == (64, "333")
    assert judged_alone(open_pictures(str(four.path), None)) == 3


def test_held_out_stacks_are_made_of_held_out_pictures(digits, tmp_path):
    made(digits, tmp_path / "out", holdout=0.34)
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.holdout is not None
    assert (dataset.count, dataset.holdout.count) == (330, 170)
    assert dataset.holdout.classes == dataset.classes
    shown = [{int(v) for v in part.level(16)[:, :, -1, -1].flat} for part in (dataset, dataset.holdout)]
    assert (len(shown[0]), len(shown[1])) == (40, 20)
    assert not shown[0] & shown[1]
    assert dataset.facts["holdout"] == 20  # source pictures


def test_a_holdout_that_came_out_empty_leaves_all_stacks_to_training(digits, tmp_path):
    facts = made(digits, tmp_path / "out", holdout=0.1).facts
    assert (facts["count"], facts["holdout"]) == (500, 0)
    assert Dataset.open(tmp_path / "out").holdout is None


def test_colour_pictures_become_grey_and_damaged_ones_stay_listed(tmp_path):
    source = grey_set(tmp_path / "colour", 2, mode="RGB")
    (source / "class 0" / "bad.png").write_text("words")
    facts = made(source, tmp_path / "out", count=20).facts
    assert (facts["channels"], facts["stack"]["pictures"], facts["left_out"]["not-a-picture"]["count"]) == (3, 12, 1)
    assert "bad.png" in (tmp_path / "out" / "left-out.csv").read_text()


@pytest.mark.parametrize(
    ("classes", "options", "said"),
    [
        (3, {"stack": 2}, "--stack 2 is neither 1 nor 3"),
        (3, {"channels": "3"}, "leave --channels 3 out"),
        (3, {"labels": "none"}, "have no labels"),
        (11, {}, "2 to 10 classes, one a digit, not 11"),
        (3, {"only": ("class 1",)}, "2 to 10 classes, one a digit, not 1"),
        (3, {"check": True, "labels": "none"}, "have no labels"),
    ],
)
def test_what_cannot_be_stacked_is_refused(tmp_path, classes, options, said):
    source = grey_set(tmp_path / "set", classes, 2)
    with pytest.raises(DataError, match=said) as refused:
        made(source, tmp_path / "out", **options)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_eleven_classes_are_stacked_when_ten_are_chosen(tmp_path):
    source = grey_set(tmp_path / "set", 11, 1)
    facts = made(source, tmp_path / "out", only=tuple(f"class {label}" for label in range(1, 11))).facts
    assert len(facts["classes"]) == 1000


def test_count_is_128_000_of_stacks_and_5_000_of_the_built_in_set():
    assert Request("x", stack=3).stacks == (128_000, 0)
    assert Request("x", stack=3, holdout=0.1).stacks == (115_200, 12_800)
    assert (Request("demo").demo_count, Request("demo", count=7).demo_count) == (5000, 7)
    assert Request("demo", stack=3, count=7).demo_count == 5000
    assert Request("x", stack=3, count=1, holdout=0.9).stacks == (1, 0)


def test_a_disk_that_is_too_small_for_the_stacks_is_refused_at_once(digits, tmp_path, monkeypatch):
    stacks = 1000 * 3 * (16 * 16 + 8 * 8 + 4 * 4)
    free = shutil.disk_usage(tmp_path)._replace(free=prepare_module.SPARE + stacks)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(DataError, match="1000 pictures of up to 16x16 need"):
        made(digits, tmp_path / "out", count=1000)
    assert list(tmp_path.iterdir()) == []
    made(digits, tmp_path / "out", count=900)


def test_stacks_are_written_without_holding_them(digits, tmp_path):
    tracemalloc.start()
    made(digits, tmp_path / "out", count=40_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = (tmp_path / "out" / "images-16x16.npy").stat().st_size
    assert whole > 30e6
    assert peak < whole / 2
