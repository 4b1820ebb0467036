"""How a preparation and a dataset are shown on a terminal, or in plain lines where there is none."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ganforge.data.ledger import Listener, shown, trait_key
from ganforge.data.problems import REASONS, TRAITS, Problem

PLAIN_SECONDS = 10.0  # between the lines of progress where there is no terminal
CLASSES_SHOWN = 20
GROUPS_SHOWN = 10


class Display(Listener):
    """Notes, warnings and progress on stderr."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._stages: dict[str, tuple[TaskID, float]] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        self.console.print(escape(shown(text)))

    def warn(self, text: str) -> None:
        self.console.print(f"[yellow]warning:[/yellow] {escape(shown(text))}")

    def progress(self, what: str, done: int, total: int) -> None:
        if what not in self._stages:
            for task, _ in self._stages.values():
                self._progress.update(task, visible=False)
            self._stages[what] = self._progress.add_task(what, total=total, rate=""), time.monotonic()
        task, began = self._stages[what]
        rate = f"{done / max(1e-3, time.monotonic() - began):,.0f}/s"
        self._progress.update(task, completed=done, rate=rate)
        if not self.console.is_terminal and time.monotonic() > self._last_line + PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self.console.print(f"{what}: {done} of {total}, {rate}")


def show_dataset(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """The summary of a dataset, from its `dataset.json`: on stderr unless another console is given."""
    console = console or Console(stderr=True, highlight=False)
    table = Table(title=f"dataset {escape(shown(facts['name']))}", title_justify="left", show_header=False)
    left_out = sum(entry["count"] for entry in facts["left_out"].values())
    taken = facts["source"]["files"] - left_out
    rows = [
        ("files given", f"{facts['source']['files']:,} ({facts['source']['kind']})"),
        ("kept", f"{taken:,}" + (f", {facts['holdout']:,} of them held out" if facts.get("holdout") else "")),
        ("left out", f"{left_out:,}"),
        *((f"  {name}", f"{entry['count']:,}: {REASONS[name].what}") for name, entry in facts["left_out"].items()),
        ("levels", " ".join(f"{height}x{width}" for height, width in facts["sizes"])),
        ("channels", str(facts["channels"])),
        ("mirrored", "yes, in training" if facts["mirror"] else "no"),
        ("sizes seen", _sizes(facts["seen"])),
        ("classes", _classes(facts["classes"], facts["class_counts"])),
        ("bytes", f"{sum(entry['bytes'] for entry in facts['arrays'].values()):,}"),
    ]
    for name, value in rows:
        table.add_row(escape(name), escape(shown(value)))
    console.print(table)
    _show_noticed(facts, console)


def show_check(facts: Mapping[str, Any], groups: Mapping[str, Sequence[tuple[str, int | None]]]) -> None:
    """Every problem that a check found, on stdout."""
    console = Console(highlight=False)
    table = Table("what", "pictures", "examples", "what would treat it", title="problems", title_justify="left")
    for name, entry in facts["left_out"].items():
        _add(table, f"left out: {REASONS[name].what}", entry, REASONS[name])
    for name, entry in facts["noticed"].items():
        problem = _noticed(name)
        _add(table, f"taken: {problem.what}", entry, problem)
    if table.row_count:
        console.print(table)
    left_out = sum(entry["count"] for entry in facts["left_out"].values())
    for text in facts["warnings"]:
        console.print(f"warning: {escape(shown(text))}", soft_wrap=True)
    largest = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    for first, twins in largest[:GROUPS_SHOWN]:
        names = ", ".join(shown(name) for name, _ in twins[:4]) + (" ..." if len(twins) > 4 else "")
        console.print(escape(f"{len(twins)} duplicates of {shown(first)}: {names}"), soft_wrap=True)
    if len(groups) > GROUPS_SHOWN:
        console.print(f"and {len(groups) - GROUPS_SHOWN} more groups of duplicates")
    files = facts["source"]["files"]
    console.print(f"{files} files: {files - left_out} would be kept, {left_out} left out; nothing was written")


def _show_noticed(facts: Mapping[str, Any], console: Console) -> None:
    for name, entry in facts["noticed"].items():
        problem = _noticed(name)
        console.print(escape(f"{entry['count']:,} pictures: {problem.what} ({problem.remedy})"), soft_wrap=True)


def _noticed(name: str) -> Problem:
    """What is said of pictures that were taken: a trait of theirs, or that they are duplicates."""
    return next((problem for trait, problem in TRAITS.items() if trait_key(trait) == name), None) or REASONS[name]


def _add(table: Table, what: str, entry: Mapping[str, Any], problem: Problem) -> None:
    examples = "\n".join(escape(shown(name)) for name in entry["examples"])
    table.add_row(escape(what), f"{entry['count']:,}", examples, escape(problem.remedy))


def _sizes(seen: Mapping[str, Any]) -> str:
    (height, width), count = seen["most_common"][0]
    if seen["distinct"] == 1:
        return f"{height}x{width}"
    small, large = seen["smallest"], seen["largest"]
    return (
        f"{seen['distinct']:,}, from {small[0]}x{small[1]} to {large[0]}x{large[1]}; "
        f"the most frequent is {height}x{width} ({count:,})"
    )


def _classes(classes: Sequence[str], counts: Sequence[int]) -> str:
    if not classes:
        return "none"
    named = [f"{name} {count:,}" for name, count in zip(classes, counts, strict=True)]
    more = f", and {len(named) - CLASSES_SHOWN} more" if len(named) > CLASSES_SHOWN else ""
    return f"{len(classes)}: " + ", ".join(named[:CLASSES_SHOWN]) + more
