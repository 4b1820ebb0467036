"""`tensorboard/`: the figures, grids and, where asked for, weights of a run as TensorBoard shows them."""

import math
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from PIL import Image

from ganforge.errors import ConfigError
from ganforge.observers.base import Observer, Session, passed
from ganforge.training.loop import StepReport, figures


def require_tensorboard() -> None:
    """Raises ConfigError, one line, where TensorBoard is not installed: before anything is trained."""
    if find_spec("tensorboard") is None:
        raise ConfigError("--tensorboard: TensorBoard is not installed; pip install 'ganforge[tensorboard]'")


def opening(run: Path) -> str:
    """The one command that shows a run."""
    return f"tensorboard --logdir {run / 'tensorboard'}"


class TensorBoard(Observer):
    """Writes smoothed losses, accuracies, scores, penalties, alpha, resolution and rates a tick; the clock is images.

    The grids that `Snapshots` writes are shown as they are; `histograms` adds the weights of both networks with each.
    What a resumed run had written after its checkpoint is purged.
    """

    def __init__(self, session: Session, *, histograms: bool = False) -> None:
        require_tensorboard()
        self.session, self.histograms = session, histograms
        self.samples = session.folder / "samples"

    def __enter__(self) -> Self:
        from torch.utils.tensorboard import SummaryWriter

        images = self.session.state.images
        purge = images + 1 if images else None
        self.writer = SummaryWriter(str(self.session.folder / "tensorboard"), purge_step=purge)
        self._picture("reals", self.samples / "reals.png", images)
        return self

    def __call__(self, report: StepReport) -> None:
        if passed(report, self.session.tick) or report.images >= self.session.schedule.images:
            self._scalars(report)
        grid = self.samples / f"grid-{report.images:012d}.png"
        if grid.exists():
            self._picture("samples", grid, report.images)
            if self.histograms:
                self._weights(report.images)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def _scalars(self, report: StepReport) -> None:
        state, position = self.session.state, report.position
        values = {
            **figures(state.figures),
            "schedule/alpha": position.alpha,
            "schedule/resolution": position.phase.resolution,
            "rate/g": state.optimizer_g.param_groups[0]["lr"],
            "rate/d": state.optimizer_d.param_groups[0]["lr"],
        }
        if state.config.augment.policy:
            values["augment/p"] = float(state.augment_p)
        for name, value in values.items():
            if math.isfinite(value):
                self.writer.add_scalar(name, value, report.images)

    def _picture(self, name: str, path: Path, images: int) -> None:
        if path.exists():
            with Image.open(path) as picture:
                self.writer.add_image(name, np.asarray(picture.convert("RGB")), images, dataformats="HWC")

    def _weights(self, images: int) -> None:
        for role, network in (
            ("generator", self.session.state.generator),
            ("discriminator", self.session.state.discriminator),
        ):
            for name, weights in network.named_parameters():
                if bool(torch.isfinite(weights).all()):  # there is no histogram of a NaN
                    self.writer.add_histogram(f"{role}/{name}", weights.detach().float().cpu(), images)
