"""Which class each picture has: from class folders, a table, a StyleGAN `dataset.json`, or the source itself."""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from ganforge.data.problems import Rejected
from ganforge.data.sources import Entry, LeftOut, Source
from ganforge.errors import DataError

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
NAME_TITLES = ("name", "file", "filename", "file_name", "path", "image", "id")
LABEL_TITLES = ("label", "class", "category", "target")
TABLES = ("labels.csv", "labels.json", "dataset.json")
FEW = 50  # a class of fewer pictures is warned about
IMBALANCE = 20  # and so is a largest class of more than this many times the smallest
TABLE_BYTES = 1 << 29


@dataclass
class Table:
    """A label file: the label of each name, and where they come from."""

    labels: dict[str, str]
    why: str


@dataclass
class Labelling:
    """The class of each entry that is kept.

    Attributes:
        entries: those that are kept, in order.
        labels: one for each entry, indices into `classes`; empty when there are none.
        classes: their names.
        why: where they come from, for the user.
        left_out: entries that were dropped for want of a label, or were no pictures but the labels.
        warnings: what the user should know.
    """

    entries: list[Entry]
    labels: list[int]
    classes: tuple[str, ...]
    why: str
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def take_table(source: Source, option: str) -> Table | None:
    """The label file, if there is one; where it lies among the pictures, it leaves the source's entries.

    Args:
        source: the pictures.
        option: as for `find_labels`; `auto` looks for `labels.csv`, `labels.json` and StyleGAN's `dataset.json`.

    Raises:
        DataError: it cannot be read as labels.
    """
    if option in ("none", "folder"):
        return None
    labels: dict[str, str] | None
    if option != "auto":
        labels, why = _read_table(Path(option)), f"from {option}"
        inside = _name_inside(source, Path(option))
    else:
        names = {entry.name: entry for entry in source.entries if entry.name in TABLES}
        inside = next((name for name in TABLES if name in names), None)
        labels = _table(_read_entry(source, names[inside]), inside, "; --labels none ignores it") if inside else None
        why = f"from {inside} beside the pictures"
    others = [entry for entry in source.entries if entry.name != inside]
    if len(others) < len(source.entries):
        source.entries = others
        source.left_out.append(LeftOut(str(inside), "label-file"))
    return None if labels is None else Table(labels, why)


def find_labels(source: Source, table: Table | None, option: str, only: Sequence[str] = ()) -> Labelling:
    """Find every entry's class.

    Args:
        source: the pictures; best when files that are none have left it.
        table: from `take_table`.
        option: `auto`, `folder`, `none`, or a CSV or JSON file.
        only: class names to keep; all when empty.

    Raises:
        DataError: the labels asked for are not there, or `only` names no class.
    """
    if option == "none":
        labelling = _unlabelled(source, "none, as --labels none asks")
    elif table is not None:
        labelling = _from_table(source, table)
    elif option == "folder":
        labelling = _from_folders(source, certain=True)
    elif any(entry.label is not None for entry in source.entries):
        labelling = _stated(source)
    else:
        labelling = _from_folders(source, certain=False)
    return _only(labelling, only) if only else labelling


def imbalance_warnings(classes: Sequence[str], counts: Sequence[int]) -> list[str]:
    """What is to be said of the classes of the pictures that were kept."""
    warnings = []
    present = [count for count in counts if count]
    if len(present) == 1 and len(classes) == 1:
        warnings.append(f"there is one class only, {classes[0]!r}: labels tell the networks nothing")
    elif len(present) == 1:
        warnings.append("all labels are equal: they tell the networks nothing")
    if gone := [name for name, count in zip(classes, counts, strict=True) if not count]:
        warnings.append(f"no picture was kept of {_some(gone)}")
    if few := [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if 0 < count < FEW]:
        warnings.append(f"under {FEW} pictures in {_some(few)}: too few to learn a class from")
    if len(present) > 1 and max(present) > IMBALANCE * min(present):
        ratio = max(present) / min(present)
        warnings.append(f"the largest class has {ratio:.0f} times the pictures of the smallest: expect it to dominate")
    return warnings


