"""How different a network's pictures are from one another, against how different the real ones are.

They are compared in the features of a small network with random weights (as in Naeem et al. 2020, arXiv 2002.09797,
whose embedding is one for pictures far from ImageNet's). There one picture moved about, lighter and darker, is nearly
one picture, and noise, as a diverged generator draws, has nearly no diversity: in pixels both are different pictures.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.stream import to_tensor
from ganforge.observers.base import Session

SIDE = 32  # pixels of the shorter side, about: what pictures are compared at
WIDTHS = (16, 32, 64)  # channels of the features' levels, each of half the size
MANY = 40  # pictures a look, at least; without classes just as many
MOST_OF_A_CLASS, FEW_OF_A_CLASS = 8, 4
SHARE = 0.12  # of a tick's images is looked at, at most: drawing one costs about a tenth of training on one
SAME = 0.1  # two pictures nearer than this share of the reals' mean distance count as one
FELL, CLASS_FELL = 0.3, 0.1  # of the best so far, seen twice, or half of it once; four of a class are alike by chance
DIVERSE = 0.3  # of the reals' own: what less than this falls from is no height
TWINS, FEW_TWINS = 0.3, 0.03  # share of pairs of pictures that are nearly one picture
LATE, NEVER = 100_000, 0.1  # images after which a run that never became this diverse is told
ALL = "all"


@dataclass(frozen=True)
class Diversity:
    """Mean pairwise distance as a share of the real pictures' own, for all and by class; and the share of twins."""

    overall: float
    by_class: Mapping[int, float]
    twins: float

    def figures(self) -> dict[str, object]:
        """For an incident's evidence."""
        return {
            "overall": round(self.overall, 4),
            "by class": {str(label): round(share, 4) for label, share in self.by_class.items()},
            "twins": round(self.twins, 4),
        }


