"""STL-10's binaries."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ganforge.data.arrays import ArrayReader, choose_split
from ganforge.data.sources import Entry, Source
from ganforge.errors import DataError

STL = ("train", "test")
STL_FILES = frozenset({"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt"})


def stl_source(files: dict[str, Path], split: str, where: str) -> Source:
    """STL-10's binaries: `train_X.bin`, `train_y.bin`, the same for test, and `class_names.txt`.

    `auto` takes both labelled parts, as the articles that train on it do.

    Raises:
        DataError: a file is damaged, or there is none of the split.
    """
    available = [part for part in STL if f"{part}_X.bin" in files]
    chosen, note = choose_split("all" if split == "auto" else split, available, where)
    if split == "auto" and len(available) > 1:
        note = "took the labelled parts, train and test (--split train takes one)"
    classes = tuple(files["class_names.txt"].read_text().split()) if "class_names.txt" in files else ()
    entries: list[Entry] = []
    used: list[str] = []
    for part in available:
        if part not in chosen:
            continue
        path = files[f"{part}_X.bin"]
        count, rest = divmod(path.stat().st_size, 3 * 96 * 96)
        labels = np.fromfile(files[f"{part}_y.bin"], np.uint8) if f"{part}_y.bin" in files else None
        if rest or not count or (labels is not None and len(labels) != count):
            raise DataError(f"{path} is no STL-10 file of whole 96x96 pictures with as many labels; get it again")
        used.append(str(path))
        for index in range(count):
            label = None if labels is None else str(labels[index])
            if label is not None and 1 <= int(label) <= len(classes):
                label = classes[int(label) - 1]
            entries.append(Entry(f"{part}/{index:06d}", (len(used) - 1, 0, (count, 3, 96, 96), index), label))
    classes = classes if {entry.label for entry in entries} <= set(classes) else ()
    return Source(
        f"STL-10 binaries in {where}",
        entries,
        ArrayReader(tuple(used), "cwh"),
        classes=classes,
        notes=[note] if note else [],
    )


def stl_files(paths: Iterable[Path]) -> dict[str, Path]:
    """STL-10's labelled files among these, by name."""
    return {path.name: path for path in paths if path.name in STL_FILES}
