"""Who watches a run: context managers called with each report, that see the state only between steps."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ganforge.config import RunConfig
from ganforge.data.dataset import Dataset
from ganforge.schedule import Position, Schedule
from ganforge.training.loop import StepReport
from ganforge.training.state import TrainState


@dataclass(frozen=True)
class Session:
    """A run under way: its folder, configuration, state, schedule and pictures."""

    folder: Path
    config: RunConfig
    state: TrainState
    schedule: Schedule
    dataset: Dataset

    @property
    def tick(self) -> int:
        """Images between two lines of the log: a two-hundredth of the run, at most 4,000."""
        return max(1, min(self.schedule.images // 200, 4000))

    def phase_name(self, position: Position) -> str:
        """As `16x16 fading`, H first; networks that do not grow have only the size."""
        height, width = self.config.network.size(position.phase.resolution)
        growing = len({row.phase.resolution for row in self.schedule.rows}) > 1
        suffix = "" if not growing else " fading" if position.fading else " stable"
        return f"{height}x{width}{suffix}"


class Observer:
    """Does something after some steps. `__exit__` is called however the run ends."""

    def __enter__(self) -> Self:
        return self

    def __call__(self, report: StepReport) -> None:
        raise TypeError(f"{type(self).__name__} does not observe")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def observe(reports: Iterable[StepReport], observers: Sequence[Observer]) -> Iterator[StepReport]:
    """Call every observer with every report, in order, and pass the reports on."""
    with ExitStack() as stack:
        entered = [stack.enter_context(observer) for observer in observers]
        for report in reports:
            for observer in entered:
                observer(report)
            yield report


def stopped_cleanly(kind: type[BaseException] | None) -> bool:
    """Whether a run ended between two steps: at its end, or because its loop was left."""
    return kind is None or kind is GeneratorExit


def passed(report: StepReport, every: int) -> bool:
    """Whether a step took the clock past a multiple of `every` images: the same in a run that was resumed."""
    return report.images // every != report.began // every
