"""From any pictures to a dataset folder: list, find labels, survey, choose sizes, convert, write, publish."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ganforge
from ganforge.data import stacked
from ganforge.data.batches import Batch, Headers, Pictures
from ganforge.data.dataset import FORMAT, HOLDOUT, Dataset
from ganforge.data.label_tables import take_table
from ganforge.data.labels import Labelling, class_counts, find_labels, imbalance_warnings
from ganforge.data.ledger import Ledger, Listener, shown, trait_key
from ganforge.data.named import DEMO, DEMO_SIZE, PREFIX
from ganforge.data.opening import Wanted, default_name, open_source
from ganforge.data.pixels import Look, Seen
from ganforge.data.preview import write_preview
from ganforge.data.problems import REASONS, Trait
from ganforge.data.request import Request as Request
from ganforge.data.request import background_colour, check_request
from ganforge.data.sizes import Levels, choose_levels, parse_aspect
from ganforge.data.sorting import Groups, Sorter
from ganforge.data.sources import Entry, LeftOut, Source
from ganforge.data.workers import Died, Pool, Task
from ganforge.data.writing import (
    LEFT_OUT,
    DatasetWriter,
    check_out,
    publish,
    workspace,
    write_facts,
    write_left_out,
    write_rows,
)
from ganforge.errors import DataError

TASK_ITEMS = 256  # pictures that a worker gets at once, at most
TASK_BYTES = 1 << 21  # and bytes of pixels that it gives back
TASK_PIXELS = 1 << 23  # and pixels that it decodes
PIXEL_BUDGET = 90_000_000  # pixels that all workers together hold decoded, at 4 to 8 bytes each
MOST_WORKERS = 12  # unless --workers says otherwise: at 45 MiB each, all of it stays under 1.5 GiB
SMALLEST_SHARE = 4  # what reaches under this part of the largest level is too small, unless --min-side says otherwise
DUPLICATES = "duplicates.csv"
SPARE = 1 << 26  # bytes of disk to be left free


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        path: the dataset folder; None after a mere check.
        facts: what `dataset.json` holds; after a check, without the arrays.
        groups: duplicates, as (name, differing bits or None for the same pixels), by the name of the picture that they
            are duplicates of.
    """

    path: Path | None
    facts: Mapping[str, Any]
    groups: Groups


def prepare(request: Request, listener: Listener | None = None) -> Prepared:
    """Make a dataset folder of pictures, or with `request.check` only find everything that is wrong with them.

    Raises:
        DataError: an option makes no sense, the source cannot be read, nothing of it can be taken, the output exists or
            cannot be written, or the disk is too small.
    """
    check_request(request)
    out = request.out or Path("datasets") / default_name(request.source)
    place: AbstractContextManager[Path | str]
    if request.check:
        place = tempfile.TemporaryDirectory(prefix="ganforge-check-")
    else:
        _check_apart(request.source, out)
        check_out(out, force=request.force)
        place = workspace(out)
    ledger = Ledger(listener or Listener(), strict=request.on_error == "stop")
    with place as folder, Pool(_processes(request)) as pool:
        material = _gather(request, ledger, pool, Path(folder) / "scratch")
        if request.check:
            return _checked(request, ledger, pool, material)
        finished = Path(folder) / "dataset"
        first = Path(folder) / "grey" if request.stacked else finished
        with ExitStack() as stack:
            writers = _writers(request, material, first, stack)
            facts, groups = _write(request, ledger, pool, material, writers, out.name)
        if request.stacked:
            facts = _write_stacks(request, ledger, first, finished)
        publish(finished, out)
    return Prepared(out, facts, groups)


@dataclass(frozen=True)
class _Material:
    """The pictures that are worth decoding, and what is to be made of them."""

    source: Source
    files: int
    labelling: Labelling
    seen: Sequence[Seen]
    levels: Levels
    look: Look


