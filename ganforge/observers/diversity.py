"""How different a network's pictures are from one another, against how different the real ones are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.stream import to_tensor
from ganforge.observers.base import Session

SIDE = 16  # pixels: what pictures are compared at, so that noise in fine detail is no diversity
MANY, FEW, CLASSES = 64, 8, 8  # pictures without classes; a class; classes watched
SAME = 0.1  # two pictures nearer than this share of the reals' mean distance count as one


@dataclass(frozen=True)
class Diversity:
    """Mean pairwise distance as a share of the real pictures' own, for all and by class; and the share of twins."""

    overall: float
    by_class: tuple[float, ...]
    twins: float

    def figures(self) -> dict[str, object]:
        return {
            "overall": round(self.overall, 4),
            "by class": [round(share, 4) for share in self.by_class],
            "twins": round(self.twins, 4),
        }


def distances(pictures: Tensor) -> Tensor:
    """Root-mean-square differences of all pairs of pictures (N, C, H, W) in [-1, 1], at most `SIDE` pixels a side."""
    factor = max(min(pictures.shape[2:]) // SIDE, 1)
    small = F.avg_pool2d(pictures, factor).flatten(1)
    spread: Tensor = F.pdist(small) / small.shape[1] ** 0.5
    return spread


class Prober:
    """Measures the diversity of the same latents' pictures, time after time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        network = session.config.network
        self.classes = min(network.classes, CLASSES)
        self.labels = torch.arange(self.classes).repeat_interleave(FEW) if self.classes else None
        count = self.classes * FEW or MANY
        generator = torch.Generator().manual_seed(0)
        self.latents = torch.randn(count, network.latent, generator=generator)
        self.reals: dict[int, tuple[float, tuple[float, ...]]] = {}

    @torch.no_grad()
    def measure(self, resolution: int) -> Diversity:
        """The diversity of what the trained (not the averaged) generator draws now."""
        state = self.session.state
        state.generator.eval()
        try:
            labels = None if self.labels is None else self.labels.to(state.device)
            pictures = state.generator(self.latents.to(state.device), labels).float().clamp(-1, 1).cpu()
        finally:
            state.generator.train()
        if resolution not in self.reals:
            self.reals[resolution] = self._of(self._real(resolution))
        whole, classes = self.reals[resolution]
        overall, by_class = self._of(pictures)
        twins = float((distances(pictures) < SAME * whole).float().mean())
        shares = tuple(mine / theirs for mine, theirs in zip(by_class, classes, strict=True))
        return Diversity(overall / whole, shares, twins)

    def _of(self, pictures: Tensor) -> tuple[float, tuple[float, ...]]:
        classes = [pictures[first : first + FEW] for first in range(0, self.classes * FEW, FEW)]
        mean = [max(float(distances(group).mean()), 1e-6) for group in (pictures, *classes)]
        return mean[0], tuple(mean[1:])

    def _real(self, resolution: int) -> Tensor:
        dataset, labels = self.session.dataset, self.session.dataset.labels
        if self.classes and labels is not None:
            chosen = [np.flatnonzero(labels == label) for label in range(self.classes)]
            indices = np.concatenate([_spread(found if len(found) > 1 else np.arange(len(labels))) for found in chosen])
        else:
            indices = np.linspace(0, dataset.count - 1, MANY).astype(np.int64)
        return to_tensor(np.ascontiguousarray(dataset.level(resolution)[indices]), "cpu")


def _spread(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return indices[np.linspace(0, len(indices) - 1, FEW).astype(np.int64)]
