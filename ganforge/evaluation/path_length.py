"""Perceptual path length: how far a small step between two latents moves the picture, as an extractor sees it.

Karras et al. 2019, "A Style-Based Generator Architecture for GANs", section 4.1, with two differences that its key
says: the distance is that of an extractor's features, each of length 1, where the paper has LPIPS on VGG16 (whose
weights no package ships), and the generator draws in float, not rounded to 256 values, so that small steps are seen.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ganforge.evaluation.extractors import Extractor

EPSILON = 1e-2
BATCH = 32
# The paper leaves out the lowest and highest hundredth.
TRIM = 0.01


class DifferentiableRenderer(Protocol):
    """What a generator must offer here."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def latents(self, seeds: list[int]) -> Tensor: ...


@torch.no_grad()
def path_lengths(
    generator: DifferentiableRenderer,
    extractor: Extractor,
    count: int,
    device: torch.device,
    *,
    seed: int = 0,
    advance: Callable[[int], None] = lambda pictures: None,
) -> NDArray[np.float64]:
    """Squared feature distance over the square of the step, at `count` random places of random paths; trimmed.

    Latents are near a sphere, so the path is the great circle between two of them, at the first one's length.
    """
    random = np.random.default_rng((seed, 11))
    values = []
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        first = generator.latents([2 * index for index in range(start, stop)])
        second = generator.latents([2 * index + 1 for index in range(start, stop)])
        place = torch.from_numpy(random.random(stop - start)).to(first).unsqueeze(1)
        labels = None
        if generator.classes:
            labels = torch.from_numpy(random.integers(0, len(generator.classes), stop - start)).to(device)
        here = _seen(generator.network, slerp(first, second, place), labels, extractor, device)
        there = _seen(generator.network, slerp(first, second, place + EPSILON), labels, extractor, device)
        values.append(((there - here).double().square().sum(dim=1) / EPSILON**2).cpu().numpy())
        advance(stop - start)
    lengths = np.sort(np.concatenate(values))
    cut = int(TRIM * len(lengths))
    return lengths[cut : len(lengths) - cut]


def _seen(
    network: nn.Module, latents: Tensor, labels: Tensor | None, extractor: Extractor, device: torch.device
) -> Tensor:
    pictures = (network(latents.to(device), labels).float().clamp(-1, 1) + 1) * 127.5
    return functional.normalize(extractor(pictures)[0].float(), dim=1)


def slerp(first: Tensor, second: Tensor, place: Tensor) -> Tensor:
    """Points (N, d) at `place` (N, 1) of the way round the great circle from `first` to `second`."""
    length = first.norm(dim=1, keepdim=True)
    a, b = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    angle = (a * b).sum(dim=1, keepdim=True).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    point: Tensor = length * (torch.sin((1 - place) * angle) * a + torch.sin(place * angle) * b) / torch.sin(angle)
    return point
