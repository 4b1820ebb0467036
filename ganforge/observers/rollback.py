"""Back to the last healthy checkpoint, with other randomness and, for a while, half the learning rates."""

import hashlib
import json
from pathlib import Path

from ganforge import checkpoint
from ganforge.config import RunConfig
from ganforge.errors import CheckpointError
from ganforge.observers.base import Session
from ganforge.observers.incidents import picture, record
from ganforge.observers.jsonl import read_lines
from ganforge.observers.watchdog import Trouble
from ganforge.training.state import TrainState

MOST = 3  # rollbacks in a run whose settings stay as they are
WHILE = 0.02  # of the run, at least, are the learning rates lowered


def settings(config: RunConfig) -> str:
    """A short digest of a run's settings: rollbacks count anew where they were changed."""
    return hashlib.sha256(json.dumps(config.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


def rollbacks(session: Session) -> int:
    """How many times the run was rolled back with the settings it has now, in this session or before it."""
    lines, now = read_lines(session.folder / "incidents.jsonl"), settings(session.config)
    return sum("restored" in line and line.get("settings", now) == now for line in lines)


def roll_back(session: Session, trouble: Trouble, count: int) -> str:
    """Put the state back to before `trouble`, and the run folder with it; returns the sentence that says so.

    First the healthy checkpoint is written anew with what was changed, then the incident is recorded, and only then
    are later checkpoints removed, which may hold what went wrong. So a run that is killed meanwhile has a whole
    checkpoint at any moment: it goes on as this one does, or from a later one, whose trouble is noticed once more.
    """
    state, folder = session.state, session.folder
    at, back = (folder / "incidents" / f"{trouble.images:012d}-{name}.png" for name in ("trouble", "restored"))
    picture(session, at, trouble.label)
    salt = state.salt
    restore_healthy(session, trouble.healthy)
    picture(session, back, trouble.label)
    state.salt = max(salt, state.salt) + 1
    state.lr_scale = 0.5**count
    lost = trouble.images - state.images
    state.lr_scale_until = trouble.images + max(lost, round(WHILE * session.schedule.images))
    (folder / "checkpoints").mkdir(exist_ok=True)
    checkpoint.write(folder / "checkpoints" / checkpoint.checkpoint_name(state.images), state.content())
    done = (
        f"rolled back to {state.images / 1000:g} kimg, learning rates times {state.lr_scale:g} "
        f"until {state.lr_scale_until / 1000:g} kimg"
    )
    files = [str(path.relative_to(folder)) for path in (back, at)]
    facts = {"restored": state.images, "settings": settings(session.config), "pictures": files, **trouble.evidence}
    record(folder, trouble.kind, trouble.images, trouble.what, done, **facts)
    for path in later(folder, state.images):
        path.unlink()
    return f"{trouble.what} at {trouble.images / 1000:g} kimg: {done}"


def restore_healthy(session: Session, healthy: int) -> None:
    """Restore the newest whole checkpoint of at most `healthy` images; without one, begin anew."""
    state = session.state
    for path in reversed(checkpoint.list_checkpoints(session.folder)):
        if _images(path) <= healthy:
            try:
                state.restore(checkpoint.read(path))
                return
            except CheckpointError:
                continue
    state.restore(TrainState.create(session.config, state.device).content())


def later(folder: Path, images: int) -> list[Path]:
    """A run's checkpoints of more than so many images, the newest first."""
    return [path for path in reversed(checkpoint.list_checkpoints(folder)) if _images(path) > images]


def _images(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])
