"""Back to the last healthy checkpoint, with other randomness and, for a while, half the learning rates."""

from ganforge import checkpoint
from ganforge.errors import CheckpointError
from ganforge.observers.base import Session
from ganforge.observers.incidents import picture, record
from ganforge.observers.watchdog import Trouble
from ganforge.training.state import TrainState

MOST = 3  # rollbacks in a run
WHILE = 0.02  # of the run, at least, are the learning rates lowered


def roll_back(session: Session, trouble: Trouble) -> str:
    """Put the state back to before `trouble`, and the run folder with it; returns the sentence that says so.

    The learning rates are halved for a while, once more where they were lowered already. The healthy checkpoint is
    written anew with what was changed, and only then are later ones removed, which may hold what went wrong: a run that
    is killed at any moment goes on from one or the other.
    """
    state, folder = session.state, session.folder
    evidence = folder / "incidents"
    at, back = evidence / f"{trouble.images:012d}-trouble.png", evidence / f"{trouble.images:012d}-restored.png"
    picture(session, at)
    salt, scale = state.salt, state.lr_scale if trouble.images < state.lr_scale_until else 1.0
    restore_healthy(session, trouble.healthy)
    picture(session, back)
    state.salt, state.lr_scale = max(salt, state.salt) + 1, scale / 2
    lost = trouble.images - state.images
    state.lr_scale_until = trouble.images + max(lost, round(WHILE * session.schedule.images))
    (folder / "checkpoints").mkdir(exist_ok=True)
    checkpoint.write(folder / "checkpoints" / checkpoint.checkpoint_name(state.images), state.content())
    for path in reversed(checkpoint.list_checkpoints(folder)):
        if int(path.stem.rsplit("-", 1)[1]) > state.images:
            path.unlink()
    done = (
        f"rolled back to {state.images / 1000:g} kimg, learning rates times {state.lr_scale:g} "
        f"until {state.lr_scale_until / 1000:g} kimg"
    )
    files = [str(path.relative_to(folder)) for path in (at, back)]
    after = {name: value.item() for name, value in state.figures.items()}
    more = {**trouble.evidence, "figures restored": after, "pictures": files}
    record(folder, trouble.kind, trouble.images, trouble.what, done, **more)
    return f"{trouble.what} at {trouble.images / 1000:g} kimg: {done}"


def restore_healthy(session: Session, healthy: int) -> None:
    """Restore the newest whole checkpoint of at most `healthy` images; without one, begin anew."""
    state = session.state
    for path in reversed(checkpoint.list_checkpoints(session.folder)):
        if int(path.stem.rsplit("-", 1)[1]) <= healthy:
            try:
                state.restore(checkpoint.read(path))
                return
            except CheckpointError:
                continue
    state.restore(TrainState.create(session.config, state.device).content())
