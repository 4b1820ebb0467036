import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.cli import main


def folder(path: Path, seed: int, count: int = 24) -> Path:
    random = np.random.default_rng(seed)
    for index in range(count):
        place = path / "ab"[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture = random.integers(0, 120, (16, 16, 3), np.uint8) + 100 * (index % 2)
        Image.fromarray(picture.astype(np.uint8)).save(place / f"{index}.png")
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


def size_of(file: Path) -> tuple[int, int]:
    """Of a picture file: width and height."""
    with Image.open(file) as picture:
        return picture.size


def ganforge(*arguments: str) -> int:
    """The exit code of the command line with these arguments."""
    before, sys.argv = sys.argv, ["ganforge", *arguments]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a refusal."""
    assert ganforge(*arguments) == 2
    [line] = [text for text in capsys.readouterr().err.splitlines() if text.startswith("ganforge: ")]
    return line


def test_two_folders_are_scored_with_the_packaged_extractor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    assert ganforge("evaluate", "made", "--data", "real", "--json", "out/scores.json") == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"fid[efficientnet-lite0]", "kid[efficientnet-lite0]", "coverage[efficientnet-lite0]", "swd"} <= set(content)
    for key, found in content.items():
        assert key in printed
        assert found["protocol"]["generated_count"] == 24
    assert "57934424" in printed
    assert "12 real pictures against 12 others" in printed


def test_chosen_metrics_alone_are_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    assert ganforge("evaluate", "made", "--data", "real", "--metrics", "swd", "--n", "10", "--no-reference") == 0
    printed = capsys.readouterr().out
    assert "swd/16" in printed
    assert "fid" not in printed
    assert "generated: 10 of made" in printed


def test_audit_leaves_a_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    assert ganforge("evaluate", "made", "--data", "real", "--metrics", "memorisation", "--gallery", "pairs.png") == 0
    assert "nearest pairs in pairs.png" in capsys.readouterr().out
    assert size_of(tmp_path / "pairs.png")[0] > 100


def test_offline_without_weights_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    line = refused(capsys, "evaluate", "made", "--data", "real", "--extractor", "inception")
    assert "weights-inception-2015-12-05-6726825d.pth" in line
    assert "--weights" in line


def test_damaged_weights_are_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    (tmp_path / "w.pth").write_bytes(b"damaged")
    line = refused(capsys, "evaluate", "made", "--data", "real", "--weights", "w.pth")
    assert line.startswith("ganforge: w.pth: not the FID Inception weights, or damaged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "fidd"), "did you mean fid"),
        (("--extractor", "vgg"), "unknown extractor 'vgg'"),
        (("--weights", "w.pth", "--extractor", "classifier"), "only the extractor inception takes them"),
        (("--device", "cuda:9"), "CUDA devices"),
        (("--split", "holdout"), "has no splits"),
        (("--repeats", "20"), "at least 2 are needed"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    folder(tmp_path / "made", 0), folder(tmp_path / "real", 1)
    assert message in refused(capsys, "evaluate", "made", "--data", "real", *arguments)


def test_missing_reals_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "made", 0)
    assert "no dataset below datasets/" in refused(capsys, "evaluate", "made")
    assert "nowhere" in refused(capsys, "evaluate", "made", "--data", "nowhere")


def test_run_is_scored_with_a_line_and_every_checkpoint_with_a_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path / "images", 1, 64)
    assert ganforge("prepare", "images", "--workers", "1") == 0
    options = ("--arch", "dcgan", "--kimg", "0.128", "--checkpoint-every", "0.064kimg")
    widths = ("--set", "network.width_g=4", "--set", "network.width_d=4", "--batch", "16")
    assert ganforge("train", *options, *widths) == 0
    [run] = (tmp_path / "runs").iterdir()
    assert ganforge("evaluate", "--metrics", "swd,ms-ssim", "--n", "20") == 0
    [line] = [json.loads(text) for text in (run / "scores.jsonl").read_text().splitlines()]
    assert line["images"] == 128
    assert line["scores"]["swd"]["protocol"]["generated_facts"]["seeds"] == "0-19"
    assert ganforge("evaluate", "--metrics", "swd", "--n", "20", "--all-checkpoints", "--json", "all.json") == 0
    content = json.loads((tmp_path / "all.json").read_text())
    images = [entry["images"] for entry in content["checkpoints"]]
    assert len(images) >= 2
    assert images == sorted(images)
    assert content["swd"] == content["checkpoints"][-1]["swd"]
    assert size_of(run / "scores.png") == (840, 240)


def test_compare_sets_like_scores_side_by_side_and_refuses_unlike_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path / "a", 0), folder(tmp_path / "b", 1), folder(tmp_path / "real", 2)
    for name, count in (("a", "24"), ("b", "24"), ("fewer", "20")):
        source = "a" if name == "fewer" else name
        arguments = ("--metrics", "swd,ms-ssim", "--n", count, "--json", f"{name}.json")
        assert ganforge("evaluate", source, "--data", "real", *arguments) == 0
    capsys.readouterr()
    assert ganforge("compare", "a.json", "b.json", "--json", "table.json") == 0
    printed, table = capsys.readouterr().out, json.loads((tmp_path / "table.json").read_text())
    assert "best" in printed
    assert "24 generated against 24 of real" in printed
    assert table["compared"] == ["a.json", "b.json"]
    assert table["swd"] == [json.loads((tmp_path / f"{name}.json").read_text())["swd"]["value"] for name in "ab"]
    assert "generated_count: 24 and 20" in refused(capsys, "compare", "a.json", "fewer.json")
    assert "name two or more" in refused(capsys, "compare", "a.json")
