"""How long a run will take: a few real steps of every phase, timed before it begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ganforge.config import RunConfig
from ganforge.schedule import Position, Schedule
from ganforge.training.loop import train_step
from ganforge.training.state import TrainState
from ganforge.training.world import World


class NoisePictures:
    """Random pictures of any size: their cost is that of real ones."""

    def __init__(self, config: RunConfig) -> None:
        self.network = config.network

    def take(
        self, start: int, count: int, resolution: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
        random = np.random.default_rng(start)
        shape = (count, self.network.channels, *self.network.size(resolution))
        labels = random.integers(0, self.network.classes, count) if self.network.classes else None
        return random.integers(0, 256, shape, dtype=np.uint8), labels


@dataclass(frozen=True)
class Cost:
    """A phase's cost in seconds an image; `measured` or extrapolated from the phase before it by its pixels."""

    seconds: float
    measured: bool


def measure(
    config: RunConfig,
    schedule: Schedule,
    device: torch.device,
    *,
    budget: float = 20.0,
    world: World | None = None,
) -> list[Cost]:
    """Seconds an image for every row of the schedule, its fade and its stable part weighed by their length.

    Phases are timed from the first on until `budget` seconds are spent; the rest is extrapolated. Needs the memory that
    the run will need. The state it trains is thrown away. Where several ranks train, all of them measure, together.
    """
    world = world or World()
    state, pictures = TrainState.create(config, device), NoisePictures(config)
    costs: list[Cost] = []
    steps = 6 * len(_kinds(config))
    began = time.monotonic()
    for index, row in enumerate(schedule.rows):
        spent = time.monotonic() - began
        later = bool(costs) and spent + _guess(costs, schedule, index) * row.phase.batch * steps > budget
        if world.most([int(later)])[0]:
            costs.append(Cost(_guess(costs, schedule, index), False))
            continue
        share = row.fade / (row.end - row.start)
        position = schedule.at(row.start)
        seconds = 0.0
        for alpha, weight in ((0.5, share), (1.0, 1 - share)):
            if weight > 0:
                seconds += weight * _seconds_an_image(state, pictures, replace(position, alpha=alpha), world)
        costs.append(Cost(seconds, True))
    return costs


def _seconds_an_image(state: TrainState, pictures: NoisePictures, position: Position, world: World) -> float:
    seconds = 0.0
    for step, share in _kinds(state.config):
        times = []
        for _ in range(4):
            _wait(state.device)
            began, images, state.step = time.perf_counter(), state.images, step
            train_step(state, pictures, position, world)
            _wait(state.device)
            times.append((time.perf_counter() - began) / (state.images - images))
        seconds += share * float(np.median(times[1:]))  # the first one also allocates and chooses kernels
    return seconds


def _kinds(config: RunConfig) -> list[tuple[int, float]]:
    """A step with gradient penalties and, where they are lazy, one without: its number, and its share of all steps."""
    every = config.objective.every
    return [(0, 1 / every), (1, 1 - 1 / every)] if every > 1 else [(0, 1.0)]


def _guess(costs: Sequence[Cost], schedule: Schedule, index: int) -> float:
    pixels = (schedule.rows[index].phase.resolution / schedule.rows[index - 1].phase.resolution) ** 2
    return costs[index - 1].seconds * pixels


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_left(schedule: Schedule, costs: Sequence[Cost], images: int) -> float:
    """What the rest of a run takes, by those costs."""
    return sum(
        max(row.end - max(row.start, images), 0) * cost.seconds for row, cost in zip(schedule.rows, costs, strict=True)
    )
