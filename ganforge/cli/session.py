"""What `train`, `resume` and `demo` share: a session of training with its observers, from first step to last word."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import torch
from rich.console import Console

import ganforge
from ganforge import checkpoint
from ganforge.cli.lock import RunLock
from ganforge.config import RunConfig
from ganforge.data.dataset import Dataset
from ganforge.data.stream import Stream
from ganforge.errors import CheckpointError, ConfigError, DataError, TrainingError
from ganforge.observers import (
    Checkpoints,
    Incidents,
    Interval,
    JsonLog,
    Observer,
    Patient,
    Session,
    Snapshots,
    Watchdog,
    observe,
)
from ganforge.observers.hints import Hints
from ganforge.observers.incidents import record
from ganforge.observers.progress import Progress, clock
from ganforge.observers.rollback import MOST, roll_back
from ganforge.observers.tensorboard import TensorBoard, opening, require_tensorboard
from ganforge.observers.watchdog import Action, Trouble, find_action
from ganforge.schedule import Schedule
from ganforge.training.loop import train
from ganforge.training.speed import Cost, measure, seconds_left
from ganforge.training.state import TrainState
from ganforge.training.world import World

if TYPE_CHECKING:
    from ganforge.observers.scores import Scoring

console = Console(stderr=True)
TROUBLE = 1000  # what rank 0 wishes when its watchdog found some: over all signals' numbers
WHOLE = 1 << 30  # a micro-batch without limit, as a number to compare


def say(text: str) -> None:
    """A message to the user, on stderr."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP are noted, and the loop stops between two steps; a second one leaves at once.

    What is ignored already (SIGHUP under nohup) stays ignored. `elsewhere` is a signal that another rank received: it
    stops this one as well, and its own, coming later, is still its first. Where a launcher started this rank, its end
    is a SIGHUP, so that no rank is left behind.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.elsewhere: int | None = None
        self.launcher = os.getppid() if World.current().size > 1 else None
        self.before: dict[int, Any] = {}
        self.terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self.before[number] = signal.signal(number, self._note)
        return self

    @property
    def number(self) -> int | None:
        """The signal that ends the run, if there was one."""
        if self.launcher is not None and self.launcher != os.getppid():
            self.received = self.received or getattr(signal, "SIGHUP", signal.SIGTERM)
        return self.received or self.elsewhere

    def stopping(self) -> bool:
        return self.number is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            # Nothing needs to be put in order: checkpoints are whole or not there, and locks end with the process.
            if 2 in self.terminals:
                os.write(2, b"\x1b[?25h\n")  # the live display hid the cursor
            os._exit(128 + number)
        self.received = number
        if number == getattr(signal, "SIGHUP", None):
            for descriptor in self.terminals:  # it is gone: to write to it would be an error
                with open(os.devnull, "w") as nothing:
                    os.dup2(nothing.fileno(), descriptor)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Options:
    """How a session is run, as against what is trained."""

    checkpoint_every: Interval
    keep: int = 3
    tensorboard: bool = False
    histograms: bool = False
    on_trouble: Action = "rollback"
    on_collapse: Action = "warn"
    scoring: "Scoring | None" = None

    def __post_init__(self) -> None:
        if self.tensorboard or self.histograms:
            require_tensorboard()

    @classmethod
    def parse(
        cls,
        checkpoint_every: str,
        keep: int,
        tensorboard: bool,
        histograms: bool,
        on_trouble: str,
        on_collapse: str,
        score_every: str | None,
        score: str,
        score_n: int,
    ) -> Self:
        """What `train` and `resume` were given. Raises ConfigError and EvaluationError, one line, naming the option."""
        actions = find_action(on_trouble, "--on-trouble"), find_action(on_collapse, "--on-collapse")
        scoring = None
        if score_every:
            from ganforge.observers.scores import Scoring  # its libraries take a second or two to import

            scoring = Scoring.parse(score_every, score, score_n)
        return cls(Interval.parse(checkpoint_every), keep, tensorboard, histograms, *actions, scoring)

    def check(self, config: RunConfig, dataset: Dataset, device: torch.device) -> None:
        """Raises EvaluationError, one line, where the score that is to be watched cannot be had."""
        if self.scoring:
            from ganforge.observers.scores import open_scoring

            open_scoring(self.scoring, config, dataset, device)

    def observers(self, session: Session) -> list[Observer]:
        """Who watches a run beside the log, the grids and the checkpoints."""
        watching: list[Observer] = [Hints(session, say)]
        if self.tensorboard or self.histograms:
            say(f"TensorBoard: {opening(session.folder)}")
            watching.append(TensorBoard(session, histograms=self.histograms))
        if self.scoring:
            from ganforge.observers.scores import Scores

            watching.append(Scores(session, self.scoring, say))
        return watching


def resolve_schedule(config: RunConfig, dataset: Dataset) -> Schedule:
    """The configuration's phases in images of this dataset."""
    return Schedule.resolve(
        config.phases, dataset_size=dataset.count, images_per_batch=config.updates.d_per_g, kimg=config.kimg
    )


