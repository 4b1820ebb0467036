"""Pictures in arrays: the reader that all sets published as arrays share, and the parts that they come in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry
from ganforge.errors import DataError


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
