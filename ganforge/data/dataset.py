"""The dataset folder: what `prepare` writes and everything else reads.

datasets/<name>/
  dataset.json        format version, name, count, channels, sizes, classes, how it was made, sha256 per array
  images-<H>x<W>.npy  uint8 (N, C, H, W), one a pyramid level from the base grid to the largest; memory-mapped
  labels.npy          int64 (N,); absent when there are no labels
  left-out.csv        every input that was not taken, and why
  preview.png
  holdout/            a dataset of its own: the pictures held out of training, when there are any
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganforge.errors import DataError

FORMAT = 1
FACTS = "dataset.json"
LABELS = "labels.npy"
HOLDOUT = "holdout"

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def array_name(height: int, width: int) -> str:
    """The file name of the level of this size: height first."""
    return f"images-{height}x{width}.npy"


def arrays_digest(checksums: Mapping[str, str]) -> str:
    """One sha256 for a whole dataset: that of its arrays' names and checksums, in the order of the names."""
    lines = "".join(f"{name} {checksums[name]}\n" for name in sorted(checksums))
    return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared dataset, opened: its facts and labels are in memory, its pictures stay on disk.

    Attributes:
        path: the folder.
        count: pictures in each level.
        channels: 1 (grey), 3 (sRGB) or 4 (sRGB and alpha).
        base: (height, width) of the smallest level, sides from 3 to 7.
        resolutions: the levels' shorter sides in pixels, ascending.
        classes: class names, label i being `classes[i]`; empty when there are no labels.
        labels: int64 (count,), or None.
        mirror: whether the pictures may be shown mirrored, as `prepare --mirror` recorded it.
        facts: all of `dataset.json`.
    """

    path: Path
    name: str
    count: int
    channels: int
    base: tuple[int, int]
    resolutions: tuple[int, ...]
    classes: tuple[str, ...]
    labels: Labels | None
    mirror: bool
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> "Dataset":
        """Open the dataset folder `path`.

        Raises:
            DataError: there is none, a newer ganforge wrote it, or it is damaged.
        """
        path = Path(path)
        facts = _facts(path)
        try:
            labels = _array(path / LABELS, (facts["count"],), np.int64, in_memory=True) if facts["classes"] else None
            dataset = cls(
                path=path,
                name=facts["name"],
                count=facts["count"],
                channels=facts["channels"],
                base=(facts["base"][0], facts["base"][1]),
                resolutions=tuple(facts["resolutions"]),
                classes=tuple(facts["classes"]),
                labels=labels,
                mirror=facts["mirror"],
                facts=facts,
            )
            for resolution in dataset.resolutions:
                dataset.level(resolution)
        except (KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{path / FACTS} is damaged ({type(error).__name__}: {error}); prepare the dataset again with --force"
            ) from error
        return dataset

    @property
    def resolution(self) -> int:
        """The largest level's shorter side in pixels."""
        return self.resolutions[-1]

    @cached_property
    def digest(self) -> str:
        """The sha256 that names the content: over the arrays' checksums as recorded when they were written."""
        return arrays_digest({name: entry["sha256"] for name, entry in self.facts["arrays"].items()})

    @property
    def holdout(self) -> "Dataset | None":
        """The pictures held out of training, as a dataset of their own, or None when none are.

        Raises:
            DataError: it is damaged.
        """
        return Dataset.open(self.path / HOLDOUT) if (self.path / HOLDOUT).exists() else None

    def size(self, resolution: int) -> tuple[int, int]:
        """(height, width) in pixels of the level whose shorter side is `resolution`.

        Raises:
            DataError: there is no such level.
        """
        if resolution not in self.resolutions:
            levels = ", ".join(map(str, self.resolutions))
            raise DataError(
                f"dataset {self.name} has no level of {resolution} pixels, only {levels}; "
                f"take one of them, or prepare it again with --max-res"
            )
        scale = resolution // min(self.base)
        return self.base[0] * scale, self.base[1] * scale

    def level(self, resolution: int) -> Pixels:
        """All pictures of one level: read-only memory-mapped uint8 (count, channels, height, width).

        Raises:
            DataError: there is no such level, or its file is missing or damaged.
        """
        height, width = self.size(resolution)
        shape = (self.count, self.channels, height, width)
        pictures: Pixels = _array(self.path / array_name(height, width), shape, np.uint8)
        return pictures

    def verify(self) -> Iterator[str]:
        """Read every array and compare its sha256 with the recorded one; yields each file's name once it is verified.

        Raises:
            DataError: a file is missing or is not what was written.
        """
        for name, entry in self.facts["arrays"].items():
            if array_checksum(self.path / name) != entry["sha256"]:
                raise DataError(
                    f"{self.path / name} is not what was written (its sha256 differs); prepare it again with --force"
                )
            yield name
        if self.holdout is not None:
            yield from (f"{HOLDOUT}/{name}" for name in self.holdout.verify())


def array_checksum(path: Path) -> str:
    """The sha256 of an array's values in C order, without the file's header, in hexadecimal."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); prepare the dataset again with --force") from error
    return digest.hexdigest()


def find_dataset(explicit: str | None, root: Path = Path("datasets")) -> tuple[Dataset, str]:
    """The dataset to use, and a sentence for the user that says which and why.

    Args:
        explicit: a dataset folder, or the name of one below `root`; None takes the only, or most recently prepared one.
        root: where prepared datasets lie.

    Raises:
        DataError: there is none, or it cannot be used.
    """
    if explicit is not None:
        path = Path(explicit)
        if not (path / FACTS).exists() and (root / explicit / FACTS).exists():
            path = root / explicit
        dataset = Dataset.open(path)
        return dataset, f"dataset {dataset.path}: as given"
    try:
        names = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith("."))
    except FileNotFoundError:
        names = []
    dated = sorted(
        (str(_facts(root / name).get("created", "")), name) for name in names if (root / name / FACTS).exists()
    )
    if not dated:
        raise DataError(f"there is no dataset below {root}/; make one with: ganforge prepare FOLDER")
    dataset = Dataset.open(root / dated[-1][1])
    if len(dated) == 1:
        return dataset, f"dataset {dataset.path}: the only one below {root}/"
    return (
        dataset,
        f"dataset {dataset.path}: the most recently prepared of {len(dated)} below {root}/ (--data for another)",
    )


def _facts(path: Path) -> dict[str, Any]:
    """What `dataset.json` says, once it is one that this version can read."""
    file = path / FACTS
    if not path.exists():
        raise DataError(f"there is no dataset {path}; make one with: ganforge prepare FOLDER")
    if not file.is_file():
        raise DataError(f"{path} is not a dataset (it has no {FACTS}); make one of it with: ganforge prepare {path}")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}); prepare the dataset again with --force") from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(version, int):
        raise DataError(f"{file} was not written by ganforge prepare; prepare the pictures of {path} first")
    if version > FORMAT:
        raise DataError(f"{file} has format {version}, this ganforge reads up to {FORMAT}: upgrade ganforge")
    assert isinstance(facts, dict)
    return facts


def _array(path: Path, shape: tuple[int, ...], dtype: type[Any], *, in_memory: bool = False) -> Any:
    """An array file that must have this shape and type, memory-mapped unless `in_memory`."""
    try:
        array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or damaged ({error}); prepare the dataset again with --force") from error
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{path} holds {array.dtype} {array.shape} where {np.dtype(dtype)} {shape} was written; "
            f"prepare the dataset again with --force"
        )
    return array
