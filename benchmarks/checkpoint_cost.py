"""What checkpoints cost a run: the pause between two steps, and the share of the time at one every ten minutes.

    python benchmarks/checkpoint_cost.py [--saves 7] [--threads 2] [--every 600]

The networks are the PGGAN paper's to 1024x1024, widened to 50 million parameters in the pair, with the averaged
generator and both optimizers' moments: what is copied is the whole state. Between two saves it takes steps at 8x8, so
that the background write competes with training as in a run, until the write is done. A step is timed without a write
under way and with one: the write's share is the time that these steps take longer. The copy is timed beside a plain
copy of as many bytes into memory that is there.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from ganforge import checkpoint
from ganforge.config import PGGANConfig
from ganforge.networks import parameters
from ganforge.observers.base import Session
from ganforge.observers.checkpoints import Checkpoints, Interval, size_of
from ganforge.presets import find_preset
from ganforge.schedule import Phase, Schedule, Span
from ganforge.training.loop import train_step
from ganforge.training.speed import NoisePictures
from ganforge.training.state import TrainState
from ganforge.training.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=float, default=600.0, help="seconds between two checkpoints of a run")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    state, schedule = pair()
    count = parameters(state.generator) + parameters(state.discriminator)
    size = size_of(state.content())
    print(f"{count / 1e6:.1f} million parameters in the pair, {size / 1e6:.0f} MB of state, {options.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), state, schedule, options.saves, options.every)
    source, target = torch.ones(size // 4), torch.zeros(size // 4)
    plain = min(timed(lambda: target.copy_(source)) for _ in range(3))
    print(f"a plain copy of as many bytes: {plain:.3f} s")


def pair() -> tuple[TrainState, Schedule]:
    """Networks of 50 million parameters after a step at 8x8, with the moments of all levels put in."""
    config = find_preset("pggan-paper-1gpu")
    assert isinstance(config.network, PGGANConfig)
    network = config.network.model_copy(update={"fmap_max": 544})
    phase = Phase(resolution=8, length=Span(1000, "kimg"), batch=16, lr_g=1e-3, lr_d=1e-3)
    config = config.model_copy(update={"network": network, "phases": (phase,), "kimg": None})
    state = TrainState.create(config, torch.device("cpu"))
    schedule = Schedule.resolve(config.phases, dataset_size=1000, images_per_batch=1)
    step(state, schedule)
    for optimizer in (state.optimizer_g, state.optimizer_d):
        for group in optimizer.param_groups:
            for weights in group["params"]:
                if weights not in optimizer.state:
                    moments = {name: torch.full_like(weights, 1e-8) for name in ("exp_avg", "exp_avg_sq")}
                    optimizer.state[weights] = {"step": torch.tensor(1.0), **moments}
    return state, schedule


def step(state: TrainState, schedule: Schedule) -> float:
    """Seconds that one step takes."""
    return timed(lambda: train_step(state, NoisePictures(state.config), schedule.at(state.images), World()))


def timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def measure(folder: Path, state: TrainState, schedule: Schedule, saves: int, every: float) -> None:
    session = Session(folder, state.config, state, schedule, dataset=None)  # type: ignore[arg-type]
    saver = Checkpoints(session, Interval(None, 1 << 40), keep=2)
    pauses, writes, beside = [], [], []
    saver.copies.make_room(state.content())  # as in the background of each phase's beginning
    for _ in range(saves):
        alone = [step(state, schedule) for _ in range(5)]
        pauses.append(timed(saver.save))
        began, steps = time.perf_counter(), []
        while saver.pending is not None and not saver.pending.done():
            steps.append(step(state, schedule))
        writes.append(time.perf_counter() - began)
        beside.append(sum(steps) - len(steps) * statistics.median(alone))
    saver._join()
    newest = checkpoint.list_checkpoints(folder)[-1]
    print(f"file {newest.stat().st_size / 1e6:.0f} MB, written in {statistics.median(writes):.2f} s")
    print(f"pauses {' '.join(f'{pause:.3f}' for pause in pauses)} s; median {statistics.median(pauses):.3f} s")
    lost = statistics.median(pause + extra for pause, extra in zip(pauses, beside, strict=True))
    print(
        f"time lost to a checkpoint, steps beside its write included: {lost:.2f} s, {lost / every:.2%} of {every:g} s"
    )


if __name__ == "__main__":
    main()