def _gather(request: Request, ledger: Ledger, pool: Pool, scratch: Path) -> _Material:
    """Everything that comes before the first pixel."""
    wanted = Wanted(
        request.source, request.split, request.root, request.demo_count, request.seed, request.max_res or DEMO_SIZE
    )
    source = open_source(wanted, scratch)
    files = len(source.entries) + len(source.left_out)
    if not files:
        raise DataError(f"{source.kind} holds no files; give one that holds pictures")
    ledger.choose(f"source: {source.kind}, {files} files")
    for note in source.notes:
        ledger.choose(f"source: {note}")
    table = take_table(source, request.labels)
    ledger.leave_out(source.left_out)
    seen = _survey(request, ledger, pool, source)
    if not seen:
        raise _nothing(ledger, files)
    labelling = find_labels(source, table, request.labels, request.only)
    ledger.leave_out(labelling.left_out)
    classes = f"; {len(labelling.classes)} classes" if labelling.classes else ""
    ledger.choose(f"labels: {labelling.why}{classes}")
    ledger.warn(labelling.warnings)
    if request.stacked:
        stacked.check_classes(labelling.classes)
    seen = _seen_of(labelling.entries, source.entries, seen)
    sizes = Counter((one.height, one.width) for one in seen)
    levels = choose_levels(sizes, request.max_res, parse_aspect(request.aspect))
    ledger.choose(f"sizes: {len(levels.sizes)} levels, {times(levels.sizes[0])} to {times(levels.size)}: {levels.why}")
    return _Material(source, files, labelling, seen, levels, _look(request, ledger, levels, seen))


def _survey(request: Request, ledger: Ledger, pool: Pool, source: Source) -> list[Seen]:
    """Read all headers; entries that turn out to be no pictures leave the source."""
    entries, total = source.entries, len(source.entries)
    tasks = (Task(entries[start : start + TASK_ITEMS]) for start in range(0, total, TASK_ITEMS))
    seen: list[Seen] = []
    kept: list[Entry] = []
    done = 0
    for task, answers in pool.map(Headers(source.reader, request.max_pixels), tasks):
        if isinstance(answers, Died):
            answers = [LeftOut(task.items[0].name, "decoder-died")]
        for entry, answer in zip(task.items, answers, strict=True):
            if isinstance(answer, LeftOut):
                ledger.leave_out([answer])
            else:
                seen.append(answer)
                kept.append(entry)
        done += len(task.items)
        ledger.listener.progress("reading headers", done, total)
    source.entries = kept
    return seen


def _seen_of(chosen: Sequence[Entry], entries: Sequence[Entry], seen: list[Seen]) -> list[Seen]:
    """What was seen of the entries that were chosen; both are in the order of all entries."""
    if len(chosen) == len(entries):
        return seen
    wanted = {id(entry) for entry in chosen}
    return [one for entry, one in zip(entries, seen, strict=True) if id(entry) in wanted]