class Features:
    """Mean and deviation of each channel of three random convolutions: what a picture has, not where, nor its tint."""

    def __init__(self, channels: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weights = [
            (torch.randn(width, before, 3, 3, generator=generator) / (9 * before) ** 0.5).to(device)
            for before, width in zip((channels, *WIDTHS), WIDTHS, strict=False)
        ]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1] as rows (N, features)."""
        side = min(pictures.shape[2:])
        level = F.avg_pool2d(pictures.float().clamp(-1, 1), max(side // SIDE, 1))
        level = F.interpolate(level, scale_factor=float(max(SIDE // side, 1)))
        level = level - level.mean((2, 3), keepdim=True)
        rows = []
        for weight in self.weights:
            level = F.leaky_relu(F.conv2d(F.pad(level, (1, 1, 1, 1), mode="replicate"), weight), 0.2)
            level = F.avg_pool2d(level, 2)
            rows += [level.mean((2, 3)), level.std((2, 3), correction=0)]
        return torch.cat(rows, dim=1)


def distances(rows: Tensor) -> Tensor:
    """Root-mean-square differences of all pairs of rows (N, features)."""
    spread: Tensor = F.pdist(rows) / rows.shape[1] ** 0.5
    return spread


class Prober:
    """Measures the diversity of the same latents' pictures, time after time; many classes take turns."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.classes = session.config.network.classes
        self.few = max(min(MANY // self.classes, MOST_OF_A_CLASS), FEW_OF_A_CLASS) if self.classes else MANY
        budget = max(MANY, round(session.tick * SHARE))
        self.at_once = min(self.classes, max(budget // self.few, 1))
        self.features = Features(session.config.network.channels, session.state.device)
        self.reals: dict[tuple[int, int], Tensor] = {}

    def turn(self, number: int) -> list[int]:
        """The classes of look `number`: after `classes / at_once` looks all have been seen."""
        return [(number * self.at_once + index) % self.classes for index in range(self.at_once)]

    @torch.no_grad()
    def measure(self, resolution: int, number: int) -> Diversity:
        """The diversity of what the trained (not the averaged) generator draws now."""
        labels = self.turn(number)
        made = self._made(labels)
        real = torch.cat([self._real(resolution, label) for label in labels or [0]])
        whole = distances(real).mean().clamp(min=1e-6)
        apart = distances(made)
        pieces = zip(torch.split(made, self.few), torch.split(real, self.few), strict=True)
        shares = [distances(mine).mean() / distances(theirs).mean().clamp(min=1e-6) for mine, theirs in pieces]
        overall, twins, *rest = torch.stack(
            [apart.mean() / whole, (apart < SAME * whole).float().mean(), *shares]
        ).tolist()
        return Diversity(overall, dict(zip(labels, rest, strict=False)), twins)

    def _made(self, labels: list[int]) -> Tensor:
        """Pictures as rows, `few` of each class: the same latents for a class each time."""
        state, latent = self.session.state, self.session.config.network.latent
        rows = [
            torch.randn(self.few, latent, generator=torch.Generator().manual_seed(label)) for label in labels or [0]
        ]
        latents = torch.cat(rows).to(state.device)
        chosen = torch.tensor(labels, device=state.device).repeat_interleave(self.few) if labels else None
        state.generator.eval()
        try:
            pieces = [
                self.features(
                    state.generator(latents[at : at + MANY], None if chosen is None else chosen[at : at + MANY])
                )
                for at in range(0, len(latents), MANY)
            ]
        finally:
            state.generator.train()
        return torch.cat(pieces)

    def _real(self, resolution: int, label: int) -> Tensor:
        """As many real pictures of a class, as rows; of any class where it has not two."""
        if (resolution, label) not in self.reals:
            dataset = self.session.dataset
            indices = np.arange(dataset.count)
            if self.classes and dataset.labels is not None:
                mine = np.flatnonzero(dataset.labels == label)
                indices = mine if len(mine) > 1 else indices
            indices = indices[np.linspace(0, len(indices) - 1, self.few).astype(np.int64)]
            pictures = np.ascontiguousarray(dataset.level(resolution)[indices])
            self.reals[resolution, label] = self.features(to_tensor(pictures, self.session.state.device))
        return self.reals[resolution, label]


class Fall:
    """Remembers how diverse a run's pictures were, and tells when that falls. What it remembers is in `memory`."""

    def __init__(self, memory: dict[str, Any], names: tuple[str, ...] = ()) -> None:
        self.memory, self.names = memory, names

    def figures(self) -> dict[str, object]:
        """The best so far: overall, and by class."""
        return {name: round(series["best"], 4) for name, series in self.memory.items() if name != "twins"}

    def suspects(self) -> bool:
        """Whether anything was low when last looked at, told or not."""
        return any(series["low"] for name, series in self.memory.items() if name != "twins")

    def after(self, seen: Diversity, images: int) -> dict[str, str]:
        """Take in a measurement; what fell, in a sentence by name: `ALL`, else each class that did."""
        found = {str(label): self._fallen(str(label), share) for label, share in seen.by_class.items()}
        fell, twins = self._fallen(ALL, seen.overall), self._twins(seen.twins)
        whole = fell or twins or self._never(seen.overall, images)
        return {ALL: whole} if whole else {name: what for name, what in found.items() if what}

    def _never(self, share: float, images: int) -> str | None:
        if images < LATE or max(share, self.memory[ALL]["best"]) >= NEVER:
            return None
        return f"the pictures have never become diverse: {share:.0%} of the real ones' differences"

    def _fallen(self, name: str, share: float) -> str | None:
        series = self.memory.setdefault(name, {"past": [], "best": 0.0, "low": False})
        best, was_low = series["best"], series["low"]
        limit = (FELL if name == ALL else CLASS_FELL) * best
        series["low"] = best >= DIVERSE and share <= limit
        series["past"] = [*series["past"], share][-3:]
        if len(series["past"]) == 3:
            # More diverse than the real ones is no better: early pictures are often, and calm down.
            series["best"] = min(max(best, statistics.median(series["past"])), 1.0)
        if not series["low"] or not (was_low or share < limit / 2):
            return None
        return f"{self._whose(name)} have become alike: {share:.0%} of the real ones' differences, {best:.0%} before"

    def _whose(self, name: str) -> str:
        if name == ALL:
            return "the pictures"
        return f"class {self.names[int(name)] if int(name) < len(self.names) else name}: its pictures"

    def _twins(self, twins: float) -> str | None:
        past = self.memory.setdefault("twins", [])
        self.memory["twins"] = [*past, twins][-5:]
        if len(past) < 3 or twins < TWINS or statistics.median(past) > FEW_TWINS:
            return None
        return f"{twins:.0%} of the pairs of pictures are nearly one picture"
