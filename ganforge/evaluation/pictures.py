"""Where the pictures of a score come from: one small interface over arrays, folders, archives and generators.

A `PictureSource` is sized, iterates over uint8 batches (N, C, H, W), and gives any picture by its index, so that a
metric never holds more than a batch. What making the pictures took (cropping, resizing) is written in `resizing`.
"""

import contextlib
import hashlib
import os
import queue
import tempfile
import threading
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from ganforge.errors import EvaluationError
from ganforge.images import enlarge

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]
Shape = tuple[int, int, int]

BATCH = 64
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
GREY_MODES = frozenset({"1", "L", "I;16"})
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class PictureSource(ABC):
    """Pictures by index.

    name: what a message calls it. shape: (C, H, W). labels: int64 (N,) into `classes`, or None. digest: names the very
    pixels, so that features can be kept. resizing: what was done to reach `shape`, in words. ahead: whether it is worth
    making the next pictures while these are worked on; two networks at once on one CPU take longer than in turn.
    """

    ahead = True

    def __init__(
        self,
        name: str,
        shape: Shape,
        *,
        labels: Labels | None = None,
        classes: tuple[str, ...] = (),
        digest: str,
        resizing: str = "none",
    ) -> None:
        self.name, self.shape, self.labels, self.classes = name, shape, labels, classes
        self.digest, self.resizing = digest, resizing
        # What else the protocol of a score must say of these pictures.
        self.facts: dict[str, object] = {}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: NDArray[np.int64]) -> Pictures:
        """The pictures at `indices`, uint8 (n, C, H, W)."""

    def __iter__(self) -> Iterator[Pictures]:
        for start in range(0, len(self), BATCH):
            yield self.take(np.arange(start, min(start + BATCH, len(self)), dtype=np.int64))


class ArraySource(PictureSource):
    """An array (N, C, H, W) of uint8, in memory or memory-mapped."""

    def __init__(
        self,
        array: Pictures,
        *,
        name: str,
        labels: Labels | None = None,
        classes: tuple[str, ...] = (),
        digest: str | None = None,
    ) -> None:
        if array.ndim != 4 or array.dtype != np.uint8:
            raise EvaluationError(f"{name}: {array.dtype} of shape {array.shape}; pictures are uint8 (N, C, H, W)")
        if digest is None:
            digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        channels, height, width = array.shape[1:]
        super().__init__(name, (channels, height, width), labels=labels, classes=classes, digest=digest)
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return np.array(self._array[indices])


class FolderSource(PictureSource):
    """Every picture below a folder, in sorted order; the first level of sub-folders, if there is one, are the classes.

    A picture of another size is cropped about its centre to the aspect of `shape` and resized by Pillow's Lanczos
    filter; transparency is laid on white. Without a `shape` the commonest size and the richest mode of the folder hold.

    Raises EvaluationError where there is no picture, or where one cannot be read.
    """

    def __init__(self, folder: Path, shape: Shape | None = None) -> None:
        self._files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
        if not self._files:
            raise EvaluationError(f"{folder}: no pictures there; give a folder of PNG, JPEG or WebP files")
        sizes, grey, digest = self._survey(folder)
        if shape is None:
            width, height = min(sizes, key=lambda size: (-sizes[size], size))
            shape = (1 if grey else 3, height, width)
        resized = len(self._files) - sizes[shape[2], shape[1]]
        how = f"centre crop and Pillow Lanczos to {shape[1]}x{shape[2]} for {resized} of {len(self._files)}"
        labels, classes = self._classes(folder)
        super().__init__(
            str(folder),
            shape,
            labels=labels,
            classes=classes,
            digest=hashlib.sha256(f"{digest} {shape}".encode()).hexdigest(),
            resizing=how if resized else "none",
        )

    def _survey(self, folder: Path) -> tuple[Counter[tuple[int, int]], bool, str]:
        sizes: Counter[tuple[int, int]] = Counter()
        grey, digest = True, hashlib.sha256()
        for file in self._files:
            digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
            try:
                with Image.open(file) as image:
                    sizes[image.size] += 1
                    grey = grey and image.mode in GREY_MODES
            except (OSError, ValueError, Image.DecompressionBombError) as error:
                raise EvaluationError(f"{file}: not a readable picture ({error}); mend it or take it away") from error
        return sizes, grey, digest.hexdigest()

    def _classes(self, folder: Path) -> tuple[Labels | None, tuple[str, ...]]:
        parts = [file.relative_to(folder).parts for file in self._files]
        if any(len(part) < 2 for part in parts):
            return None, ()
        classes = tuple(sorted({part[0] for part in parts}))
        index = {name: number for number, name in enumerate(classes)}
        return (np.array([index[part[0]] for part in parts], np.int64), classes) if len(classes) > 1 else (None, ())

    def __len__(self) -> int:
        return len(self._files)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return np.stack([read_picture(self._files[index], self.shape) for index in indices])


def read_picture(file: Path, shape: Shape) -> Pictures:
    """One picture file as uint8 (C, H, W): transparency on white, centre crop to the aspect, Lanczos to the size."""
    channels, height, width = shape
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGBA") if opened.has_transparency_data else opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise EvaluationError(f"{file}: not a readable picture ({error}); mend it or take it away") from error
    if image.mode == "RGBA" and channels < 4:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white
    image = image.convert(MODES[channels])
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)


class Renderer(Protocol):
    """What a generator must offer to be scored: `ganforge.sampling.generator.Generator` does."""

    images: int
    ema: bool
    standing: bool
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]: ...

    def latents(self, seeds: Sequence[int], truncation: float | None = None) -> Tensor: ...

    def render(self, latents: Tensor, labels: Tensor | None = None, batch: int = 64) -> NDArray[np.uint8]: ...


