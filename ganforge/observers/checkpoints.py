"""`checkpoints/`: written as time or images pass, at each phase's end and at the end, in the background."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from ganforge import checkpoint
from ganforge.errors import ConfigError
from ganforge.observers.base import Observer, Session, passed, stopped_cleanly
from ganforge.training.loop import StepReport


@dataclass(frozen=True)
class Interval:
    """How often: `10min` of time, or `5kimg` of images."""

    seconds: float | None
    images: int | None

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `10min`, `90s`, `2h`, `5kimg` or `500img`. Raises ConfigError for anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|img|kimg)", text.strip())
        if not match or float(match[1]) <= 0:
            raise ConfigError(f"--checkpoint-every {text!r}: write a time or a count of images, as 10min or 5kimg")
        value, unit = float(match[1]), match[2]
        if unit in ("img", "kimg"):
            return cls(None, max(1, round(value * (1000 if unit == "kimg" else 1))))
        return cls(value * {"s": 1, "min": 60, "h": 3600}[unit], None)


def snapshot(content: Any) -> Any:
    """A deep copy of plain types and tensors, the tensors on the CPU, that a background write owns."""
    if isinstance(content, torch.Tensor):
        return content.detach().to("cpu", copy=True)
    if isinstance(content, dict):
        return {key: snapshot(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [snapshot(value) for value in content]
    return content


class Checkpoints(Observer):
    """Copies the state between two steps, then writes it while training goes on.

    Keeps the newest `keep`, the end of each phase, and whatever `pinned` names. A full disk is said, and tried again at
    the next step that is due; what was there stays whole.
    """

    def __init__(self, session: Session, every: Interval, keep: int = 3, say: Callable[[str], None] = print) -> None:
        self.session, self.every, self.keep, self.say = session, every, max(keep, 2), say
        self.folder = session.folder / "checkpoints"
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self.saved = session.state.images if checkpoint.list_checkpoints(session.folder) else -1
        self.last = time.monotonic()
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self.pending: Future[None] | None = None
        self.kept = {path for path in checkpoint.list_checkpoints(session.folder) if self._ends_phase(path)}

    def _ends_phase(self, path: Path) -> bool:
        images = int(path.stem.rsplit("-", 1)[1])
        steps = [(row.end, row.phase.batch * self.session.config.updates.d_per_g) for row in self.session.schedule.rows]
        return any(end <= images < end + most for end, most in steps)

    def __call__(self, report: StepReport) -> None:
        ended = report.images >= report.position.end
        by_time = self.every.seconds is not None and time.monotonic() - self.last >= self.every.seconds
        by_images = self.every.images is not None and passed(report, self.every.images)
        if ended or by_time or by_images:
            self.save(keep=ended)

    def save(self, *, keep: bool = False) -> None:
        """Copy the state now, write it in the background; waits only for a write that is still under way."""
        self._join()
        self.last = time.monotonic()
        if self.saved == self.session.state.images:
            return
        path = self.folder / checkpoint.checkpoint_name(self.session.state.images)
        if keep:
            self.kept.add(path)
        self.saved = self.session.state.images
        self.pending = self.writer.submit(self._write, path, snapshot(self.session.state.content()))

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.write(path, content)
        others = [other for other in checkpoint.list_checkpoints(self.session.folder) if other not in self.kept]
        for old in others[: -self.keep]:
            old.unlink(missing_ok=True)

    def _join(self) -> None:
        if self.pending is None:
            return
        try:
            self.pending.result()
        except OSError as error:
            self.saved = -1
            self.say(
                f"checkpoint not written: {error.strerror or error}; the one before it is whole, trying again later"
            )
        self.pending = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if stopped_cleanly(kind) and self.session.state.step:
            self.save(keep=self.session.state.images >= self.session.schedule.images)
        self._join()
        self.writer.shutdown()
