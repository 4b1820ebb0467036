"""Which class each picture has: from class folders, a table, a StyleGAN `dataset.json`, or the source itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ganforge.data.label_tables import Table
from ganforge.data.sources import Entry, LeftOut, Source
from ganforge.errors import DataError

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
FEW = 50  # a class of fewer pictures is warned about
IMBALANCE = 20  # and so is a largest class of more than this many times the smallest


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


def find_labels(source: Source, table: Table | None, option: str, only: Sequence[str] = ()) -> Labelling:
    """Find every entry's class.

    Args:
        source: the pictures; best when files that are none have left it.
        table: from `take_table`.
        option: `auto`, `folder`, `none`, or the file that the table is from.
        only: class names to keep; all when empty.

    Raises:
        DataError: the labels asked for are not there, or `only` names no class.
    """
    if option == "none":
        labelling = _unlabelled(source, "none, as --labels none asks")
    elif table is not None and not table.labels:
        labelling = _unlabelled(source, f"none, {table.why}")
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


def _from_table(source: Source, table: Table) -> Labelling:
    """Labels by path, or by what is left of it without folders or ending, where that is one file's alone."""
    exact, by_name = table.labels, table.without_folders()
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
