"""Finding pictures that are the same as an earlier one, or nearly so, while they stream by."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

BITS = 64
NEAR = 4  # bits of the perceptual hash that near-duplicates may differ in, unless the user says otherwise
COLOURS = 8  # a side of the grid of mean colours
NEAR_COLOUR = 12.0  # how much those may differ on average, of 255,
NEAR_SPREAD = 0.5  # and as a share of how much they vary over the picture: nearly blank ones all look alike


class Impression(NamedTuple):
    """What a picture looks like from afar: the DCT hash of its lightness, 64 bits, a grid of its mean colours, and how
    much these vary."""

    hash: int
    colours: bytes
    spread: float


def impression(picture: npt.NDArray[np.uint8]) -> Impression:
    """The impression of a picture, uint8 (C, H, W): near pictures have hashes that differ in few bits.

    The hash alone takes a red and a blue button for the same, and so the colours are compared too.
    """
    image = Image.fromarray(picture[0] if len(picture) == 1 else picture[:3].transpose(1, 2, 0))
    colours = np.asarray(image.resize((COLOURS, COLOURS), Image.Resampling.BOX))
    spread = float(np.abs(colours - colours.mean(axis=(0, 1))).mean())
    return Impression(int(str(imagehash.phash(image)), 16), colours.tobytes(), spread)


@dataclass(frozen=True)
class Twin:
    """The earlier picture that one is a duplicate of, and how many bits of their hashes differ (None: same pixels)."""

    name: str
    number: int
    distance: int | None


class Duplicates:
    """Remembers the pictures that are kept, and finds the first of them that a new one is a duplicate of.

    A new picture is compared with the kept ones only, so that a chain of small changes, such as the frames of a slow
    pan, is thinned out and not taken for one picture.

    Near are two pictures whose hashes differ in at most `distance` bits, and whose mean colours hardly do. Two hashes
    that differ in at most n bits agree in one of n + 1 bands of bits at least: only those that share one are compared.
    """

    def __init__(self, distance: int = NEAR) -> None:
        self.distance = distance
        self._names: list[str] = []
        self._seen: list[Impression] = []
        self._exact: dict[bytes, int] = {}
        edges = [BITS * band // (distance + 1) for band in range(distance + 2)]
        self._bands = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
        self._buckets: list[dict[int, list[int]]] = [defaultdict(list) for _ in self._bands]

    def find(self, fingerprint: bytes | None, look: Impression | None) -> Twin | None:
        """The first kept picture with the same pixels, or else the nearest within the distance, or None."""
        if fingerprint is not None and (number := self._exact.get(fingerprint)) is not None:
            return Twin(self._names[number], number, None)
        if look is None:
            return None
        best: tuple[int, int] | None = None
        for (shift, mask), buckets in zip(self._bands, self._buckets, strict=True):
            for number in buckets.get((look.hash >> shift) & mask, ()):
                found = ((self._seen[number].hash ^ look.hash).bit_count(), number)
                closer = found[0] <= self.distance and (best is None or found < best)
                if closer and _same_colours(self._seen[number], look):
                    best = found
        return None if best is None else Twin(self._names[best[1]], best[1], best[0])

    def keep(self, name: str, fingerprint: bytes | None, look: Impression | None) -> None:
        """Remember a picture that is kept."""
        number = len(self._names)
        self._names.append(name)
        if fingerprint is not None:
            self._exact[fingerprint] = number
        if look is not None:
            self._seen.append(look)
            for (shift, mask), buckets in zip(self._bands, self._buckets, strict=True):
                buckets[(look.hash >> shift) & mask].append(number)


def _same_colours(one: Impression, other: Impression) -> bool:
    total = sum(abs(a - b) for a, b in zip(one.colours, other.colours, strict=True))
    return total <= len(one.colours) * min(NEAR_COLOUR, NEAR_SPREAD * one.spread, NEAR_SPREAD * other.spread)
