"""Picture sets that come as arrays: IDX pairs, `.npy` and `.npz`, CIFAR's batches, STL-10's binaries."""

import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganforge.data.archives import tar_members, unpacked
from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry, Source
from ganforge.errors import DataError

IDX_IMAGES = re.compile(r"(?:(?P<split>.+)-)?images[-.]idx3-ubyte(?:\.gz)?$")
STL = ("train", "test")
STL_FILES = frozenset({"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt"})
CIFAR_META = ("batches.meta", "meta")
CIFAR_BATCHES = {"data_batch_1": "train", "train": "train", "test_batch": "test", "test": "test"} | {
    f"data_batch_{number}": "train" for number in range(2, 6)
}
SPLIT_OPTIONS = ("auto", "all", "train", "test")


@lru_cache(maxsize=8)
def _mapped(path: str, offset: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r", offset, shape)


@dataclass(frozen=True)
class ArrayReader:
    """Reads pictures out of files of raw bytes.

    A place is (file, offset, shape, index): the array of this shape that starts at this offset, and the picture in it.
    `order` says what the axes of one picture are: `hw`, `hwc`, `chw`, or `cwh` as in STL-10.
    """

    files: tuple[str, ...]
    order: str

    def read(self, entry: Entry) -> Image.Image:
        number, offset, shape, index = entry.place
        try:
            values = _mapped(self.files[number], offset, shape)[index]
        except (OSError, ValueError) as error:
            raise Rejected("unreadable", str(error)) from error
        axes = {"hw": (0, 1), "hwc": (0, 1, 2), "chw": (1, 2, 0), "cwh": (2, 1, 0)}[self.order]
        picture = np.ascontiguousarray(values.transpose(axes))
        if picture.ndim == 3 and picture.shape[2] == 1:
            picture = picture[:, :, 0]
        return Image.fromarray(picture)


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


def choose_split(option: str, available: Iterable[str], where: str) -> tuple[frozenset[str], str]:
    """The splits to take, and a note for the user when that was chosen for him.

    Raises:
        DataError: there is no such split.
    """
    names = frozenset(available)
    if option == "all" or names == {option} or (option == "auto" and "train" not in names):
        return names, ""
    if option == "auto":
        others = ", ".join(sorted(names - {"train"}))
        return frozenset(
            {"train"}
        ), f"took the training part; {others} stays for other uses (--split all takes both)" * bool(others)
    if option not in names:
        raise DataError(f"--split {option}: {where} holds {', '.join(sorted(names))}; take one of these, or all")
    return frozenset({option}), ""


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


def npy_source(path: Path, scratch: Path) -> Source:
    """A `.npy` array, or those of an `.npz`: uint8 (N, H, W) or (N, H, W, C); labels as a second array of an `.npz`.

    Raises:
        DataError: there is no such array.
    """
    labels: npt.NDArray[Any] | None = None
    file = path
    if zipfile.is_zipfile(path):
        file, labels = _from_npz(path, scratch)
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no array that can be read ({error}); save it with numpy.save") from error
    order = _order(array, path)
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        raise DataError(f"{path} is stored in Fortran order; save numpy.ascontiguousarray of it")
    if labels is not None and labels.shape != (len(array),):
        raise DataError(f"{path} has labels of shape {labels.shape} for {len(array)} pictures; save one a picture")
    assert isinstance(array, np.memmap)
    entries = [
        Entry(f"{index:08d}", (0, array.offset, array.shape, index), None if labels is None else str(labels[index]))
        for index in range(len(array))
    ]
    return Source(f"array {path}", entries, ArrayReader((str(file),), order))


def _order(array: npt.NDArray[Any], path: Path) -> str:
    if array.dtype != np.uint8:
        raise DataError(f"{path} holds {array.dtype}, not uint8: scale it to 0-255 and save it as uint8")
    if array.ndim == 3:
        return "hw"
    if array.ndim == 4 and array.shape[3] in (1, 3, 4):
        return "hwc"
    if array.ndim == 4 and array.shape[1] in (1, 3, 4):
        return "chw"
    raise DataError(
        f"{path} has shape {array.shape}; pictures are (N, H, W) or (N, H, W, channels) with 1, 3 or 4 channels"
    )


def _from_npz(path: Path, scratch: Path) -> tuple[Path, npt.NDArray[Any] | None]:
    """The file of the picture array, unpacked to `scratch`, and the labels if there are any."""
    with zipfile.ZipFile(path) as archive:
        shapes = {}
        for member in archive.namelist():
            with archive.open(member) as opened:
                shapes[member] = _npy_shape(opened, path)
        pictures = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
        labels = [name for name, shape in shapes.items() if len(shape) == 1]
        if len(pictures) != 1:
            raise DataError(
                f"{path} holds {len(pictures)} arrays that could be pictures; save one of (N, H, W[, C]) uint8"
            )
        scratch.mkdir(parents=True, exist_ok=True)
        target = scratch / "pictures.npy"
        needed, free = archive.getinfo(pictures[0]).file_size, shutil.disk_usage(scratch).free
        if needed > free:
            raise DataError(f"{path} unpacks to {needed >> 20} MiB and the disk has {free >> 20} MiB free; free some")
        with archive.open(pictures[0]) as opened, target.open("wb") as file:
            shutil.copyfileobj(opened, file, 1 << 22)
        if len(labels) != 1:
            return target, None
        with archive.open(labels[0]) as opened:
            return target, np.lib.format.read_array(opened, allow_pickle=False)


def _npy_shape(opened: Any, path: Path) -> tuple[int, ...]:
    try:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return tuple(read(opened)[0])
    except ValueError as error:
        raise DataError(f"{path} is no .npz that can be read ({error}); save it with numpy.savez") from error


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


def members_to_files(path: Path, wanted: Iterable[str], scratch: Path) -> list[Path]:
    """The members of a plain tar archive whose last name is one of `wanted`, as files in `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    names = frozenset(wanted)
    written = []
    with path.open("rb") as file:
        for member in tar_members(path):
            name = os.path.basename(member.name)
            if member.isreg() and name in names:
                target = scratch / name
                file.seek(member.offset_data)
                with target.open("wb") as copy:
                    left = member.size
                    while left and (block := file.read(min(left, 1 << 22))):
                        copy.write(block)
                        left -= len(block)
                written.append(target)
    return written


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
