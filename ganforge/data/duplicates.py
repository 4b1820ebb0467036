"""Finding pictures that are the same as an earlier one, or nearly so, while they stream by."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

BITS = 64
NEAR = 4  # bits of the perceptual hash that near-duplicates may differ in, unless the user says otherwise


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

    Two hashes that differ in at most n bits agree in at least one of n + 1 bands of bits, so only those are compared
    that share a band.
    """

    def __init__(self, distance: int = NEAR) -> None:
        self.distance = distance
        self._names: list[str] = []
        self._hashes: list[int] = []
        self._exact: dict[bytes, int] = {}
        edges = [BITS * band // (distance + 1) for band in range(distance + 2)]
        self._bands = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
        self._buckets: list[dict[int, list[int]]] = [defaultdict(list) for _ in self._bands]

    def find(self, fingerprint: bytes | None, near_hash: int | None) -> Twin | None:
        """The first kept picture with the same pixels, or else the nearest within the distance, or None."""
        if fingerprint is not None and (number := self._exact.get(fingerprint)) is not None:
            return Twin(self._names[number], number, None)
        if near_hash is None:
            return None
        best: tuple[int, int] | None = None
        for (shift, mask), buckets in zip(self._bands, self._buckets, strict=True):
            for number in buckets.get((near_hash >> shift) & mask, ()):
                found = ((self._hashes[number] ^ near_hash).bit_count(), number)
                if found[0] <= self.distance and (best is None or found < best):
                    best = found
        return None if best is None else Twin(self._names[best[1]], best[1], best[0])

    def keep(self, name: str, fingerprint: bytes | None, near_hash: int | None) -> None:
        """Remember a picture that is kept."""
        number = len(self._names)
        self._names.append(name)
        if fingerprint is not None:
            self._exact[fingerprint] = number
        if near_hash is not None:
            self._hashes.append(near_hash)
            for (shift, mask), buckets in zip(self._bands, self._buckets, strict=True):
                buckets[(near_hash >> shift) & mask].append(number)
