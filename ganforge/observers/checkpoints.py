"""`checkpoints/`: written as time or images pass, at each phase's end and at the end, in the background."""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from ganforge import checkpoint
from ganforge.errors import ConfigError
from ganforge.observers.base import Observer, Session, passed, stopped_cleanly
from ganforge.observers.patience import FULL
from ganforge.training.loop import StepReport


@dataclass(frozen=True)
class Interval:
    """How often: `10min` of time, or `5kimg` of images."""

    seconds: float | None
    images: int | None

    @classmethod
    def parse(cls, text: str, option: str = "--checkpoint-every") -> "Interval":
        """Read `10min`, `90s`, `2h`, `5kimg` or `500img`. Raises ConfigError for anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|img|kimg)", text.strip())
        if not match or float(match[1]) <= 0:
            raise ConfigError(f"{option} {text!r}: write a time or a count of images, as 10min or 5kimg")
        value, unit = float(match[1]), match[2]
        if unit in ("img", "kimg"):
            return cls(None, max(1, round(value * (1000 if unit == "kimg" else 1))))
        return cls(value * {"s": 1, "min": 60, "h": 3600}[unit], None)


class Copies:
    """Copies of a state that a background write owns, in memory that is used again: fresh memory costs page faults."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def make_room(self, content: Any) -> None:
        """Have the memory for a copy of `content` ready; reads no more of its tensors than their shapes."""
        self._walk(content, "", lambda like, tensor: like)

    def take(self, content: Any) -> Any:
        """A deep copy of plain types and tensors, the tensors on the CPU; the copy before it is overwritten."""
        return self._walk(content, "", lambda like, tensor: like.copy_(tensor.detach()))

    def _walk(self, content: Any, place: str, fill: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Any:
        if isinstance(content, torch.Tensor):
            return fill(self._room(place, content), content)
        if isinstance(content, dict):
            return {key: self._walk(value, f"{place}/{key}", fill) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self._walk(value, f"{place}/{index}", fill) for index, value in enumerate(content)]
        return content

    def _room(self, place: str, tensor: torch.Tensor) -> torch.Tensor:
        like = self.tensors.get(place)
        layout = tensor.shape, tensor.dtype, tensor.stride()
        if like is None or (like.shape, like.dtype, like.stride()) != layout:
            # Zeros written, not asked for: the pages are there afterwards. A GPU copies faster to pinned memory.
            like = torch.empty_like(tensor, device="cpu", requires_grad=False, pin_memory=tensor.is_cuda).zero_()
            self.tensors[place] = like
        return like


def finite(content: Any) -> bool:
    """Whether no tensor within plain types holds a NaN or an infinity."""
    if isinstance(content, torch.Tensor):
        return not content.is_floating_point() or bool(content.abs().amax().isfinite() if content.numel() else True)
    if isinstance(content, dict):
        return all(map(finite, content.values()))
    return all(map(finite, content)) if isinstance(content, list | tuple) else True


def size_of(content: Any) -> int:
    """Bytes of all tensors within plain types."""
    if isinstance(content, torch.Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, dict):
        return sum(map(size_of, content.values()))
    return sum(map(size_of, content)) if isinstance(content, list | tuple) else 0


def in_background(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Start `work` in a thread that ends with it.

    A thread that has computed with torch holds worker threads of its own while it lives, and where OpenMP's threads are
    more than the cores, idle ones sleep at once instead of waiting for more: on two cores every step of the run then
    took 1.6 times as long.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
    future = executor.submit(work, *arguments)
    executor.shutdown(wait=False)
    return future


class Checkpoints(Observer):
    """Copies the state between two steps, then writes it while training goes on.

    Keeps the newest `keep`, the end of each phase, and what others add to `kept`. Nothing is written of a state that is
    not `healthy` or that holds a NaN. A full disk is an OSError at the next step (`Patient` waits for space); any other
    failure is said, and tried again when the next checkpoint is due. What was there stays whole.
    """

    def __init__(
        self,
        session: Session,
        every: Interval,
        keep: int = 3,
        say: Callable[[str], None] = print,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self.session, self.every, self.keep, self.say, self.healthy = session, every, max(keep, 2), say, healthy
        self.folder = session.folder / "checkpoints"
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self.saved = session.state.images if checkpoint.list_checkpoints(session.folder) else -1
        self.owed = False
        self.last = time.monotonic()
        self.pending: Future[bool] | None = None
        self.copies, self.row = Copies(), -1
        self.room: Future[None] | None = None
        self.kept = {path for path in checkpoint.list_checkpoints(session.folder) if self._ends_phase(path)}

    def _ends_phase(self, path: Path) -> bool:
        images = int(path.stem.rsplit("-", 1)[1])
        steps = [(row.end, row.phase.batch * self.session.config.updates.d_per_g) for row in self.session.schedule.rows]
        return any(end <= images < end + most for end, most in steps)

    def __call__(self, report: StepReport) -> None:
        if self.pending is not None and self.pending.done():
            self._join()
        if report.position.index != self.row:
            # Each phase trains more layers than the one before: room for their copies, before they are due.
            self.row = report.position.index
            self.room = in_background(self._make_room, self._under_way(), self.session.state.content())
        ended = report.images >= report.position.end
        by_time = self.every.seconds is not None and time.monotonic() - self.last >= self.every.seconds
        by_images = self.every.images is not None and passed(report, self.every.images)
        if self.owed:
            self.save(keep=ended)
            self._join()  # a disk that is still full is found out here, and not a step later
        elif ended or by_time or by_images:
            self.save(keep=ended)

    def save(self, *, keep: bool = False) -> None:
        """Copy the state now, write it in the background; waits only for a write that is still under way."""
        self._join()
        self.last = time.monotonic()
        if self.saved == self.session.state.images or not self.healthy():
            return
        path = self.folder / checkpoint.checkpoint_name(self.session.state.images)
        if keep:
            self.kept.add(path)
        self.saved = self.session.state.images
        if self.room is not None:
            self.room.result()
        self.pending = in_background(self._write, path, self.copies.take(self.session.state.content()))

    def _under_way(self) -> list[Future[Any]]:
        """What may be at the copies."""
        return [future for future in (self.pending, self.room) if future is not None]

    def _make_room(self, before: list[Future[Any]], content: dict[str, Any]) -> None:
        wait(before)
        self.copies.make_room(content)

    def _write(self, path: Path, content: dict[str, Any]) -> bool:
        """Whether there is a checkpoint now: a state with a NaN in it is not written."""
        if not finite(content):
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        need = size_of(content)
        if shutil.disk_usage(self.folder).free < need * 1.02 + (1 << 20):
            # Found out before gigabytes are written that would take the last space from other programs.
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (a checkpoint needs {need / 1e6:.0f} MB)")
        checkpoint.write(path, content)
        others = [other for other in checkpoint.list_checkpoints(self.session.folder) if other not in self.kept]
        for old in others[: -self.keep]:
            old.unlink(missing_ok=True)
        return True

    def _join(self) -> None:
        """Wait for the write under way. Raises OSError for a full disk; the checkpoint is owed then."""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        try:
            written = pending.result()
        except OSError as error:
            self.saved = -1
            self.owed = error.errno in FULL
            if self.owed:
                raise
            self.say(
                f"checkpoint not written: {error.strerror or error}; the one before it is whole, trying again later"
            )
            return
        self.owed = False
        if not written:
            self.saved = -1
            self.say("checkpoint not written: there are NaNs or infinities in the weights; the one before it is whole")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if stopped_cleanly(kind) and self.session.state.step:
                self._finish()
        finally:
            wait(self._under_way())

    def _finish(self) -> None:
        ended = self.session.state.images >= self.session.schedule.images
        for _ in range(2):  # a write under way may fail for want of space that is there by now
            try:
                self.save(keep=ended)
                self._join()
                return
            except OSError as error:
                reason = error.strerror or str(error)
        self.say(f"checkpoint not written: {reason}; the one before it is whole")