def lengthened(config: RunConfig, schedule: Schedule, shown: int, total: int) -> RunConfig:
    """A run's configuration made `total` images long after `shown` of them: see `Schedule.lengthened`."""
    phases = [phase.model_dump(mode="json") for phase in schedule.lengthened(shown, total)]
    return config.changed({"phases": phases, "kimg": None}, "--kimg")


def describe(config: RunConfig, schedule: Schedule, costs: Sequence[Cost]) -> None:
    """Say what will be trained, phase by phase, and how long it will take."""
    size = "x".join(map(str, config.network.size(config.network.resolution)))
    classes = f", {config.network.classes} classes" if config.network.classes else ""
    length = f"{schedule.images / 1000:g} kimg"
    say(f"{config.network.arch} {size}x{config.network.channels}{classes}, {length}, seed {config.seed}")
    for row, cost in zip(schedule.rows, costs, strict=True):
        about = clock((row.end - row.start) * cost.seconds) + ("" if cost.measured else " (extrapolated)")
        fade = f", the first {row.fade / 1000:g} fading" if row.fade else ""
        height, width = config.network.size(row.phase.resolution)
        say(f"  {height}x{width}: {(row.end - row.start) / 1000:g} kimg{fade}, batch {row.phase.batch}, about {about}")
    say(f"  in all about {clock(seconds_left(schedule, costs, 0))}")


def write_run(folder: Path, config: RunConfig, history: Sequence[dict[str, Any]]) -> None:
    """`run.json`: the whole configuration, versions, the dataset's digest, and what was changed when."""
    record = {
        "format": checkpoint.FORMAT,
        "config": config.model_dump(mode="json"),
        "versions": {"ganforge": ganforge.__version__, "torch": torch.__version__, "python": sys.version.split()[0]},
        "dataset": {"path": config.data.path, "digest": config.data.digest, "count": config.data.count},
        "history": list(history),
    }
    temporary = folder / ".run.json.tmp"
    temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / "run.json")


def begin_run(folder: Path, config: RunConfig, begun: TrainState | None) -> None:
    """Make `folder` a run: `run.json`, and before it the first checkpoint if its networks are not simply new."""
    if begun is not None:
        (folder / "checkpoints").mkdir(exist_ok=True)
        checkpoint.write(folder / "checkpoints" / checkpoint.checkpoint_name(0), begun.content())
    ranks = World.current().size
    write_run(folder, config, [{"images": 0, "changes": {"ranks": ranks}}] if ranks > 1 else [])


def read_run(folder: Path) -> tuple[RunConfig, list[dict[str, Any]]]:
    """A run's configuration and history. Raises CheckpointError, one line, for a broken or foreign run folder."""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != checkpoint.FORMAT:
            wrote = record.get("versions", {}).get("ganforge", "another")
            raise CheckpointError(
                f"{path}: format {record['format']}, this ganforge reads {checkpoint.FORMAT}; use version {wrote}"
            )
        return RunConfig.parse(record["config"], str(path)), list(record.get("history", []))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error!s:.80}); restore it or start again") from None
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def open_data(config: RunConfig, *, force: bool = False) -> Dataset:
    """The dataset a run was trained on. Raises DataError when it is gone or, unless `force`, is another one now."""
    dataset = Dataset.open(config.data.path)
    if dataset.digest != config.data.digest:
        if not force:
            raise DataError(
                f"{config.data.path}: not the pictures this run was trained on (its digest differs); "
                "prepare those again, or accept these with --force-data"
            )
        if dataset.channels != config.network.channels or len(dataset.classes) < config.network.classes:
            raise DataError(
                f"{config.data.path}: these pictures do not fit the run's networks "
                f"({config.network.channels} channels, {config.network.classes} classes); prepare the former ones again"
            )
    return dataset


def restored(config: RunConfig, run: Path, device: torch.device) -> TrainState:
    """The state of a run's newest whole checkpoint; a fresh one where the run was stopped before its first."""
    state = TrainState.create(config, device)
    if not checkpoint.list_checkpoints(run):
        say(f"{run} has no checkpoint yet: from the start")
        return state
    path, content, damaged = checkpoint.newest(run)
    for line in damaged:
        say(f"passed over: {line}")
    state.restore(content)
    say(f"from {path}: {state.images / 1000:g} kimg shown")
    now = state.made_with
    before = content.get("made_with", now)
    if changed := [name for name in now if before.get(name) != now[name]]:
        was, is_now = (" and ".join(made.get(name, "?") for name in changed) for made in (before, now))
        say(f"made with {was}, goes on with {is_now}: equal to the run that was not stopped to rounding only")
    return state


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Hold the run's lock; a disk or folder that cannot be written to is one line. Raises GanforgeError."""
    try:
        with RunLock(folder) as lock:
            if lock.left_by:
                say(f"the lock of {lock.left_by}, which has ended, is taken over")
            yield
    except OSError as error:
        where = error.filename or folder
        raise TrainingError(
            f"{where}: {error.strerror or error}; once that is mended, go on with: {resume_command(folder)}"
        ) from error