def _look(request: Request, ledger: Ledger, levels: Levels, seen: Sequence[Seen]) -> Look:
    channels = request.channels
    if request.stacked:
        channels = "1"
        ledger.choose("channels: 1, for each picture becomes one channel of a stack")
    elif channels == "auto":
        grey = all(one.grey for one in seen)
        channels = "1" if grey else "3"
        if grey:
            ledger.choose("channels: 1, for all pictures are grey (--channels 3 makes them RGB)")
    else:
        ledger.choose(f"channels: {channels}, as --channels asks")
    smallest = request.min_side if request.min_side is not None else max(1, levels.resolution // SMALLEST_SHARE)
    return Look(levels.size, int(channels), request.fit, request.crop, background_colour(request.background), smallest)


def _convert(
    request: Request, ledger: Ledger, pool: Pool, material: _Material, writers: Sequence[DatasetWriter]
) -> Sorter:
    """Convert all pictures, and write those that are kept where there are writers."""
    near = request.dedupe == "near" or request.check
    levels = len(material.levels.sizes) if writers else 0
    function = Pictures(material.source.reader, material.look, request.max_pixels, levels, impressions=near)
    sorter = Sorter(ledger, request.dedupe, request.near_distance, request.holdout, writers)
    entries, labels = material.labelling.entries, material.labelling.labels
    done = 0
    what = "converting" if writers else "checking"
    for task, result in pool.map(function, _tasks(entries, material.seen, material.look), PIXEL_BUDGET):
        batch = Batch(left_out={0: LeftOut(task.items[0].name, "decoder-died")}) if isinstance(result, Died) else result
        sorter.take(batch, task.items, labels[done : done + len(task.items)])
        done += len(task.items)
        ledger.listener.progress(what, done, len(entries))
    if not sorter.labels:
        raise _nothing(ledger, material.files)
    classes = material.labelling.classes
    if classes:
        ledger.warn(imbalance_warnings(classes, class_counts(sorter.labels, classes)))
    enlarged = ledger.noticed.counts[trait_key(Trait.ENLARGED)]
    if enlarged > len(sorter.labels) / 10:
        ledger.warn(
            [f"{enlarged} of {len(sorter.labels)} pictures were enlarged; a smaller --max-res would show them sharp"]
        )
    if sorter.conflicts and classes:
        ledger.warn([f"{sorter.conflicts} duplicates have another label than the picture that they are duplicates of"])
    return sorter


def _tasks(entries: Sequence[Entry], seen: Sequence[Seen], look: Look) -> Iterator[Task[Entry]]:
    """Entries in portions of about equal work, weighed by the largest picture in them."""
    each = look.channels * look.size[0] * look.size[1]
    most = max(1, min(TASK_ITEMS, TASK_BYTES // each))
    start, total, largest = 0, 0, 0
    for number, one in enumerate(seen):
        pixels = one.height * one.width
        if number > start and (number - start >= most or total + pixels > TASK_PIXELS):
            yield Task(entries[start:number], largest)
            start, total, largest = number, 0, 0
        total += pixels
        largest = max(largest, pixels)
    if start < len(entries):
        yield Task(entries[start:], largest)


def _checked(request: Request, ledger: Ledger, pool: Pool, material: _Material) -> Prepared:
    sorter = _convert(request, ledger, pool, material, [])
    facts = _facts(request, ledger, material, sorter)
    return Prepared(None, facts, sorter.groups)


def _writers(request: Request, material: _Material, folder: Path, stack: ExitStack) -> list[DatasetWriter]:
    """What writes the pictures to `folder`, for training and, if some are to be held out, for those."""
    sizes, channels = material.levels.sizes, material.look.channels
    _check_disk(folder.parent, len(material.seen), channels, sizes)
    if request.stacked:
        _check_disk(folder.parent, sum(request.stacks), stacked.CHANNELS, sizes)
    folders = [folder, folder / HOLDOUT] if request.holdout else [folder]
    return [stack.enter_context(DatasetWriter(each, channels, sizes)) for each in folders]


def _write(
    request: Request, ledger: Ledger, pool: Pool, material: _Material, writers: Sequence[DatasetWriter], name: str
) -> tuple[dict[str, Any], Groups]:
    """Write the whole dataset."""
    folder, channels = writers[0].folder, material.look.channels
    sorter = _convert(request, ledger, pool, material, writers)
    only_grey = request.channels == "auto" and channels == 3 and sorter.only_grey
    if only_grey:
        ledger.choose("channels: 1, for all pictures turned out grey (--channels 3 makes them RGB)")
    elif request.channels == "auto" and channels == 3:
        ledger.choose("channels: 3, for not all pictures are grey")
    facts = _facts(request, ledger, material, sorter) | {"name": name}
    held = _write_holdout(writers[1], facts, only_grey=only_grey) if request.holdout else 0
    if request.holdout and not held:
        ledger.warn([f"--holdout {request.holdout:g} of {len(sorter.labels)} pictures is none: nothing was held out"])
    facts |= {"holdout": held, "warnings": ledger.warnings}
    _finish(writers[0], facts, only_grey=only_grey)
    write_left_out(folder, ledger.left_out)
    if sorter.groups:
        rows = ((first, n, "" if d is None else d) for first, twins in sorter.groups.items() for n, d in twins)
        write_rows(folder / DUPLICATES, ("picture", "duplicate", "differing_bits"), rows)
    write_preview(Dataset.open(folder), folder / "preview.png")
    return facts, sorter.groups


def _write_stacks(request: Request, ledger: Ledger, first: Path, folder: Path) -> dict[str, Any]:
    """Write the dataset of stacks that are made of the grey one in `first`, whose facts it keeps but for its pictures.

    The fact `holdout` goes on counting source pictures: of those that are held out, and of no others, the held-out
    stacks are made.
    """
    grey = Dataset.open(first)
    held_out = grey.holdout
    count, held = request.stacks if held_out else (sum(request.stacks), 0)
    sizes = [grey.size(resolution) for resolution in grey.resolutions]
    classes = stacked.class_names(len(grey.classes))
    more = f", and {held} of the {held_out.count} held out" if held_out and held else ""
    ledger.choose(f"stacks: {count} of {grey.count} pictures{more}; {len(classes)} classes")
    parts = [("training", grey, folder, count), ("holdout", held_out, folder / HOLDOUT, held)]
    for part, pictures, place, stacks in parts:
        if pictures is None or not stacks:
            continue
        made = {"channels": stacked.CHANNELS, "pictures": pictures.count, "seed": request.seed, "part": part}
        own = dict(pictures.facts) | {"chosen": ledger.chosen, "classes": classes}
        own |= {"stack": made | {"classes": list(pictures.classes)}}
        with DatasetWriter(place, stacked.CHANNELS, sizes) as writer:
            indices = stacked.draw(pictures.count, stacks, request.seed, part)
            stacked.write_stacks(pictures, indices, writer, ledger.listener.progress)
            _finish(writer, own, only_grey=False)
    for name in (LEFT_OUT, DUPLICATES):
        if (first / name).exists():
            (first / name).rename(folder / name)
    written = Dataset.open(folder)
    write_preview(written, folder / "preview.png")
    return dict(written.facts)


def _write_holdout(writer: DatasetWriter, facts: dict[str, Any], *, only_grey: bool) -> int:
    """Complete the held-out part, or remove it when nothing is in it; how many pictures it has."""
    if not writer.count:
        shutil.rmtree(writer.folder)
        return 0
    own = facts | {"name": f"{facts['name']}-{HOLDOUT}", "holdout": 0}
    _finish(writer, own, only_grey=only_grey)
    return writer.count


def _finish(writer: DatasetWriter, facts: dict[str, Any], *, only_grey: bool) -> None:
    """Complete a dataset's arrays and write its facts, which are completed too."""
    classes = facts["classes"]
    facts["arrays"] = writer.finish(only_grey=only_grey, labelled=bool(classes))
    facts["count"] = writer.count
    facts["channels"] = writer.channels
    facts["class_counts"] = class_counts(writer.labels, classes)
    write_facts(writer.folder, facts)


def _facts(request: Request, ledger: Ledger, material: _Material, sorter: Sorter) -> dict[str, Any]:
    """What `dataset.json` says, before the arrays are known."""
    sizes = Counter((one.height, one.width) for one in material.seen)
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    classes = list(material.labelling.classes)
    return {
        "format": FORMAT,
        "program": f"ganforge {ganforge.__version__}",
        "created": datetime.now(UTC).isoformat(),
        "name": "",
        "count": len(sorter.labels),
        "channels": material.look.channels,
        "base": list(material.levels.base),
        "resolutions": list(material.levels.resolutions),
        "sizes": [list(size) for size in material.levels.sizes],
        "classes": classes,
        "class_counts": class_counts(sorter.labels, classes),
        "mirror": request.mirror,
        "source": {"given": request.source, "kind": material.source.kind, "files": material.files},
        "options": {name: value for name, value in asdict(request).items() if name not in ("source", "force", "check")}
        | {"root": str(request.root), "out": None if request.out is None else str(request.out)},
        "seen": {
            "distinct": len(sizes),
            "smallest": list(by_area[0]),
            "largest": list(by_area[-1]),
            "most_common": [[list(size), count] for size, count in sizes.most_common(5)],
        },
        **ledger.facts(),
    }


# -- refusing what cannot work -------------------------------------------------------------------------------------


def times(size: Sequence[int]) -> str:
    """A size as words: height first."""
    return f"{size[0]}x{size[1]}"


def _processes(request: Request) -> int:
    if request.workers is not None:
        return request.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def _check_apart(source: str, out: Path) -> None:
    """Refuse to write the dataset over, or into the place of, what it is made of."""
    if source == DEMO or source.startswith(PREFIX) or not os.path.exists(source):
        return
    here, there = Path(source).resolve(), out.resolve()
    if here == there or there in here.parents:
        raise DataError(f"--out {out} holds the pictures themselves; choose another folder")


def _check_disk(folder: Path, count: int, channels: int, sizes: Sequence[tuple[int, int]]) -> None:
    """Refuse what would fill the disk."""
    each = channels * sum(height * width for height, width in sizes)
    needed, free = count * (each + 8) + SPARE, shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{count} pictures of up to {times(sizes[-1])} need {gibibytes(needed)} and the disk of {folder.parent} "
            f"has {gibibytes(free)} free; a smaller --max-res needs a quarter for each halving"
        )


def gibibytes(number: float) -> str:
    """Bytes in GiB, or in MiB where that is clearer."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def _nothing(ledger: Ledger, files: int) -> DataError:
    """Nothing is left of what was given."""
    reason, count = ledger.left_tally.counts.most_common(1)[0]
    problem, example = REASONS[reason], shown(ledger.left_tally.examples[reason][0])
    return DataError(
        f"none of the {files} files can be taken: {problem.what} ({count}, as {example}); {problem.remedy}"
    )
