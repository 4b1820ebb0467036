"""`incidents.jsonl`: what went wrong in a run and what was done about it, a line each."""

import time
from collections.abc import Callable
from pathlib import Path

from ganforge.observers.base import Observer, Session
from ganforge.observers.jsonl import append_line
from ganforge.training.loop import StepReport


def record(folder: Path, kind: str, images: int, what: str, done: str, **evidence: object) -> None:
    """Add an incident: its kind, the clock, what was seen, what was done, and the figures that show it."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "kind": kind, "images": images, "what": what, "done": done}
    append_line(folder / "incidents.jsonl", {**line, **evidence})


class Incidents(Observer):
    """Records what the loop mended by itself: memory that ran out, and the micro-batch that it goes on with."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self.session, self.say = session, say

    def __call__(self, report: StepReport) -> None:
        if report.out_of_memory:
            where = self.session.phase_name(report.position)
            what = f"out of memory at {where}, batch {report.position.phase.batch}"
            done = f"the step was computed in micro-batches of {report.micro_batch}; so are the next ones"
            record(
                self.session.folder,
                "out of memory",
                report.images,
                what,
                done,
                step=report.step,
                resolution=report.position.phase.resolution,
                micro_batch=report.micro_batch,
            )
            self.say(f"{what}: {done}")
