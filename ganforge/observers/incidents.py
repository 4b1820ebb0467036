"""`incidents.jsonl`: what went wrong in a run and what was done about it, a line each."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from ganforge.images import grid, save_picture, to_uint8
from ganforge.observers.base import Observer, Session
from ganforge.observers.jsonl import append_line
from ganforge.training.loop import StepReport


def record(folder: Path, kind: str, images: int, what: str, done: str, **evidence: object) -> None:
    """Add an incident: its kind, the clock, what was seen, what was done, and the figures that show it."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "kind": kind, "images": images, "what": what, "done": done}
    append_line(folder / "incidents.jsonl", {**line, **evidence})


@torch.no_grad()
def picture(session: Session, path: Path) -> None:
    """A grid of the generator's pictures as it is now, from fixed latents."""
    state, network = session.state, session.config.network
    latents = torch.randn(32, network.latent, generator=torch.Generator().manual_seed(0)).to(state.device)
    labels = torch.arange(32, device=state.device) % network.classes if network.classes else None
    state.generator.eval()
    try:
        pictures = to_uint8(state.generator(latents, labels))
    finally:
        state.generator.train()
    path.parent.mkdir(exist_ok=True)
    save_picture(grid(pictures, columns=8), path)


def grid_before(folder: Path, images: int) -> list[str]:
    """A run's newest sample grid of at most so many images, as a path within the run; none before the first."""
    grids = sorted((folder / "samples").glob("grid-*.png"))
    before = [path for path in grids if int(path.stem.rsplit("-", 1)[1]) <= images]
    return [str(path.relative_to(folder)) for path in before[-1:]]


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
