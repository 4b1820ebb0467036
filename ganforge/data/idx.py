"""IDX files, as MNIST and Fashion-MNIST are published: pictures and labels in pairs, gzipped or not."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganforge.data.archives import unpacked
from ganforge.data.arrays import ArrayReader, choose_split
from ganforge.data.sources import Entry, Source
from ganforge.errors import DataError

IDX_IMAGES = re.compile(r"(?:(?P<split>.+)-)?images[-.]idx3-ubyte(?:\.gz)?$")


def idx_files(folder: Path) -> list[Path]:
    """The IDX picture files of a folder; a compressed one counts only where the plain one is missing."""
    found = {
        file.name.removesuffix(".gz"): file
        for file in sorted(folder.iterdir(), reverse=True)
        if IDX_IMAGES.match(file.name)
    }
    return [found[name] for name in sorted(found, key=lambda name: (not name.startswith("train"), name))]


def idx_source(files: Sequence[Path], split: str, scratch: Path) -> Source:
    """IDX picture files and their label files, gzipped or not, as MNIST and Fashion-MNIST are published.

    Args:
        files: the picture files; labels are looked for beside each.
        split: `train` or `test` (also t10k) takes the files named so, `all` takes all; `auto` is train where there is
            such a file.
        scratch: a folder to unpack into.

    Raises:
        DataError: a file is damaged, or there is none of the split.
    """
    splits = [_split_name(file) for file in files]
    chosen, note = choose_split(split, splits, str(files[0].parent))
    entries: list[Entry] = []
    notes = [note] if note else []
    paths = []
    for file, own in zip(files, splits, strict=True):
        if own not in chosen:
            continue
        plain, shape, offset = _idx(file, scratch, 3)
        labels = _idx_labels(file, scratch, shape[0])
        if labels is None:
            notes.append(f"there is no label file beside {file.name}")
        stem = file.name.removesuffix(".gz")
        paths.append(str(plain))
        entries += [
            Entry(
                f"{stem}/{index:08d}",
                (len(paths) - 1, offset, shape, index),
                None if labels is None else str(labels[index]),
            )
            for index in range(shape[0])
        ]
    return Source(f"IDX files in {files[0].parent}", entries, ArrayReader(tuple(paths), "hw"), notes=notes)


def _split_name(file: Path) -> str:
    match = IDX_IMAGES.match(file.name)
    name = (match and match["split"]) or "all"
    return "test" if name == "t10k" else name


def _idx(file: Path, scratch: Path, dimensions: int) -> tuple[Path, tuple[int, ...], int]:
    """An IDX file of bytes: where it lies unpacked, its shape, and the offset of its values."""
    plain = unpacked(file, scratch)
    with plain.open("rb") as opened:
        head = opened.read(4 + 4 * dimensions)
    offset = 4 + 4 * dimensions
    if len(head) < offset or head[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(f"{file} is no IDX file of bytes in {dimensions} dimensions; get it again")
    shape = tuple(int(n) for n in np.frombuffer(head, ">u4", offset=4))
    if plain.stat().st_size != offset + int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"{file} does not hold the {' x '.join(map(str, shape))} bytes that it announces; get it again")
    return plain, shape, offset


def _idx_labels(pictures: Path, scratch: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """The labels that belong to an IDX picture file, or None when there is no label file beside it."""
    name = pictures.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    file = next((pictures.with_name(n) for n in (name, f"{name}.gz") if pictures.with_name(n).exists()), None)
    if file is None:
        return None
    plain, shape, offset = _idx(file, scratch, 1)
    if shape != (count,):
        raise DataError(f"{file} has {shape[0]} labels for {count} pictures; they do not belong together")
    return np.fromfile(plain, np.uint8, offset=offset)
