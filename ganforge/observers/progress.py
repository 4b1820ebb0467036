"""What the user sees of a run: a live display in a terminal, plain lines anywhere else. Both go to stderr."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ganforge.observers.base import Observer, Session
from ganforge.training.loop import StepReport, effective_ratio, figures
from ganforge.training.speed import Cost, seconds_left

LIVE_EVERY, LINE_EVERY = 0.5, 10.0  # seconds
SURE = 5.0  # seconds


def clock(seconds: float) -> str:
    """`42s`, `3m 05s`, `2h 10m` or `4d 3h`."""
    whole = round(seconds)
    for size, unit, small_size, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small_size:02d}{small}"
    return f"{whole}s"


class Progress(Observer):
    """Phase, alpha, losses, penalties, images/s, elapsed and time left."""

    def __init__(self, session: Session, costs: Sequence[Cost], console: Console) -> None:
        self.session, self.costs, self.console = session, costs, console
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self.began = self.last = time.monotonic()
        self.window: list[tuple[float, int]] = [(self.began, session.state.images)]
        self.row, self.last_step = -1, self.began

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __call__(self, report: StepReport) -> None:
        now = time.monotonic()
        phase_began = report.position.index != self.row
        if phase_began:
            self.row, self.window = (
                report.position.index,
                [(self.last_step, report.began)] if self.row >= 0 else self.window,
            )
        self.last_step = now
        every = LIVE_EVERY if self.live else LINE_EVERY
        if now - self.last < every and not phase_began and report.images < self.session.schedule.images:
            return
        self.last = now
        self.window = [*self.window, (now, report.images)][-20:]
        (t0, i0), (t1, i1) = self.window[0], self.window[-1]
        seconds = (t1 - t0) / max(i1 - i0, 1)
        if self.live:
            self.live.update(self._panel(report, seconds))
        else:
            self.console.print(self._line(report, seconds), highlight=False, soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def left(self, report: StepReport, seconds: float) -> float:
        """Time left: the measured costs of the phases to come, corrected by how this one really goes.

        By all of it once that has been seen for `SURE` seconds: a phase's first step is longer than the others.
        """
        planned = self.costs[report.position.index].seconds
        sure = min((self.window[-1][0] - self.window[0][0]) / SURE, 1)
        correction = 1 + sure * (seconds / planned - 1) if planned else 1
        return seconds_left(self.session.schedule, self.costs, report.images) * correction

    def _line(self, report: StepReport, seconds: float) -> str:
        values = figures(self.session.state.figures)
        shown = [
            f"{name} {value:.3g}" for name, value in sorted(values.items()) if name.startswith(("loss", "penalty"))
        ]
        parts = [
            f"{report.images / 1000:.1f}/{self.session.schedule.images / 1000:.1f} kimg",
            self.session.phase_name(report.position),
            f"alpha {report.position.alpha:.2f}",
            *shown,
            *_ratio(values),
            f"{1 / seconds:.1f} img/s" if seconds else "",
            f"elapsed {clock(time.monotonic() - self.began)}",
            f"left {clock(self.left(report, seconds))}",
        ]
        return "  ".join(part for part in parts if part)

    def _panel(self, report: StepReport, seconds: float) -> Panel:
        total, position = self.session.schedule.images, report.position
        values = figures(self.session.state.figures)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self.session.phase_name(position), style="bold cyan"),
            f"alpha {position.alpha:.3f}",
            f"batch {position.phase.batch}",
            f"{report.images / 1000:.1f} of {total / 1000:.1f} kimg",
            *_ratio(values),
        )
        table = Table.grid(padding=(0, 2))
        groups: dict[str, list[str]] = {}
        for name, value in sorted(values.items()):
            group, _, key = name.partition("/")
            groups.setdefault(group, []).append(f"{key} {value:8.4g}")
        for group, cells in groups.items():
            table.add_row(Text(group, style="dim"), *cells)
        speed = Table.grid(padding=(0, 2))
        speed.add_row(
            f"{1 / seconds:.1f} images/s" if seconds else "",
            f"elapsed {clock(time.monotonic() - self.began)}",
            Text(f"left {clock(self.left(report, seconds))}", style="bold"),
        )
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total, completed=report.images))
        return Panel(Group(head, bar, table, speed), title=str(self.session.folder), title_align="left")


def _ratio(values: dict[str, float]) -> list[str]:
    """The effective D:G ratio where the gate changes it."""
    ratio = effective_ratio(values)
    return [] if ratio is None else [f"D:G {ratio:.2f}:1"]
