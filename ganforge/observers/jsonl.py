"""`log.jsonl`: one line a tick; a resumed run takes the lines after its checkpoint out and writes them anew."""

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganforge.observers.base import Observer, Session, passed
from ganforge.training.loop import StepReport, effective_ratio, figures

# What differs between two runs that are otherwise the same.
TIMES = ("images_per_second", "elapsed", "memory_mb")


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add one JSON line to a file. Raises OSError, and then nothing was added."""
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        line = (json.dumps(record) + "\n").encode()
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":  # a kill cut the last line short
            line = b"\n" + line
        try:
            if file.write(line) < len(line):  # what fits is written before a full disk is an error
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(end)
            raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A JSON-lines file's records; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


class JsonLog(Observer):
    """Writes images, phase, resolution, alpha, smoothed losses and penalties, images/s and memory, a line a tick."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.path = session.folder / "log.jsonl"
        kept = [line for line in read_lines(self.path) if line["images"] <= session.state.images]
        if kept or self.path.exists():
            text = "".join(json.dumps(line) + "\n" for line in kept)
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path)
        self.elapsed = kept[-1]["elapsed"] if kept else 0.0
        self.began, self.last, self.last_images = time.monotonic(), time.monotonic(), session.state.images

    def __call__(self, report: StepReport) -> None:
        if not passed(report, self.session.tick) and report.images < self.session.schedule.images:
            return
        state, position, now = self.session.state, report.position, time.monotonic()
        speed = (report.images - self.last_images) / max(now - self.last, 1e-9)
        values = figures(state.figures)
        ratio = effective_ratio(values)
        line = {
            "images": report.images,
            "step": report.step,
            "phase": self.session.phase_name(position),
            "resolution": position.phase.resolution,
            "alpha": round(position.alpha, 6),
            "batch": position.phase.batch,
            "micro_batch": report.micro_batch,
            "lr_g": state.optimizer_g.param_groups[0]["lr"],
            "lr_d": state.optimizer_d.param_groups[0]["lr"],
            **values,
            **({} if ratio is None else {"d_per_g": round(ratio, 4)}),
            "augment/p": float(state.augment_p),
            "images_per_second": round(speed, 2),
            "elapsed": round(self.elapsed + now - self.began, 2),
            "memory_mb": memory_mb(state.device),
        }
        append_line(self.path, line)
        self.last, self.last_images = now, report.images


def memory_mb(device: torch.device) -> int:
    """Peak memory in MB: the device's where it has its own, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10
