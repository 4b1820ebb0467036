"""The processes that train one run together. Rank 0 runs the command; the others do what it says, and are silent.

An order is shared with all ranks: to time some steps, to train, or to leave. So the others need no run folder, only the
dataset, and none leaves before rank 0 has saved.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import typer
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ganforge.cli.launcher import FOLDER, introduce, launch
from ganforge.cli.places import require_place
from ganforge.cli.session import TROUBLE, Signals, agree, make_deterministic, open_data, resolve_schedule, say
from ganforge.config import RunConfig
from ganforge.data.dataset import Dataset
from ganforge.data.stream import Stream
from ganforge.errors import ConfigError, GanforgeError
from ganforge.networks.statistics import batch_normalized
from ganforge.sampling.generator import choose_device
from ganforge.schedule import Schedule
from ganforge.training.loop import train
from ganforge.training.speed import measure
from ganforge.training.state import TrainState
from ganforge.training.world import RankLost, World

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # torchrun's, in each rank's environment
JOINING = timedelta(minutes=5)
PATIENCE = timedelta(days=1)  # while rank 0 waits for space on a full disk, or scores; a lost rank is noticed at once


@contextmanager
def ranks(gpus: int | None, device: str) -> Iterator[torch.device]:
    """Around a command: the device to train on, in a process alone or in rank 0.

    In the launcher, and in the other ranks, the command itself is not run: there this raises `typer.Exit` with the
    exit code when all is over.
    """
    size = int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in NEEDED) else 0
    if size < 2:
        if not size and gpus is not None and gpus > 1:
            raise typer.Exit(launch(gpus, device))
        yield choose_device(device)
        return
    introduce()
    with _joined(device) as (world, place):
        if gpus not in (None, size):
            raise ConfigError(f"--gpus {gpus}: {size} ranks are started already; leave it out under torchrun")
        if world.rank:
            raise typer.Exit(follow(world, place))
        code = 0
        try:
            yield place
        except typer.Exit as stop:
            code = stop.exit_code
        world.share({"task": "leave", "code": code})
        raise typer.Exit(code)


@contextmanager
def _joined(device: str) -> Iterator[tuple[World, torch.device]]:
    """The process group, from the environment's addresses. The process ends where this ends, with the exit code."""
    store, rank, size = next(rendezvous("env://", timeout=JOINING))
    store = PrefixStore(f"ganforge {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    code = 0
    try:
        local = int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", size))
        place = require_place(*local, device)
        if place.type == "cuda":
            torch.cuda.set_device(place)
        backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        yield World(rank, size), place
    except typer.Exit as stop:
        code = stop.exit_code
        with suppress(RuntimeError):
            distributed.destroy_process_group()
    except BaseException as error:
        code = _explain(error, store, rank)
    # At once: torch's threads and destructors may wait for ranks that are gone, or abort while the interpreter ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _explain(error: BaseException, store: Store, rank: int) -> int:
    """The exit code after an error; the first rank to come says in a line, or for a defect a traceback, what it was."""
    if isinstance(error, RankLost):
        if os.environ.get(FOLDER):
            time.sleep(2)  # the launcher stops this process, and says which rank ended
        elif _first(store, rank):
            print(f"ganforge: {error}; go on with ganforge resume, under torchrun as before", file=sys.stderr)
        return 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    code = 2 if isinstance(error, GanforgeError) else 1
    if _first(store, rank):
        if code == 2:
            print("ganforge: " + " ".join(str(error).split("\n")), file=sys.stderr)
        else:
            traceback.print_exception(error)
    return code


def _first(store: Store, rank: int) -> bool:
    """Whether no other rank has said why the run ends."""
    try:
        return bool(store.add("told", 1) == 1)
    except RuntimeError:  # the store is gone, and rank 0 with it or alone
        return rank == 0


def ranks_of(history: Sequence[dict[str, Any]]) -> int:
    """On how many ranks a run was trained last."""
    return next((int(entry["changes"]["ranks"]) for entry in reversed(history) if "ranks" in entry["changes"]), 1)


def describe_ranks(state: TrainState, schedule: Schedule, before: int | None = None) -> None:
    """Say how a run is shared among ranks, and whether it is the same run on another number of them than `before`."""
    now = World.current().size
    before = before or now
    if max(before, now) == 1:
        return
    alone = [
        name
        for name, applies in (
            ("batch normalization", batch_normalized(state.generator) or batch_normalized(state.discriminator)),
            ("dropout", any("Dropout" in type(layer).__name__ for layer in state.discriminator.modules())),
            ("the minibatch statistic", not _whole_groups(state, schedule, max(before, now))),
        )
        if applies
    ]
    same = "the same run on any number of ranks, but for rounding"
    if alone:
        same = f"{' and '.join(alone)} of a rank's own share, so not quite the same run on another number of ranks"
    if now != before:
        say(f"{before} ranks so far, {now} from here on: {same}")
    else:
        say(f"{now} ranks, each with its share of every batch: {same}")


def _whole_groups(state: TrainState, schedule: Schedule, ranks: int) -> bool:
    """Whether every batch has groups of the minibatch statistic enough for each rank to take whole ones."""
    batches, pack = {row.phase.batch for row in schedule.rows}, state.config.network.pack
    tied = {batch: state.discriminator.tied(batch) for batch in batches}
    return all(size == pack or batch // size >= ranks for batch, size in tied.items())


def follow(world: World, place: torch.device) -> int:
    """Do what rank 0 says until it says to leave; returns the exit code that it gives."""
    while True:
        order = world.share()
        if order["task"] == "leave":
            return int(order["code"])
        config = RunConfig.parse(order["config"], "rank 0")
        dataset = open_data(config)
        schedule = resolve_schedule(config, dataset)
        if order["task"] == "measure":
            measure(config, schedule, place, world=world)
        else:
            train_along(world, place, config, schedule, dataset, order["state"])


def train_along(
    world: World,
    place: torch.device,
    config: RunConfig,
    schedule: Schedule,
    dataset: Dataset,
    content: dict[str, Any],
) -> None:
    """This rank's part of a training that rank 0 watches: from its state, to the end or to the step at which all stop.

    After a rollback rank 0 shares the state that it restored.
    """
    if config.deterministic:
        make_deterministic()
    state, stream = TrainState.create(config, place), Stream(dataset, config.seed, mirror=config.data.mirror)
    state.restore(content)
    with Signals() as signals:
        stop = TROUBLE
        while stop == TROUBLE:
            stop = 0
            for _ in train(state, stream, schedule, world):
                stop = agree(world, state, signals.number or 0)
                if stop:
                    break
            if stop == TROUBLE:
                state.restore(world.share())
