"""The event file, read back by TensorBoard's own reader."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganforge.errors import ConfigError
from ganforge.observers import tensorboard
from ganforge.observers.base import Observer, Session, observe
from ganforge.observers.tensorboard import TensorBoard, opening
from ganforge.training.loop import StepReport, train
from ganforge.training.state import TrainState
from toy import Toy, toy_config, toy_schedule


class Grids(Observer):
    """Writes a picture where `Snapshots` would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, report: StepReport) -> None:
        if report.images % 32 == 0:
            picture = np.full((6, 9, 3), report.images, np.uint8)
            Image.fromarray(picture).save(self.folder / f"grid-{report.images:012d}.png")


def session(folder: Path) -> Session:
    config = toy_config()
    state = TrainState.create(config, torch.device("cpu"))
    return Session(folder, config, state, toy_schedule(config), None)  # type: ignore[arg-type]


def watched(run: Session, **options: Any) -> Iterator[StepReport]:
    observers = [Grids(run.folder / "samples"), TensorBoard(run, **options)]
    return observe(train(run.state, Toy(), run.schedule), observers)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0, "images": 0, "histograms": 0})
    return events.Reload()


def test_figures_and_grids_are_read_back_at_the_images_shown(tmp_path: Path) -> None:
    run = session(tmp_path)
    alphas, losses = {}, {}
    for report in watched(run):
        alphas[report.images] = report.position.alpha
        losses[report.images] = float(run.state.figures["loss/d"])
    events = read(tmp_path)
    assert set(events.Tags()["scalars"]) >= {
        *("loss/d", "loss/g", "accuracy/real", "accuracy/fake", "penalty/gradient", "penalty/drift"),
        *("schedule/alpha", "schedule/resolution", "rate/g", "rate/d"),
    }
    read_losses = {event.step: event.value for event in events.Scalars("loss/d")}
    assert read_losses == pytest.approx(losses)
    assert {event.step: event.value for event in events.Scalars("schedule/alpha")} == pytest.approx(alphas)
    assert [event.value for event in events.Scalars("rate/d")] == pytest.approx([1e-3] * len(losses))
    pictures = events.Images("samples")
    assert [(event.step, event.height, event.width) for event in pictures] == [
        (32, 6, 9),
        (64, 6, 9),
        (96, 6, 9),
        (128, 6, 9),
        (160, 6, 9),
    ]
    assert events.Tags()["histograms"] == []


def test_histograms_are_of_the_weights_of_both_networks(tmp_path: Path) -> None:
    run = session(tmp_path)
    list(watched(run, histograms=True))
    events = read(tmp_path)
    names = {f"generator/{name}" for name, _ in run.state.generator.named_parameters()}
    names |= {f"discriminator/{name}" for name, _ in run.state.discriminator.named_parameters()}
    assert set(events.Tags()["histograms"]) == names
    last = events.Histograms(min(names))[-1]
    assert last.step == 160
    network, _, name = min(names).partition("/")
    weights = dict(getattr(run.state, network).named_parameters())[name]
    assert last.histogram_value.num == weights.numel()


def test_a_resumed_run_purges_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    stopped = session(tmp_path)
    reports = watched(stopped)
    while next(reports).images < 80:
        if stopped.state.images == 64:
            kept = {name: value.clone() for name, value in stopped.state.figures.items()}
    reports.close()  # type: ignore[attr-defined]
    again = session(tmp_path)
    again.state.images, again.state.step, again.state.figures = 64, 8, kept
    list(watched(again))
    steps = [event.step for event in read(tmp_path).Scalars("loss/g")]
    assert steps == list(range(8, 161, 8))


def test_missing_tensorboard_is_one_line_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"^--tensorboard: .*pip install 'ganforge\[tensorboard\]'$"):
        TensorBoard(session(tmp_path))


def test_the_command_that_opens_it_names_the_folder() -> None:
    assert opening(Path("runs/0001-x")) == "tensorboard --logdir runs/0001-x/tensorboard"
