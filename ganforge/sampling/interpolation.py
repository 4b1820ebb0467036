"""What a latent walk shows: the frames, one picture or a sheet of several walks each, drawn as they are needed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.images import Pictures, grid
from ganforge.sampling.generator import Generator
from ganforge.sampling.walk import class_walk, walk

_SHOWN_WIDTH: Final = 400
_SMALL: Final = 128
_GAP: Final = 2


@dataclass(frozen=True)
class Walk:
    """One walk, or several side by side.

    `seeds`: the keys of the first walk; each other one goes on with the next numbers (see `cell_seeds`).
    `classes`: indices to pass while walking; without any, walk k of a conditional generator stays in class k.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    frames: int = 120
    curve: str = "slerp"
    loop: bool = True
    easing: str = "even"
    columns: int = 1
    rows: int = 1
    classes: tuple[int, ...] = ()
    truncation: float | None = None

    @property
    def cells(self) -> int:
        """How many walks are shown at once."""
        return self.columns * self.rows

    def cell_seeds(self, cell: int) -> list[int]:
        """The keys of one walk: seeds 0-5 are followed by 6-11, so that no picture is shown twice."""
        span = max(self.seeds) - min(self.seeds) + 1
        return [seed + cell * span for seed in self.seeds]


def parse_grid(text: str) -> tuple[int, int]:
    """Columns and rows from `4x3`. Raises ConfigError for anything else."""
    match = re.fullmatch(r"\s*([1-9]\d?)\s*x\s*([1-9]\d?)\s*", text)
    if match is None:
        raise ConfigError(f"--grid {text!r}: write columns x rows, each from 1 to 99, as 4x3")
    return int(match[1]), int(match[2])


def default_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows for pictures of (H, W) when nobody says: small ones are more fun in company."""
    return (1, 1) if min(size) >= _SMALL else (4, 3)


def walk_frames(generator: Generator, plan: Walk, batch: int = 64) -> Iterator[Pictures]:
    """The frames of a walk, uint8 (H, W, C) each, drawn about `batch` pictures at a time.

    Pictures are enlarged by a whole factor while the sheet stays within 400 pixels of width; transparency is kept.

    Raises:
        ConfigError: as `walk` and `class_walk`; at the first frame.
    """
    latents, labels = _way(generator, plan)
    together = max(1, batch // plan.cells)
    for start in range(0, plan.frames, together):
        shown = slice(start, start + together)
        pictures = generator.render(
            latents[shown].flatten(0, 1), None if labels is None else labels[shown].flatten(0, 1), batch
        )
        scale = max(1, _SHOWN_WIDTH // (plan.columns * pictures.shape[2]))
        for place in range(0, len(pictures), plan.cells):
            yield _sheet(pictures[place : place + plan.cells], plan.columns, scale)


def _way(generator: Generator, plan: Walk) -> tuple[Tensor, Tensor | None]:
    """Latents (frames, cells, latent) and class weights (frames, cells, classes), None without classes."""
    if plan.truncation is not None and plan.curve == "noise":
        raise ConfigError("--truncation: a noise walk is not made of its seeds' latents; use --curve slerp")
    ways = []
    for cell in range(plan.cells):
        keys = generator.latents(plan.cell_seeds(cell), plan.truncation)
        ways.append(walk(keys, plan.frames, plan.curve, plan.loop, plan.easing))
    total = len(generator.classes)
    if not total:
        return torch.stack(ways, dim=1), None
    passed: Sequence[Sequence[int]] = [plan.classes or (cell % total,) for cell in range(plan.cells)]
    weights = [class_walk(classes, plan.frames, plan.loop, total=total, easing=plan.easing) for classes in passed]
    return torch.stack(ways, dim=1), torch.stack(weights, dim=1)


def _sheet(pictures: Pictures, columns: int, scale: int) -> Pictures:
    sheet = np.asarray(grid(pictures, columns=columns, gap=_GAP, scale=scale, checkerboard=False))
    return sheet if sheet.ndim == 3 else sheet[:, :, None]