def _unlabelled(source: Source, why: str) -> Labelling:
    return Labelling(source.entries, [], (), why)


def _stated(source: Source) -> Labelling:
    """The labels that the source itself states."""
    kept = [entry for entry in source.entries if entry.label is not None]
    names = [entry.label or "" for entry in kept]
    left_out = [LeftOut(entry.name, "no-label") for entry in source.entries if entry.label is None]
    classes = source.classes or _ordered(names)
    return _indexed(kept, names, classes, "as the source states", left_out)


def _from_folders(source: Source, *, certain: bool) -> Labelling:
    """The first sub-folder that tells pictures apart is the class; folders named train, test and so on do not count."""
    parts = [PurePosixPath(entry.name).parts for entry in source.entries]
    depth = _class_depth(parts)
    names = [path[depth] if len(path) > depth + 1 else None for path in parts]
    classes = _ordered([name for name in names if name is not None])
    beside = names.count(None)
    if not classes:
        if certain:
            raise DataError(f"--labels folder: {source.kind} has no sub-folders; --labels none takes it without labels")
        return _unlabelled(source, "none: no sub-folders and no label file")
    if not certain:
        if len(classes) == 1:
            labelling = _unlabelled(source, "none: a single sub-folder is no classes")
            labelling.warnings.append(
                f"there is one class only, {classes[0]!r}: prepared without labels (--labels folder keeps it)"
            )
            return labelling
        if beside > len(names) / 2:
            labelling = _unlabelled(source, "none: most pictures lie beside the sub-folders")
            labelling.warnings.append(
                f"{len(names) - beside} of {len(names)} files lie in sub-folders: taken without labels with the others "
                f"(--labels folder takes only those)"
            )
            return labelling
    kept = [entry for entry, name in zip(source.entries, names, strict=True) if name is not None]
    left_out = [
        LeftOut(entry.name, "no-label", "beside the class folders")
        for entry, name in zip(source.entries, names, strict=True)
        if name is None
    ]
    labelling = _indexed(kept, [n for n in names if n is not None], classes, "one class a sub-folder", left_out)
    if left_out:
        labelling.warnings.append(
            f"{len(left_out)} files lie beside the class folders, as {left_out[0].name!r}: left out, for they have no "
            f"label (--labels none takes all)"
        )
    return labelling


def _class_depth(paths: Sequence[tuple[str, ...]]) -> int:
    """How many folders down the class folders lie: below any single folder that holds everything, and below splits."""
    depth = 0
    while True:
        folders = {path[depth] for path in paths if len(path) > depth + 1}
        beside = any(len(path) == depth + 1 for path in paths)
        deeper = any(len(path) > depth + 2 for path in paths)
        if folders and deeper and not beside and (len(folders) == 1 or {f.lower() for f in folders} <= SPLITS):
            depth += 1
        else:
            return depth


def _name_inside(source: Source, path: Path) -> str | None:
    """The name of a file of the disk among the source's entries."""
    root = getattr(source.reader, "root", None)
    if root is None or not path.resolve().is_relative_to(Path(root).resolve()):
        return None
    return path.resolve().relative_to(Path(root).resolve()).as_posix()


def _from_table(source: Source, table: Table) -> Labelling:
    """Labels by path, or by what is left of it without folders or ending, where that is one file's alone."""
    exact, by_name = table.labels, _without_folders(table.labels)
    names = Counter(PurePosixPath(entry.name).name for entry in source.entries)
    kept, labels, left_out = [], [], []
    for entry in source.entries:
        path = PurePosixPath(entry.name)
        label = exact.get(entry.name, exact.get(str(path.with_suffix(""))))
        if label is None and names[path.name] == 1:
            label = by_name.get(path.name, by_name.get(path.stem))
        if label is None:
            left_out.append(LeftOut(entry.name, "no-label", "not in the label file"))
        else:
            kept.append(entry)
            labels.append(label)
    if not kept:
        raise DataError(
            f"no label fits a picture of {source.kind}: the first is for {next(iter(exact), '')!r}, the first picture "
            f"is {source.entries[0].name!r}; write paths as they are below the source"
        )
    labelling = _indexed(kept, labels, _ordered(labels), table.why, left_out)
    if left_out:
        labelling.warnings.append(
            f"{len(left_out)} files have no label, as {left_out[0].name!r}: left out (--labels none takes all)"
        )
    if len(exact) > len(kept):
        labelling.warnings.append(f"{len(exact) - len(kept)} labels are for files that are not there")
    return labelling


