"""Options that say who else watches a run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganforge.observers import tensorboard
from typed import typed

TRAIN = ["train", "--arch", "dcgan", "--kimg", "0.04", "--batch", "8", "--set", "network.width_g=4"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a dataset of 24 grey pictures of 16x16, and in which we are."""
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for index in range(24):
        picture = random.integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "prepare", "./images") == 0
    return tmp_path


def test_tensorboard_is_written_and_the_command_that_opens_it_said(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN, "--tensorboard-histograms") == 0
    run = Path("runs/0001-dcgan-images")
    assert f"tensorboard --logdir {run}/tensorboard" in capsys.readouterr().err
    assert typed(monkeypatch, "resume", "--kimg", "0.08", "--tensorboard") == 0
    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0}).Reload()
    assert [event.step for event in events.Scalars("accuracy/real")] == list(range(8, 81, 8))
    assert [event.step for event in events.Images("samples")][-1] == 80
    assert any(tag.startswith("generator/") for tag in events.Tags()["histograms"])


def test_without_tensorboard_installed_nothing_is_begun(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    assert typed(monkeypatch, *TRAIN, "--tensorboard") == 2
    assert "pip install 'ganforge[tensorboard]'" in capsys.readouterr().err
    assert not Path("runs").exists()
