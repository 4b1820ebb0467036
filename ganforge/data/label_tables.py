"""Label files: CSV or JSON tables of names and labels, given or lying among the pictures."""

import csv
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry, LeftOut, Source
from ganforge.errors import DataError

FILES = ("labels.csv", "labels.json", "dataset.json")
NAME_TITLES = ("name", "file", "filename", "file_name", "path", "image", "id")
LABEL_TITLES = ("label", "class", "category", "target")
LARGEST = 1 << 29  # bytes


@dataclass
class Table:
    """A label file: the label of each name, none where the file says that there are none, and where they come from."""

    labels: dict[str, str]
    why: str

    def without_folders(self) -> dict[str, str]:
        """The labels by file name alone, where that is clear."""
        grouped: dict[str, set[str]] = defaultdict(set)
        for name, label in self.labels.items():
            grouped[PurePosixPath(name).name].add(label)
        return {name: min(labels) for name, labels in grouped.items() if len(labels) == 1}


def take_table(source: Source, option: str) -> Table | None:
    """The label file, if there is one; where it lies among the pictures, it leaves the source's entries.

    Args:
        source: the pictures.
        option: `none`, `folder`, `auto`, which looks for `labels.csv`, `labels.json` and StyleGAN's `dataset.json`
            beside or right above all pictures, or a file.

    Raises:
        DataError: it cannot be read as labels.
    """
    if option in ("none", "folder"):
        return None
    if option != "auto":
        table = Table(_read_file(Path(option)), f"from {option}")
        inside = _name_inside(source, Path(option))
    else:
        entry = _lying_there(source)
        if entry is None:
            return None
        inside = entry.name
        labels = _parsed(_read_entry(source, entry), inside, "; --labels none ignores it")
        above = inside.removesuffix(PurePosixPath(inside).name)
        table = Table({above + name: label for name, label in labels.items()}, f"from {inside} beside the pictures")
    others = [entry for entry in source.entries if entry.name != inside]
    if len(others) < len(source.entries):
        source.entries = others
        source.left_out.append(LeftOut(str(inside), "label-file"))
    return table


def _lying_there(source: Source) -> Entry | None:
    """The label file in the folder that holds everything, if there is one."""
    found = [entry for entry in source.entries if PurePosixPath(entry.name).name in FILES]
    found.sort(key=lambda entry: (entry.name.count("/"), FILES.index(PurePosixPath(entry.name).name)))
    for entry in found[:1]:
        above = entry.name.removesuffix(PurePosixPath(entry.name).name)
        if all(other.name.startswith(above) for other in source.entries):
            return entry
    return None


def _name_inside(source: Source, path: Path) -> str | None:
    """The name of a file of the disk among the source's entries."""
    root = getattr(source.reader, "root", None)
    if root is None or not path.resolve().is_relative_to(Path(root).resolve()):
        return None
    return path.resolve().relative_to(Path(root).resolve()).as_posix()


def _read_file(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"--labels {path} has over {LARGEST >> 20} MiB: it can hardly be a label file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"--labels {path}: {error.strerror}; give auto, folder, none, or a CSV or JSON file of names and labels"
        ) from error
    labels = _parsed(data, str(path))
    if not labels:
        raise DataError(f"--labels {path} holds no labels; write lines of name,label")
    return labels


def _read_entry(source: Source, entry: Entry) -> bytes:
    try:
        opened = source.reader.read(entry)
    except Rejected as error:
        raise DataError(
            f"{entry.name} of {source.kind} cannot be read ({error.detail}); --labels none ignores it"
        ) from error
    with cast(IO[bytes], opened) as file:
        return file.read(LARGEST)


def _parsed(data: bytes, name: str, remedy: str = "") -> dict[str, str]:
    """A label file as label by name; empty when it is a StyleGAN `dataset.json` that says there are no labels."""
    try:
        text = data.decode("utf-8-sig")
        if name.lower().endswith(".json"):
            return _from_json(json.loads(text), name, remedy)
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{name} cannot be read as labels ({error}); write lines of name,label in UTF-8{remedy}"
        ) from error
    return _from_rows(rows, name, remedy)


def _from_rows(rows: list[list[str]], name: str, remedy: str) -> dict[str, str]:
    """Rows of name and label, or of more cells below a row that titles them."""
    columns = (0, 1)
    if rows:
        header = [cell.strip().lower() for cell in rows[0]]
        named = next((header.index(title) for title in NAME_TITLES if title in header), None)
        labelled = next((header.index(title) for title in LABEL_TITLES if title in header), None)
        if named is not None and labelled is not None:
            columns, rows = (named, labelled), rows[1:]
        elif wrong := next((row for row in rows if len(row) != 2), None):
            raise DataError(
                f"{name}: {','.join(wrong)[:80]!r} is not name,label; give it a first line that titles these{remedy}"
            )
    if any(len(row) <= max(columns) for row in rows):
        raise DataError(f"{name}: a row has no cell for its label; fill it{remedy}")
    return _distinct([(row[columns[0]].strip(), row[columns[1]].strip()) for row in rows], name)


def _from_json(content: Any, name: str, remedy: str) -> dict[str, str]:
    """{"a.png": 3}, [["a.png", 3], ...], or either of them under "labels", as the StyleGAN tools write it."""
    if isinstance(content, dict) and "labels" in content and not isinstance(content["labels"], str | int):
        content = content["labels"] or {}
    pairs = list(content.items()) if isinstance(content, dict) else content
    plain = isinstance(pairs, list) and all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], str | int)
        for pair in pairs
    )
    if not plain:
        raise DataError(f'{name} is not read as labels; write {{"name": label, ...}} or [["name", label], ...]{remedy}')
    return _distinct([(pair[0], str(pair[1])) for pair in pairs], name)


def _distinct(pairs: list[tuple[str, str]], name: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, label in pairs:
        key = key.replace("\\", "/").removeprefix("./")
        if labels.setdefault(key, label) != label:
            raise DataError(f"{name} gives {key!r} two labels, {labels[key]!r} and {label!r}; keep one")
    return labels
