"""Features of pictures, made once: one pass serves every metric, and those of real pictures are kept on disk."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ganforge.evaluation.extractors import Extractor
from ganforge.evaluation.pictures import PictureSource, part, prefetched

Advance = Callable[[int], None]
Array = NDArray[np.float32]
# Pictures at once on the CPU: more only take more memory there.
CPU_BATCH = 16


@dataclass(frozen=True)
class Features:
    """values: float32 (N, d). logits: float32 (N, k), of the extractor's own classes. Row i is picture i."""

    values: Array
    logits: Array

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> "Features":
        return Features(self.values[rows], self.logits[rows])


@torch.no_grad()
def extract(
    source: PictureSource,
    extractors: Sequence[Extractor],
    device: torch.device,
    advance: Advance = lambda pictures: None,
) -> list[Features]:
    """Features by each extractor in one pass over the source, the next batches made meanwhile where it helps."""
    count = len(source)
    out = [
        Features(np.empty((count, e.features), np.float32), np.empty((count, e.classes), np.float32))
        for e in extractors
    ]
    start = 0
    for batch in prefetched(source) if source.ahead else source:
        step = CPU_BATCH if device.type == "cpu" else len(batch)
        for first in range(0, len(batch), step):
            pictures = torch.from_numpy(batch[first : first + step]).to(device)
            stop = start + len(pictures)
            for extractor, features in zip(extractors, out, strict=True):
                values, logits = extractor(pictures)
                features.values[start:stop] = values.float().cpu().numpy()
                features.logits[start:stop] = logits.float().cpu().numpy()
            start = stop
        advance(len(batch))
    return out


def extract_kept(
    source: PictureSource,
    count: int,
    extractor: Extractor,
    cache: Path | None,
    device: torch.device,
    advance: Advance = lambda pictures: None,
) -> Features:
    """Features of the first `count` pictures of a source whose digest names it, from `cache` as far as they are there.

    What was missing is made and added, so that a score over more pictures later makes only the rest.
    """
    place = None if cache is None else _Kept(cache, source, extractor)
    had = None if place is None else place.read(count)
    done = 0 if had is None else len(had)
    advance(min(done, count))
    if had is not None and done >= count:
        return had[:count]
    [made] = extract(part(source, done, count), [extractor], device, advance)
    features = (
        made
        if had is None
        else Features(np.concatenate([had.values, made.values]), np.concatenate([had.logits, made.logits]))
    )
    if place is not None:
        place.write(features)
    return features


class _Kept:
    """A folder of the cache: one source by one extractor. A damaged one counts as empty."""

    def __init__(self, cache: Path, source: PictureSource, extractor: Extractor) -> None:
        key = json.dumps([source.digest, extractor.name, extractor.digest, extractor.prepares])
        self._folder = cache / f"features-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self._shapes = {"values": extractor.features, "logits": extractor.classes}

    def read(self, count: int) -> Features | None:
        arrays = {}
        try:
            for name, width in self._shapes.items():
                array = np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                if array.ndim != 2 or array.shape[1] != width or array.dtype != np.float32:
                    return None
                arrays[name] = array
        except (OSError, ValueError):
            return None
        done = min(count, *(len(array) for array in arrays.values()))
        return Features(np.array(arrays["values"][:done]), np.array(arrays["logits"][:done]))

    def write(self, features: Features) -> None:
        """Both arrays, each renamed into place when whole. A cache that cannot be written is done without."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in self._shapes:
                partial = self._folder / f"{name}.{os.getpid()}.partial"
                with partial.open("wb") as file:
                    np.save(file, getattr(features, name))
                partial.replace(self._folder / f"{name}.npy")
        except OSError:
            return
