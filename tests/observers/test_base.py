from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import pytest
import torch

from ganforge.observers.base import Observer, observe, passed, stopped_cleanly
from ganforge.observers.progress import clock
from ganforge.training.loop import StepReport, train
from ganforge.training.state import TrainState
from toy import Toy, toy_config, toy_schedule


class Recorder(Observer):
    """Writes down what happens to it."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        self.name, self.seen = name, seen

    def __enter__(self) -> Self:
        self.seen.append((self.name, "in"))
        return self

    def __call__(self, report: StepReport) -> None:
        self.seen.append((self.name, report.images))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seen.append((self.name, "clean" if stopped_cleanly(kind) else "broken"))


def reports() -> Iterator[StepReport]:
    config = toy_config()
    return train(TrainState.create(config, torch.device("cpu")), Toy(), toy_schedule(config))


def test_every_observer_sees_every_report_in_order_and_the_end() -> None:
    seen: list[Any] = []
    watched = observe(reports(), [Recorder("a", seen), Recorder("b", seen)])
    assert next(watched).images == 8
    assert next(watched).images == 16
    watched.close()  # type: ignore[attr-defined]
    begun = [("a", "in"), ("b", "in"), ("a", 8), ("b", 8), ("a", 16), ("b", 16)]
    assert seen == [*begun, ("b", "clean"), ("a", "clean")]


def test_an_error_in_a_step_is_no_clean_stop() -> None:
    def failing() -> Iterator[StepReport]:
        yield next(reports())
        raise ArithmeticError

    seen: list[Any] = []
    with pytest.raises(ArithmeticError):
        list(observe(failing(), [Recorder("a", seen)]))
    assert seen[-1] == ("a", "broken")


def test_a_multiple_is_passed_wherever_the_run_began() -> None:
    due = [report.images for report in reports() if passed(report, 20)]
    assert due == [24, 40, 64, 80, 104, 120, 144, 160]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m 01s"), (3600, "1h 00m"), (86400 * 4 + 3600 * 3, "4d 03h")]
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert clock(seconds) == text
