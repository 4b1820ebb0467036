"""Writing a dataset folder so that a kill at any time leaves the old one, the new one, or none, but never a part."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from ganforge.data.dataset import FACTS, LABELS, Pixels, array_checksum, array_name
from ganforge.data.sources import LeftOut
from ganforge.errors import DataError

LEFT_OUT = "left-out.csv"
BLOCK = 1 << 22  # bytes that are copied at a time


class ArrayFile:
    """A `.npy` file of pictures that is written from its start, of a length known only at its end.

    Args:
        path: the file; there must be none yet.
        shape: (channels, height, width) of a picture.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path = path
        self.shape = shape
        self.count = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO = path.open("xb")
        self._header = self._write_header()

    def append(self, pictures: Pixels) -> None:
        """Write pictures, uint8 (N, channels, height, width)."""
        if len(pictures):
            values = np.ascontiguousarray(pictures).data.cast("B")
            self._digest.update(values)
            self._file.write(values)
            self.count += len(pictures)

    def finish(self) -> str:
        """Complete the file, have it on the disk, and give its values' sha256."""
        self._file.seek(0)
        # numpy leaves room in the header for the count to grow, so that its length does not depend on it.
        assert self._write_header() == self._header
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file, complete or not."""
        self._file.close()

    def _write_header(self) -> int:
        shape = (self.count, *self.shape)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return self._file.tell()


class DatasetWriter:
    """The arrays of one dataset, as they grow."""

    def __init__(self, folder: Path, channels: int, sizes: Sequence[tuple[int, int]]) -> None:
        folder.mkdir()
        self.folder = folder
        self.channels = channels
        self.sizes = tuple(sizes)
        self.labels: list[int] = []
        self._files = [ArrayFile(folder / array_name(*size), (channels, *size)) for size in sizes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            file.close()

    @property
    def count(self) -> int:
        return self._files[0].count

    def append(self, levels: Sequence[Pixels], labels: Sequence[int]) -> None:
        """Write pictures at every level, and their labels if there are any."""
        for file, pictures in zip(self._files, levels, strict=True):
            file.append(pictures)
        self.labels.extend(labels)

    def finish(self, *, only_grey: bool, labelled: bool) -> dict[str, Any]:
        """Complete the arrays, keeping one of three equal channels if `only_grey`; their facts, by file name."""
        checksums = {file.path: file.finish() for file in self._files}
        if only_grey:
            checksums = {path: _first_channel(path) for path in checksums}
            self.channels = 1
        if labelled:
            path = self.folder / LABELS
            np.save(path, np.asarray(self.labels, dtype=np.int64))
            checksums[path] = array_checksum(path)
        return {path.name: {"sha256": checksums[path], "bytes": path.stat().st_size} for path in checksums}


def _first_channel(path: Path) -> str:
    """Rewrite an array of three equal channels with one; the new sha256."""
    pictures = np.load(path, mmap_mode="r")
    step = max(1, BLOCK // max(1, pictures[0].nbytes)) if len(pictures) else 1
    narrow = ArrayFile(path.with_suffix(".grey"), (1, *pictures.shape[2:]))
    for start in range(0, len(pictures), step):
        narrow.append(pictures[start : start + step, :1])
    checksum = narrow.finish()
    del pictures
    narrow.path.replace(path)
    return checksum


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write `dataset.json`, the last file of a dataset."""
    write_text(folder / FACTS, json.dumps(facts, indent=2) + "\n")


def write_left_out(folder: Path, left_out: Iterable[LeftOut]) -> None:
    """Write `left-out.csv`: every input that was not taken, and why."""
    write_rows(folder / LEFT_OUT, ("name", "reason", "detail"), sorted(left_out))


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file; names that are not Unicode keep their bytes."""
    with path.open("x", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
        _on_disk(file)


def write_text(path: Path, text: str) -> None:
    """Write a new text file and have it on the disk."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        _on_disk(file)


def _on_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def check_out(out: Path, *, force: bool) -> None:
    """Refuse an output folder that exists, unless it is a dataset and `force` allows to replace it.

    Raises:
        DataError: it exists and may not be replaced.
    """
    if not os.path.lexists(out):
        return
    if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
        return
    if not (out / FACTS).is_file() or not (out / LEFT_OUT).is_file():
        raise DataError(f"{out} exists and is no dataset, so it is not replaced; choose another with --out")
    if not force:
        raise DataError(f"{out} exists; --force replaces it, --out NAME writes elsewhere")


@contextlib.contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """A folder beside `out` for all that is written on the way; removed at the end, whatever happens.

    What killed processes left behind there is cleaned up first, and a dataset that one of them had moved aside to
    replace it is put back.

    Raises:
        DataError: the folder cannot be made, or the disk is full.
    """
    new = not out.parent.exists()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(out)
        folder = out.parent / f".{out.name}.partial-{os.getpid()}"
        folder.mkdir()
    except OSError as error:
        raise DataError(f"{out} cannot be written ({error.strerror}); choose another place with --out") from error
    try:
        yield folder
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk of {out.parent} is full: nothing was kept; free some, or see --out") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):  # there is something in it, as there should be
                out.parent.rmdir()


def publish(finished: Path, out: Path) -> None:
    """Put a complete folder in the place of `out`, by renaming."""
    _sync_folder(finished)
    aside = out.parent / f".{out.name}.replaced-{os.getpid()}"
    if os.path.lexists(out):
        out.rename(aside)
    finished.rename(out)
    _sync_folder(out.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _clean_up(out: Path) -> None:
    for kind in ("replaced", "partial"):
        for left in sorted(out.parent.glob(f".{glob_escape(out.name)}.{kind}-*")):
            number = left.name.rpartition("-")[2]
            if not number.isdecimal() or _alive(int(number)):
                continue
            if kind == "replaced" and not os.path.lexists(out):
                left.rename(out)
            else:
                shutil.rmtree(left, ignore_errors=True)


def glob_escape(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _alive(number: int) -> bool:
    """Whether another process of this number runs."""
    if number == os.getpid():
        return False
    if os.name == "nt":  # where signal 0 is not a question
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
