"""numpy's files: an `.npy` array of pictures, or an `.npz` of pictures and labels."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganforge.data.arrays import ArrayReader
from ganforge.data.sources import Entry, Source
from ganforge.errors import DataError


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
