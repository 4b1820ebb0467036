"""`samples/`: grids from fixed latents as training goes, real pictures beside them, and the growth of a run."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ganforge.images import enlarge, grid, save_picture
from ganforge.observers.base import Observer, Session, passed
from ganforge.sampling.generator import Generator
from ganforge.training.loop import StepReport

COLUMNS, ROWS, FEW = 8, 6, 8


def sampler(session: Session) -> Generator:
    """The run's generator as the commands draw from it."""
    state = session.state
    return Generator(state.sampler, session.config, state.images, state.ema is not None, state.device)


class Snapshots(Observer):
    """Writes a grid every so many ticks and at each phase's end; rows are classes where there are labels."""

    def __init__(self, session: Session, every_ticks: int = 10) -> None:
        self.session, self.every = session, session.tick * every_ticks
        self.folder = session.folder / "samples"
        classes = session.config.network.classes
        rows = min(classes, 16) or ROWS
        self.latents = sampler(session).latents(range(rows * COLUMNS))
        self.labels = torch.arange(rows).repeat_interleave(COLUMNS) if classes else None
        self.names = sampler(session).classes[:rows] if classes else None
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "reals.png").exists():
            self._write(self._reals(rows), self.folder / "reals.png")

    def __call__(self, report: StepReport) -> None:
        ended = report.images >= report.position.end
        if ended or passed(report, self.every):
            pictures = sampler(self.session).render(self.latents, self.labels)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(pictures, self.folder / f"grid-{report.images:012d}.png")
            if ended:
                self._growth(pictures, report)

    def _write(self, pictures: npt.NDArray[np.uint8], path: Path) -> None:
        save_picture(grid(pictures, columns=COLUMNS, row_labels=self.names), path)

    def _reals(self, rows: int) -> npt.NDArray[np.uint8]:
        dataset = self.session.dataset
        level, labels = dataset.level(self.session.config.network.resolution), dataset.labels
        if self.names and labels is not None:
            # A class without pictures gets a row of any others, so that rows and names agree.
            chosen = [np.flatnonzero(labels == label)[:COLUMNS] for label in range(rows)]
            indices = np.concatenate([np.resize(found if len(found) else [0], COLUMNS) for found in chosen])
        else:
            indices = np.linspace(0, dataset.count - 1, min(rows * COLUMNS, dataset.count)).astype(np.int64)
        return np.ascontiguousarray(level[indices].transpose(0, 2, 3, 1))

    def _growth(self, pictures: npt.NDArray[np.uint8], report: StepReport) -> None:
        """One row a finished phase, the same latents in each, at the run's largest size: the articles' galleries."""
        height, width = self.session.config.network.size(self.session.config.network.resolution)
        few = pictures[:: max(len(pictures) // FEW, 1)][:FEW]
        row = enlarge(few, height // few.shape[1])
        store = self.folder / "growth.npy"
        rows = np.load(store) if store.exists() else np.empty((0, *row.shape), np.uint8)
        index = report.position.index
        rows = np.concatenate([rows[:index], row[None]])
        np.save(store, rows)
        self._write_growth(rows.reshape(-1, height, width, row.shape[-1]))

    def _write_growth(self, pictures: npt.NDArray[np.uint8]) -> None:
        save_picture(grid(pictures, columns=FEW), self.folder / "growth.png")