class GeneratorSource(PictureSource):
    """A generator's pictures: picture i is that of seed `first_seed` + i, rendered when it is asked for.

    A conditional generator draws the class of each picture by the frequencies `proportions` (all alike without them).
    Pictures of a generator that has not grown to `height` yet are enlarged to it, pixel by pixel: so every checkpoint
    of a growing run is scored against the same reals.
    """

    def __init__(
        self,
        generator: Renderer,
        count: int,
        *,
        name: str,
        digest: str | None = None,
        first_seed: int = 0,
        truncation: float | None = None,
        proportions: NDArray[np.float64] | None = None,
        height: int | None = None,
    ) -> None:
        self.factor = 1
        self.generator, self.first_seed, self.truncation, self._count = generator, first_seed, truncation, count
        labels, drawn = None, "none"
        if classes := generator.classes:
            weights = np.ones(len(classes)) if proportions is None else proportions
            labels = np.random.default_rng(first_seed).choice(len(classes), count, p=weights / weights.sum())
            labels = labels.astype(np.int64)
            drawn = "alike" if proportions is None else "as the reals"
        drawn_height, drawn_width = self._render(np.zeros(1, np.int64), labels).shape[2:]
        self.factor = max(1, (height or drawn_height) // drawn_height)
        super().__init__(
            name,
            self._render(np.zeros(1, np.int64), labels).shape[1:],
            labels=labels,
            classes=classes,
            resizing=f"{drawn_height}x{drawn_width} enlarged {self.factor} times" if self.factor > 1 else "none",
            digest=digest
            or f"{name} {generator.images} {generator.ema} {generator.standing} {first_seed} {count} {truncation}",
        )
        self.ahead = generator.device.type != "cpu"
        self.facts = {
            "images shown": generator.images,
            "ema": generator.ema,
            "seeds": f"{first_seed}-{first_seed + count - 1}",
            "truncation": truncation,
            "classes drawn": drawn,
            "batch normalization": "standing" if generator.standing else None,
        }

    def __len__(self) -> int:
        return self._count

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return self._render(indices, self.labels)

    def _render(self, indices: NDArray[np.int64], labels: Labels | None) -> Pictures:
        latents = self.generator.latents([self.first_seed + int(index) for index in indices], self.truncation)
        chosen = None if labels is None else torch.from_numpy(labels[indices])
        pictures = enlarge(self.generator.render(latents, chosen), self.factor)
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


class SubsetSource(PictureSource):
    """Some pictures of another source, in the order of `indices`."""

    def __init__(self, source: PictureSource, indices: NDArray[np.int64], name: str | None = None) -> None:
        super().__init__(
            name or source.name,
            source.shape,
            labels=None if source.labels is None else source.labels[indices],
            classes=source.classes,
            digest=hashlib.sha256(source.digest.encode() + indices.tobytes()).hexdigest(),
            resizing=source.resizing,
        )
        self.facts, self.ahead = source.facts, source.ahead
        self.source, self.indices = source, indices

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return self.source.take(self.indices[indices])


class SpooledSource(PictureSource):
    """A source that costs much to ask twice: its first `limit` pictures are kept in an unnamed file once made.

    A metric that goes over the pictures again then reads them; nothing is rendered or decoded a second time.
    """

    def __init__(self, source: PictureSource, limit: int) -> None:
        super().__init__(
            source.name,
            source.shape,
            labels=source.labels,
            classes=source.classes,
            digest=source.digest,
            resizing=source.resizing,
        )
        self.facts, self.ahead = source.facts, source.ahead
        self.source, self._size = source, int(np.prod(source.shape))
        self._kept = np.zeros(min(limit, len(source)), np.bool_)
        file = tempfile.TemporaryFile(prefix="ganforge-", buffering=0)  # noqa: SIM115  (closed with the source)
        weakref.finalize(self, file.close)
        self._file = file

    def __len__(self) -> int:
        return len(self.source)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        within = indices[indices < len(self._kept)]
        missing = within[~self._kept[within]]
        if len(within) < len(indices) or (len(missing) == len(indices)):
            pictures = self.source.take(indices)
            self._keep(indices, pictures)
            return pictures
        if len(missing):
            self._keep(missing, self.source.take(missing))
        rows = b"".join(os.pread(self._file.fileno(), self._size, int(index) * self._size) for index in indices)
        return np.frombuffer(rows, np.uint8).reshape(-1, *self.shape).copy()

    def _keep(self, indices: NDArray[np.int64], pictures: Pictures) -> None:
        for index, picture in zip(indices, pictures, strict=True):
            if index < len(self._kept):
                os.pwrite(self._file.fileno(), picture.tobytes(), int(index) * self._size)
                self._kept[index] = True


def shuffled(source: PictureSource, seed: int) -> PictureSource:
    """The whole source in an order that depends on the seed alone, so that its first n pictures are a fair sample."""
    order = np.random.default_rng(seed).permutation(len(source)).astype(np.int64)
    return SubsetSource(source, order)


def part(source: PictureSource, start: int, stop: int) -> PictureSource:
    """Pictures start to stop of a source; the source itself where that is all of it."""
    if start == 0 and stop == len(source):
        return source
    return SubsetSource(source, np.arange(start, stop, dtype=np.int64))


def prefetched(batches: Iterable[Pictures], depth: int = 2) -> Iterator[Pictures]:
    """The same batches, made by another thread while the caller works on the ones before: at most `depth` wait."""
    waiting: queue.Queue[Pictures | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(item: Pictures | BaseException | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return

    def make() -> None:
        try:
            for batch in batches:
                offer(batch)
                if stopped.is_set():
                    return
            offer(None)
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=make, name="pictures", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