def _without_folders(table: dict[str, str]) -> dict[str, str]:
    """The labels by file name alone, where that is clear."""
    grouped: dict[str, set[str]] = defaultdict(set)
    for name, label in table.items():
        grouped[PurePosixPath(name).name].add(label)
    return {name: min(labels) for name, labels in grouped.items() if len(labels) == 1}


def _read_table(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > TABLE_BYTES:
            raise DataError(f"--labels {path} has over {TABLE_BYTES >> 20} MiB: it can hardly be a label file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"--labels {path}: {error.strerror}; give auto, folder, none, or a CSV or JSON file of names and labels"
        ) from error
    table = _table(data, str(path))
    if not table:
        raise DataError(f"--labels {path} holds no labels; write lines of name,label")
    return table


def _read_entry(source: Source, entry: Entry) -> bytes:
    try:
        opened = source.reader.read(entry)
    except Rejected as error:
        raise DataError(
            f"{entry.name} of {source.kind} cannot be read ({error.detail}); --labels none ignores it"
        ) from error
    with cast(IO[bytes], opened) as file:
        return file.read(TABLE_BYTES)


def _table(data: bytes, name: str, remedy: str = "") -> dict[str, str] | None:
    """A label file as label by name; None when it is a StyleGAN `dataset.json` that says there are no labels."""
    try:
        text = data.decode("utf-8-sig")
        if name.lower().endswith(".json"):
            return _from_json(json.loads(text), name, remedy)
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{name} cannot be read as labels ({error}); write lines of name,label in UTF-8{remedy}"
        ) from error
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


def _from_json(content: Any, name: str, remedy: str) -> dict[str, str] | None:
    """{"a.png": 3}, [["a.png", 3], ...], or either of them under "labels", as the StyleGAN tools write it."""
    if isinstance(content, dict) and "labels" in content and not isinstance(content["labels"], str | int):
        content = content["labels"]
        if content is None:
            return None
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
    table: dict[str, str] = {}
    for key, label in pairs:
        key = key.replace("\\", "/").removeprefix("./")
        if table.setdefault(key, label) != label:
            raise DataError(f"{name} gives {key!r} two labels, {table[key]!r} and {label!r}; keep one")
    return table


def _only(labelling: Labelling, only: Sequence[str]) -> Labelling:
    """Only the classes named, in the order of the source."""
    known = labelling.classes
    if missing := [name for name in only if name not in known]:
        there = f"the classes are {_some(known, 20)}" if known else "the pictures have no labels"
        raise DataError(f"--only {missing[0]}: {there}")
    kept, names, left_out = [], [], labelling.left_out
    for entry, label in zip(labelling.entries, labelling.labels, strict=True):
        if known[label] in only:
            kept.append(entry)
            names.append(known[label])
        else:
            left_out.append(LeftOut(entry.name, "not-asked-for", known[label]))
    classes = tuple(name for name in known if name in only)
    chosen = _indexed(kept, names, classes, f"{labelling.why}, only {_some(classes)}", left_out)
    chosen.warnings = labelling.warnings
    return chosen


def _indexed(
    entries: list[Entry], names: Sequence[str], classes: tuple[str, ...], why: str, left_out: list[LeftOut]
) -> Labelling:
    index = {name: number for number, name in enumerate(classes)}
    return Labelling(entries, [index[name] for name in names], classes, why, left_out)


def _ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Class names in their order: by number when all are numbers, by name otherwise."""
    distinct = set(names)
    if all(name.isdecimal() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def _some(names: Sequence[str], limit: int = 5) -> str:
    """A few of the names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def class_counts(labels: Sequence[int], classes: Sequence[str]) -> list[int]:
    """How many pictures each class has."""
    counted = Counter(labels)
    return [counted[number] for number in range(len(classes))]
