"""From a folder of pictures to a GIF, and a run that is stopped and goes on."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge import checkpoint
from ganforge.cli import session
from ganforge.data.demo import render_face
from ganforge.networks.pggan import PGGANDiscriminator
from ganforge.observers.jsonl import TIMES, read_lines
from ganforge.training.loop import StepReport, train
from ganforge.training.speed import Cost
from typed import typed

TINY = ["--set", "network.fmap_max=8", "--set", "network.latent=8", "--batch", "8"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 faces of 16x16 in two class folders."""
    folder = tmp_path_factory.mktemp("pictures") / "images"
    for index in range(24):
        picture, _ = render_face(0, index, 16)
        (folder / f"class{index % 2}").mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"class{index % 2}" / f"{index}.png")
    return folder


@pytest.fixture
def place(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that holds `images/`, and in which we are."""
    (tmp_path / "images").symlink_to(images)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_three_lines_its_first_user_types(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "prepare", "./images") == 0
    assert (
        typed(monkeypatch, "train", "--arch", "pggan", "--max-res", "256", "--kimg", "0.2", "--conditional", *TINY) == 0
    )
    assert typed(monkeypatch, "interpolate", "--out", "walk.gif") == 0
    run = place / "runs/0001-pggan-images"
    assert Path("walk.gif").stat().st_size > 1000
    record = json.loads((run / "run.json").read_text())
    assert record["config"]["network"]["classes"] == 2
    assert record["dataset"]["digest"]
    lines = read_lines(run / "log.jsonl")
    assert lines[-1]["images"] == 200
    assert {line["phase"] for line in lines} >= {"4x4 stable", "8x8 fading", "16x16 stable"}
    assert all(
        key in lines[-1] for key in ("alpha", "loss/d", "loss/g", "penalty/r1", "images_per_second", "memory_mb")
    )
    names = {path.name for path in (run / "samples").iterdir()}
    assert {"reals.png", "growth.png", "grid-000000000200.png"} <= names
    ends = [int(path.stem.split("-")[1]) for path in checkpoint.list_checkpoints(run)]
    assert ends[-1] == 200
    assert "16 is the largest size of datasets/images" in capsys.readouterr().err


@pytest.mark.parametrize("arch", ["sagan", "dcgan"])
def test_the_other_networks_train_sample_and_walk(arch: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "prepare", "./images")
    assert typed(monkeypatch, "train", "--arch", arch, "--kimg", "0.04", "--batch", "8") == 0
    assert typed(monkeypatch, "sample", "--out", "grid.png", "-n", "4", "--class", "class1") == 0
    assert typed(monkeypatch, "sample", "--out", "x.npz", "--seeds", "3,5-6") == 0
    assert typed(monkeypatch, "sample", "--attention", "--out", "looks.png", "-n", "2") == (0 if arch == "sagan" else 2)
    assert Path("looks.png").exists() == (arch == "sagan")
    assert typed(monkeypatch, "interpolate", "--out", "walk.gif", "--frames", "4", "--grid", "1x1") == 0
    assert Path("grid.png").exists()
    assert Path("x.npz").exists()


def test_plan_trains_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "prepare", "./images")
    assert typed(monkeypatch, "train", "--kimg", "0.1", "--plan", *TINY) == 0
    assert not Path("runs").exists()


def interrupting(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process a signal after a step, as Ctrl-C does."""

    def stopped(*arguments: Any) -> Iterator[StepReport]:
        for report in train(*arguments):
            if report.step == step:
                os.kill(os.getpid(), number)
            yield report

    monkeypatch.setattr(session, "train", stopped)


def test_memory_that_runs_out_at_a_growth_is_an_incident_and_no_end(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "prepare", "./images")
    planted = iter([True])
    forward = PGGANDiscriminator.forward

    def failing(self: PGGANDiscriminator, images: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        if images.shape[2] == 16 and next(planted, False):
            raise torch.OutOfMemoryError("planted")
        return forward(self, images, labels)

    monkeypatch.setattr(session, "plan_costs", lambda *_: [Cost(0.01, True)] * 3)
    monkeypatch.setattr(PGGANDiscriminator, "forward", failing)
    assert typed(monkeypatch, "train", "--kimg", "0.2", *TINY) == 0
    run = Path("runs/0001-pggan-images")
    (incident,) = read_lines(run / "incidents.jsonl")
    assert (incident["kind"], incident["micro_batch"], incident["resolution"]) == ("out of memory", 4, 16)
    assert final(run)["images"] == 200
    assert "out of memory at 16x16 fading" in capsys.readouterr().err


def final(run: Path) -> dict[str, Any]:
    return checkpoint.read(checkpoint.list_checkpoints(run)[-1])


def without_times(run: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key not in TIMES} for line in read_lines(run / "log.jsonl")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_in_a_fade_and_resumed_is_the_run_that_was_not(
    number: int, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "prepare", "./images")
    options = ["train", "--kimg", "0.2", "--max-res", "16", *TINY]
    assert typed(monkeypatch, *options) == 0
    with monkeypatch.context() as patch:
        interrupting(patch, 7, number)
        assert typed(monkeypatch, *options) == 128 + number
    shown = capsys.readouterr().err
    assert "ganforge resume runs/0002-pggan-images" in shown
    stopped = final(Path("runs/0002-pggan-images"))
    assert (stopped["images"], stopped["generator"]["stage_state"].tolist()[0]) == (56, 8)
    assert 0 < stopped["generator"]["stage_state"].tolist()[1] < 1
    assert typed(monkeypatch, "resume", "2") == 0
    assert "going on at 8x8 fading" in capsys.readouterr().err
    whole, resumed = final(Path("runs/0001-pggan-images")), final(Path("runs/0002-pggan-images"))
    for network in ("generator", "discriminator", "ema"):
        for name, tensor in whole[network].items():
            assert torch.equal(tensor, resumed[network][name]), name
    assert without_times(Path("runs/0001-pggan-images")) == without_times(Path("runs/0002-pggan-images"))


def test_a_run_can_be_lengthened_and_remembers_it(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "prepare", "./images")
    typed(monkeypatch, "train", "--kimg", "0.1", "--max-res", "8", *TINY)
    assert typed(monkeypatch, "resume", "--kimg", "0.2") == 0
    assert "going on at 8x8 stable, alpha 1.000" in capsys.readouterr().err
    run = Path("runs/0001-pggan-images")
    assert typed(monkeypatch, "resume", "--kimg", "0.1") == 2
    assert final(run)["images"] == 200
    assert json.loads((run / "run.json").read_text())["history"][0]["changes"] == {"kimg": 0.2}


def test_fine_tuning_begins_with_the_other_runs_weights(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "prepare", "./images")
    typed(monkeypatch, "train", "--kimg", "0.1", "--max-res", "8", *TINY)
    assert typed(monkeypatch, "train", "--from", "1", "--max-res", "16", "--kimg", "0.1", "--freeze-d", "1") == 0
    shown = capsys.readouterr().err
    assert "fine-tuning a pggan" in shown
    assert "tensors taken from" in shown
    assert next(line["resolution"] for line in read_lines(Path("runs/0002-pggan-images/log.jsonl"))) == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--data", "nowhere"], "nowhere"),
        (["train", "--max-res", "100"], "its sizes are 4, 8, 16"),
        (["train", "--arch", "stylegan"], "known: dcgan, pggan, sagan"),
        (["train", "--kimg", "0"], "kimg"),
        (["train", "--set", "objective.loss=hing"], "did you mean hinge"),
        (["train", "--batch", "4:x"], "resolution:batch"),
        (["train", "--device", "cuda:99"], "--device"),
        (["train", "--checkpoint-every", "often"], "10min or 5kimg"),
        (["train", "--preset", "pggan-smal"], "did you mean pggan-small"),
        (["train", "--no-such-option"], "No such option"),
        (["resume", "7"], "no such run"),
        (["sample", "nothing.pt"], "no such run"),
        (["prepare", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], said: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "prepare", "./images")
    capsys.readouterr()
    assert typed(monkeypatch, *words) == 2
    refusal = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ganforge: ")]
    assert len(refusal) == 1
    assert said in refusal[0]
    assert not Path("runs").exists()


def test_a_broken_run_folder_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("runs/0001-pggan-x")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{half")
    assert typed(monkeypatch, "resume") == 2
    assert typed(monkeypatch, "sample") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ganforge: ")]
    assert len(lines) == 2
    assert "run.json" in lines[0]
    assert "no whole checkpoint" in lines[1]
