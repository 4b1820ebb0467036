"""Sliced Wasserstein distance between the patches of two sets of pictures, level by level of a Laplacian pyramid.

After Karras et al. 2018, "Progressive Growing of GANs", section 5, and the settings of its published code: 7x7 patches,
128 of each picture, each set normalised a channel by its own mean and deviation, 4 slices of 128 directions.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ganforge.errors import EvaluationError
from ganforge.evaluation.pictures import PictureSource, part

PATCH = 7
PATCHES = 128
SLICES = 4
DIRECTIONS = 128
PICTURES = 16_384
# The paper's pyramid ends at 16; sizes of 7 times a power of two (28) have 14 in its place.
SMALLEST = 14
_BLOCK = 65_536
_MEMORY = 2**27

Advance = Callable[[int], None]


@dataclass(frozen=True)
class LevelDistance:
    """The distance at one level. resolution: shorter side, pixels. value: times 1000. spread: over the slices."""

    resolution: int
    value: float
    spread: float


def pyramid_resolutions(height: int, width: int) -> list[int]:
    """Shorter sides of the levels, largest first: halved while at least 16 (14) remain; at least one level.

    Raises EvaluationError for pictures smaller than a patch.
    """
    side = min(height, width)
    if side < PATCH:
        raise EvaluationError(f"swd: pictures of {height}x{width} are smaller than its {PATCH}x{PATCH} patches")
    resolutions = [side]
    while math.ceil(resolutions[-1] / 2) >= SMALLEST:
        resolutions.append(math.ceil(resolutions[-1] / 2))
    return resolutions


def sliced_wasserstein(
    reals: PictureSource,
    generated: PictureSource,
    *,
    seed: int = 0,
    advance: Advance = lambda pictures: None,
) -> list[LevelDistance]:
    """The distance at each level, largest first.

    Both sets give the same number of pictures: the smaller one's, at most 16,384, as in the paper. The places of the
    patches are drawn from the seed, the same for both sets, so that a set is at distance 0 from itself. The patches of
    one level are kept in an unnamed file, so memory does not grow with the number of pictures.
    """
    count = min(len(reals), len(generated), PICTURES)
    distances = []
    resolutions = pyramid_resolutions(*reals.shape[1:])
    for level, resolution in enumerate(resolutions):
        last = level == len(resolutions) - 1
        with tempfile.TemporaryFile(prefix="ganforge-") as first, tempfile.TemporaryFile(prefix="ganforge-") as second:
            a = _Patches(reals, level, last, count, seed, first, advance)
            b = _Patches(generated, level, last, count, seed, second, advance)
            slices = [_slice(a, b, (seed, level, number)) for number in range(SLICES)]
        distances.append(LevelDistance(resolution, 1e3 * float(np.mean(slices)), 1e3 * float(np.std(slices))))
    return distances


class _Patches:
    """The normalised patches of one set at one level: rows of C * 49 float32 in a file."""

    def __init__(
        self, source: PictureSource, level: int, last: bool, count: int, seed: int, file: IO[bytes], advance: Advance
    ) -> None:
        self.channels, self.rows, self._file = source.shape[0], count * PATCHES, file
        total, square = np.zeros(self.channels), np.zeros(self.channels)
        for number, batch in enumerate(part(source, 0, count)):
            patches = _patches(pyramid_level(torch.from_numpy(batch).float(), level, last=last), (seed, level, number))
            array = patches.numpy()
            total += array.sum(axis=(0, 2, 3), dtype=np.float64)
            square += np.square(array, dtype=np.float64).sum(axis=(0, 2, 3))
            file.write(np.ascontiguousarray(array).data)
            advance(len(batch))
        values = self.rows * PATCH * PATCH
        mean = total / values
        deviation = np.sqrt(np.maximum(square / values - mean**2, 0))
        # A channel of one value everywhere has nothing to compare: it stays at 0 and does not divide by 0.
        self._mean, self._scale = mean, np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)

    def projected(self, directions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every normalised patch along each direction (C * 49, directions), sorted: (directions, patches).

        The normalisation is taken into the directions: (rows - mean) * scale along d is rows along scale * d, less a
        constant.
        """
        width = self.channels * PATCH * PATCH
        scaled = directions.reshape(self.channels, -1, directions.shape[1]) * self._scale[:, None, None]
        offset = (scaled * self._mean[:, None, None]).sum(axis=(0, 1)).astype(np.float32)[:, None]
        scaled = np.ascontiguousarray(scaled.reshape(width, -1).T, np.float32)
        out = np.empty((directions.shape[1], self.rows), np.float32)
        self._file.seek(0)
        for start in range(0, self.rows, _BLOCK):
            count = min(_BLOCK, self.rows - start)
            rows = np.frombuffer(self._file.read(4 * count * width), np.float32).reshape(count, width)
            out[:, start : start + count] = scaled @ rows.T - offset
        out.sort(axis=1)
        return out


def _slice(a: _Patches, b: _Patches, seed: tuple[int, ...]) -> float:
    """Mean Wasserstein-1 distance along 128 random directions."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((a.channels * PATCH * PATCH, DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0, keepdims=True)
    step = max(1, min(DIRECTIONS, _MEMORY // (4 * a.rows)))
    total = 0.0
    for start in range(0, DIRECTIONS, step):
        part = directions[:, start : start + step]
        difference = a.projected(part)
        difference -= b.projected(part)
        total += float(np.abs(difference, out=difference).mean(axis=1, dtype=np.float64).sum())
    return total / DIRECTIONS


def _patches(level: Tensor, seed: tuple[int, ...]) -> Tensor:
    """128 patches of each picture, (N * 128, C, 7, 7)."""
    windows = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    count, _, rows, columns = windows.shape[:4]
    random = np.random.default_rng(seed)
    y = torch.from_numpy(random.integers(0, rows, count * PATCHES))
    x = torch.from_numpy(random.integers(0, columns, count * PATCHES))
    picture = torch.arange(count).repeat_interleave(PATCHES)
    return windows[picture, :, y, x]


def pyramid_level(pictures: Tensor, level: int, *, last: bool) -> Tensor:
    """One level of the Laplacian pyramid of (N, C, H, W) pictures; the `last` one is what is left, not a difference.

    Burt and Adelson 1983: the difference between a picture and its blurred, halved and doubled self.
    """
    for _ in range(level):
        pictures = _halved(pictures)
    if last:
        return pictures
    return pictures - _doubled(_halved(pictures), pictures.shape[2], pictures.shape[3])


def _blurred(pictures: Tensor) -> Tensor:
    """The binomial 5x5 filter, the edges mirrored."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=pictures.device) / 16
    channels = pictures.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 5, 5)
    return functional.conv2d(functional.pad(pictures, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)


def _halved(pictures: Tensor) -> Tensor:
    return _blurred(pictures)[:, :, ::2, ::2]


def _doubled(pictures: Tensor, height: int, width: int) -> Tensor:
    """Zeros put between the pixels, then blurred at four times the gain."""
    out = pictures.new_zeros(*pictures.shape[:2], height, width)
    out[:, :, ::2, ::2] = pictures
    return 4 * _blurred(out)
