"""`ganforge interpolate` from a run folder to a file, as a user types it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from ganforge import checkpoint
from ganforge.cli import main
from ganforge.networks import build_generator
from toy import PGGAN, toy_config


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with one checkpoint of an untrained class-conditional network, below the working folder."""
    monkeypatch.chdir(tmp_path)
    network = PGGAN.model_copy(update={"classes": 2})
    torch.manual_seed(0)
    folder = Path("runs/0001-pggan-toy")
    (folder / "checkpoints").mkdir(parents=True)
    config = toy_config(network=network).model_dump(mode="json")
    (folder / "run.json").write_text("{}")
    content = {"config": config, "generator": build_generator(network).state_dict(), "images": 0, "ema": None}
    checkpoint.write(folder / "checkpoints" / "checkpoint-000000000000.pt", content)
    return folder


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["ganforge", "interpolate", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_first_line_anybody_types(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--out", "walk.gif", "--frames", "8") == 0
    shown = capsys.readouterr()
    assert shown.out == "walk.gif\n"
    for said in (str(run), "slerp loop through seeds 0-5", "4x3 pictures of 16x16", "8 frames", "one class each"):
        assert said in " ".join(shown.err.split())
    with Image.open("walk.gif") as image:
        assert image.n_frames == 8
        assert image.info["loop"] == 0


def test_every_option(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--out w.png --seeds 1,5 --frames 6 --fps 10 --curve lerp --no-loop --easing smooth --grid 2x1"
    more = "--class 1,0 --truncation 0.7 --max-mb 2 --batch 3 --device cpu --live"
    assert typed(monkeypatch, str(run), *words.split(), *more.split()) == 0
    with Image.open("w.png") as image:
        assert image.n_frames == 6
        assert image.info["duration"] == 100
    assert "lerp walk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--out walk.avi", ".gif, .mp4"),
        ("--curve spline", "known: lerp, noise, slerp"),
        ("--seeds 0", "at least two seeds"),
        ("--seeds x", "--seeds 'x'"),
        ("--grid 4", "as 4x3"),
        ("--class cat", "class 'cat'"),
        ("--frames 0", "--frames"),
        ("--max-mb 0.00001", "--max-mb"),
        ("nowhere", "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    assert typed(monkeypatch, "--frames", "4", *words.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    refusals = [line for line in shown.err.splitlines() if line.startswith("ganforge: ")]
    assert len(refusals) == 1
    assert says in refusals[0]
    assert "Traceback" not in shown.err
    assert not Path("walk.gif").exists()