def run_session(
    session: Session,
    options: Options,
    costs: Sequence[Cost],
    more: Callable[[Session], Sequence[Observer]] = lambda _: (),
) -> int:
    """Train to the end or to a signal. Returns the exit code: 0, or 128 and the signal's number."""
    if session.config.deterministic:
        make_deterministic()
    world, config = World.current(), session.config.model_dump(mode="json")
    if world.size > 1:
        world.share({"task": "train", "config": config, "state": session.state.content()})
    with Signals() as signals:
        while True:
            watchdog, saved = _train_on(session, options, costs, [*options.observers(session), *more(session)], signals)
            if watchdog.trouble is None:
                break
            recover(session, watchdog.trouble)
            if world.size > 1:
                world.share(session.state.content())
    if signals.number is not None and session.state.images < session.schedule.images:
        name, images = signal.Signals(signals.number).name, session.state.images
        what = f"saved at {images / 1000:g} kimg" if saved == images else "stopped, the last step not saved"
        say(f"{name}: {what}; go on with: {resume_command(session.folder)}")
        return 128 + signals.number
    return 0


def resume_command(folder: Path) -> str:
    """What the user types to go on as before."""
    ranks = World.current().size
    more = f" --gpus {ranks}" if os.environ.get("GANFORGE_RANKS") else " under torchrun as before"
    return f"ganforge resume {folder}{more if ranks > 1 else ''}"


def make_deterministic() -> None:
    """Have torch take only algorithms that give the same numbers each time (on the CPU they all do)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS may choose anew in each stream
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def _train_on(
    session: Session, options: Options, costs: Sequence[Cost], more: Sequence[Observer], signals: Signals
) -> tuple[Watchdog, int]:
    """Train to the end, to a signal or to trouble. Returns the watchdog, and the image count last saved."""
    stream = Stream(session.dataset, session.config.seed, mirror=session.config.data.mirror)
    watchdog = Watchdog(session, options.on_trouble, options.on_collapse, say)
    saving = Checkpoints(session, options.checkpoint_every, options.keep, say, watchdog.fine)
    watching = [watchdog, JsonLog(session), Incidents(session, say), Snapshots(session), *more, saving]
    observers = [*(Patient(observer, say, signals.stopping) for observer in watching)]
    world = World.current()
    reports = observe(
        train(session.state, stream, session.schedule, world), [*observers, Progress(session, costs, console)]
    )
    with closing(reports):  # type: ignore[type-var]
        for _ in reports:
            wish = TROUBLE if watchdog.trouble is not None else signals.number or 0
            if stop := agree(world, session.state, wish):
                signals.elsewhere = stop if stop < TROUBLE else None
                break
    return watchdog, saving.saved


def agree(world: World, state: TrainState, wish: int) -> int:
    """After each step: the strongest wish of any rank to stop (a signal's number, `TROUBLE`, or 0: none has one).

    So all ranks stop after the same step. Where one rank ran out of memory, all go on with its micro-batch.
    """
    if world.size == 1:
        return wish
    stop, least = world.most([wish, -(state.micro_batch or WHOLE)])
    smallest = -least % WHOLE
    if smallest != state.micro_batch:
        state.micro_batch = smallest
        if world.rank == 0:
            say(f"another rank ran out of memory: all go on with a micro-batch of {smallest}")
    return stop


def recover(session: Session, trouble: Trouble) -> None:
    """Roll back. Raises TrainingError when the run is to stop, or has been rolled back too often."""
    what = f"{trouble.what} at {trouble.images / 1000:g} kimg"
    if trouble.action == "rollback" and session.state.salt < MOST:
        say(roll_back(session, trouble))
        return
    tried = f"; {MOST} rollbacks did not help" if trouble.action == "rollback" else ""
    record(session.folder, trouble.kind, trouble.images, trouble.what, "stopped" + tried, **trouble.evidence)
    raise TrainingError(
        f"{what}{tried}; lower the learning rates with: ganforge resume {session.folder} --set phases.0.lr_d=… "
        "(lr_g alike), or go on regardless with --on-trouble warn"
    )


def plan_costs(config: RunConfig, schedule: Schedule, device: torch.device) -> list[Cost]:
    """Time a few steps of each phase, on all ranks. Raises ConfigError for batches that do not go round the ranks."""
    world = World.current()
    for row in schedule.rows:
        if row.phase.batch // config.network.pack < world.size:
            raise ConfigError(
                f"--gpus: a batch of {row.phase.batch} at {row.phase.resolution} cannot be shared among {world.size} "
                "ranks; start fewer, or train with a larger --batch"
            )
    if world.size > 1:
        world.share({"task": "measure", "config": config.model_dump(mode="json")})
    with console.status("timing a few steps of each phase"):
        return measure(config, schedule, device, world=world)
