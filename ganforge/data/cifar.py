"""CIFAR-10 and CIFAR-100 in their Python version."""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ganforge.data.arrays import ArrayReader, choose_split
from ganforge.data.sources import Entry, Source
from ganforge.errors import DataError

CIFAR_BATCHES = {"data_batch_1": "train", "train": "train", "test_batch": "test", "test": "test"} | {
    f"data_batch_{number}": "train" for number in range(2, 6)
}
CIFAR_META = ("batches.meta", "meta")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles what CIFAR's batches are made of, and nothing that could run code."""

    HOMES: ClassVar = {
        "_reconstruct": "numpy._core.multiarray",
        "ndarray": "numpy",
        "dtype": "numpy",
        "encode": "_codecs",
    }

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("numpy", "_codecs") and name in self.HOMES:
            return super().find_class(self.HOMES[name], name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def is_cifar(names: Iterable[str]) -> bool:
    """Whether these file names are those of CIFAR's Python version."""
    there = frozenset(names)
    return not there.isdisjoint({"data_batch_1", "test_batch"}) or {"train", "meta"} <= there


def cifar_files(paths: Iterable[Path]) -> dict[str, Path]:
    """CIFAR's batch files among these, by name."""
    return {path.name: path for path in paths if path.name in CIFAR_BATCHES or path.name in CIFAR_META}


def cifar_source(batches: dict[str, Path], split: str, scratch: Path, where: str) -> Source:
    """CIFAR-10 or CIFAR-100 in its Python version.

    Raises:
        DataError: a batch is damaged or holds anything but arrays, or there is none of the split.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    names = [name for name in sorted(batches) if name in CIFAR_BATCHES]
    chosen, note = choose_split(split, [CIFAR_BATCHES[name] for name in names], where)
    meta = next((_cifar_batch(batches[name]) for name in CIFAR_META if name in batches), {})
    classes = tuple(str(name) for name in meta.get("fine_label_names") or meta.get("label_names") or ())
    entries: list[Entry] = []
    files: list[str] = []
    for name in names:
        if CIFAR_BATCHES[name] not in chosen:
            continue
        batch = _cifar_batch(batches[name])
        data, labels = batch.get("data"), batch.get("fine_labels") or batch.get("labels")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise DataError(f"{batches[name]} is no CIFAR batch; get it again")
        if not isinstance(labels, list) or len(labels) != len(data):
            raise DataError(f"{batches[name]} is no CIFAR batch; get it again")
        target = scratch / f"{name}.raw"
        data.tofile(target)
        files.append(str(target))
        shape = (len(data), 3, 32, 32)
        for index, label in enumerate(labels):
            label = int(label)
            stated = classes[label] if 0 <= label < len(classes) else str(label)
            entries.append(Entry(f"{name}/{index:05d}", (len(files) - 1, 0, shape, index), stated))
    used = {entry.label for entry in entries}
    classes = classes if used <= set(classes) else ()
    return Source(
        f"CIFAR batches in {where}",
        entries,
        ArrayReader(tuple(files), "chw"),
        classes=classes,
        notes=[note] if note else [],
    )


def _cifar_batch(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except (pickle.UnpicklingError, OSError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is no CIFAR batch ({error}); get it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no CIFAR batch; get it again")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in content.items()}
