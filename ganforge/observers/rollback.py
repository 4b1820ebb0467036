"""Back to the last healthy checkpoint, with other randomness and, for a while, half the learning rates."""

from pathlib import Path

import torch

from ganforge import checkpoint
from ganforge.errors import CheckpointError
from ganforge.images import grid, save_picture, to_uint8
from ganforge.observers.base import Session
from ganforge.observers.incidents import record
from ganforge.observers.watchdog import Trouble
from ganforge.training.state import TrainState

MOST = 3  # rollbacks in a session
WHILE = 0.02  # of the run, at least, are the learning rates lowered


def roll_back(session: Session, trouble: Trouble, count: int) -> str:
    """Put the state back to before `trouble`, and the run folder with it; returns the sentence that says so.

    Later checkpoints are removed: they may hold what went wrong. The healthy one is written anew with what was changed,
    so that a run that is killed now goes on as this one does.
    """
    state, folder = session.state, session.folder
    evidence = folder / "incidents"
    at, back = evidence / f"{trouble.images:012d}-trouble.png", evidence / f"{trouble.images:012d}-restored.png"
    picture(session, at)
    salt = state.salt
    restore_healthy(session, trouble.healthy)
    picture(session, back)
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
    files = [str(path.relative_to(folder)) for path in (at, back)]
    record(folder, trouble.kind, trouble.images, trouble.what, done, pictures=files, **trouble.evidence)
    return f"{trouble.what} at {trouble.images / 1000:g} kimg: {done}"


def restore_healthy(session: Session, healthy: int) -> None:
    """Restore the newest whole checkpoint of at most `healthy` images, remove later ones; without one, begin anew."""
    kept = None
    for path in reversed(checkpoint.list_checkpoints(session.folder)):
        if int(path.stem.rsplit("-", 1)[1]) > healthy:
            path.unlink()
        elif kept is None:
            try:
                kept = checkpoint.read(path)
            except CheckpointError:
                continue
    state = session.state
    state.restore(kept if kept is not None else TrainState.create(session.config, state.device).content())


@torch.no_grad()
def picture(session: Session, path: Path) -> None:
    """A grid of the generator's pictures as it is now, from fixed latents."""
    state, network = session.state, session.config.network
    latents = torch.randn(32, network.latent, generator=torch.Generator().manual_seed(0)).to(state.device)
    labels = torch.arange(32, device=state.device) % network.classes if network.classes else None
    state.generator.eval()
    pictures = to_uint8(state.generator(latents, labels))
    state.generator.train()
    path.parent.mkdir(exist_ok=True)
    save_picture(grid(pictures, columns=8), path)
