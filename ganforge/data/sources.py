"""Where pictures come from: what every source offers, and the folder.

A source lists its entries once, in the main process; worker processes then read them through its `reader`, which is
small and can be pickled.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, Protocol

from PIL import Image

from ganforge.data.dataset import FACTS
from ganforge.data.problems import Rejected

LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", ".gitignore", ".gitkeep", ".directory"})


class Entry(NamedTuple):
    """One picture of a source, not yet read.

    `name` is its path in the source, with slashes; `place` tells the reader where it is; `label` is the class that the
    source itself states, if any.
    """

    name: str
    place: Any
    label: str | None = None


class LeftOut(NamedTuple):
    """One input that is not taken: `reason` is a key of `problems.REASONS`."""

    name: str
    reason: str
    detail: str = ""


class Reader(Protocol):
    """Reads entries, in any process."""

    def read(self, entry: Entry) -> IO[bytes] | Image.Image:
        """The picture's file, or the picture itself.

        Raises:
            Rejected: it cannot be read.
        """


@dataclass
class Source:
    """All that a place offers.

    Attributes:
        kind: what it is, in a few words for the user.
        entries: what might be pictures, sorted by name.
        left_out: what is certainly none.
        reader: reads the entries.
        classes: the order of the classes, where the source states one.
        notes: what was decided for the user on the way.
        scratch: bytes that the source unpacked to the scratch folder.
    """

    kind: str
    entries: list[Entry]
    reader: Reader
    left_out: list[LeftOut] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FolderReader:
    """Reads files below a folder."""

    root: str

    def read(self, entry: Entry) -> IO[bytes]:
        try:
            return open(os.path.join(self.root, entry.name), "rb")
        except OSError as error:
            raise Rejected("unreadable", error.strerror or str(error)) from error


def is_litter(name: str) -> bool:
    """Whether a path is a file that operating systems and their archivers leave behind."""
    path = PurePosixPath(name)
    return path.name.lower() in LITTER or path.name.startswith("._") or "__MACOSX" in path.parts


def sort_litter(names: Iterable[tuple[str, Any]]) -> tuple[list[Entry], list[LeftOut]]:
    """(name, place) pairs as entries sorted by name, and apart from them what operating systems left behind."""
    entries, left_out = [], []
    for name, place in names:
        if is_litter(name):
            left_out.append(LeftOut(name, "litter"))
        else:
            entries.append(Entry(name, place))
    entries.sort(key=lambda entry: entry.name)
    return entries, left_out


def folder_source(root: Path) -> Source:
    """All files below a folder, links followed; a folder that a link leads to again is entered only once."""
    files: list[tuple[str, Any]] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            notes.append(f"the folder {folder!r} is a link to one already read: not read again")
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(root / folder) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            left_out.append(LeftOut(folder, "unreadable", error.strerror or ""))
            continue
        if folder and any(entry.name == FACTS for entry in found) and (root / folder / "left-out.csv").exists():
            notes.append(f"the folder {folder!r} is a dataset that ganforge made: not read")
            continue
        for entry in found:
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                mode = entry.stat().st_mode
            except OSError as error:
                left_out.append(LeftOut(name, "unreadable", error.strerror or ""))
                continue
            if stat.S_ISDIR(mode):
                waiting.append(name)
            elif stat.S_ISREG(mode):
                files.append((name, None))
            else:
                left_out.append(LeftOut(name, "not-a-file"))
    entries, litter = sort_litter(files)
    return Source(f"folder {root}", entries, FolderReader(str(root)), left_out + litter, notes=notes)
