"""A full disk is waited for: the run pauses, says so, and goes on when there is space again."""

import errno
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ganforge.observers.base import Observer
from ganforge.training.loop import StepReport

FULL = (errno.ENOSPC, errno.EDQUOT)
PAUSE = 5.0  # seconds between two tries


class Patient(Observer):
    """Calls another observer, again and again while the disk is full, until it succeeds or the run is to stop."""

    def __init__(self, inner: Observer, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        self.inner, self.say, self.stopping = inner, say, stopping

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __call__(self, report: StepReport) -> None:
        paused = False
        while True:
            try:
                self.inner(report)
                if paused:
                    self.say("there is space again: going on")
                return
            except OSError as error:
                if error.errno not in FULL:
                    raise
                if not paused:
                    self.say(f"{error.strerror}: paused; make space and the run goes on by itself, Ctrl-C ends it")
                paused = True
            deadline = time.monotonic() + PAUSE
            while time.monotonic() < deadline:
                if self.stopping():
                    return
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inner.__exit__(kind, error, trace)
