"""The training loop: it yields after every step, and knows nothing of who watches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.stream import to_tensor
from ganforge.networks.equalized import double
from ganforge.schedule import Position, Schedule
from ganforge.training.probe import largest_micro_batch
from ganforge.training.randomness import generator_for
from ganforge.training.state import TrainState
from ganforge.training.updates import Batch, Metrics, update_discriminator, update_generator
from ganforge.training.world import World


class Pictures(Protocol):
    """An endless sequence of real pictures: uint8 (n, C, H, W) and int64 labels (n,), a function of the position."""

    def take(
        self, start: int, count: int, resolution: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]: ...


@dataclass(frozen=True)
class StepReport:
    """What a step was: it took the clock from `began` to `images`, at `position`; its metrics stay on the device."""

    step: int
    began: int
    images: int
    position: Position
    metrics: Metrics
    trained_generator: bool
    micro_batch: int
    out_of_memory: bool


def train(
    state: TrainState, pictures: Pictures, schedule: Schedule, world: World | None = None
) -> Iterator[StepReport]:
    """Train to the schedule's end, one report a step. Between reports the state is whole; stopping early is `break`."""
    world = world or World()
    while state.images < schedule.images:
        yield train_step(state, pictures, schedule.at(state.images), world)


def train_step(state: TrainState, pictures: Pictures, position: Position, world: World) -> StepReport:
    """One step: the discriminator's updates and the generator's in the configured order, or D alone behind the gate."""
    updates, batch = state.config.updates, position.phase.batch
    grown = state.phase != position.index
    state.enter(position)
    if grown and state.config.micro_batch == "auto":
        state.micro_batch = largest_micro_batch(state, real_batch(state, pictures, position, state.images), world)
    micro_before = state.micro_batch
    gated = updates.gate is not None and state.gate.closed()
    rounds = 1 if gated else updates.d_per_g
    metrics: Metrics = {}
    if updates.order == "g-first" and not gated:
        metrics |= update_generator(state, batch, world)
    for index in range(rounds):
        reals = real_batch(state, pictures, position, state.images + index * batch)
        if updates.split:
            metrics |= update_discriminator(state, reals, index, world, ("fake",))
            fake_loss = metrics["loss/d"]
            metrics |= update_discriminator(state, reals, index, world, ("real",))
            metrics["loss/d"] = metrics["loss/d"] + fake_loss
        else:
            metrics |= update_discriminator(state, reals, index, world)
    if updates.order == "d-first" and not gated:
        metrics |= update_generator(state, batch, world)
    if updates.gate is not None:
        state.gate.after_step(updates.gate, float(metrics["loss/d"]))
        done = {"updates/d": rounds, "updates/g": int(not gated)}
        metrics |= {name: torch.tensor(float(count), device=state.device) for name, count in done.items()}
    began, state.images = state.images, state.images + rounds * batch
    state.step += 1
    if not gated:
        state.average(position, rounds * batch)
    state.smooth(metrics)
    return StepReport(
        step=state.step,
        began=began,
        images=state.images,
        position=position,
        metrics=metrics,
        trained_generator=not gated,
        micro_batch=state.micro_batch,
        out_of_memory=state.micro_batch != micro_before,
    )


def real_batch(state: TrainState, pictures: Pictures, position: Position, start: int) -> Batch:
    """Real pictures number `start` and on, in [-1, 1], faded as the networks are (Karras et al. 2018, appendix A.1)."""
    arrays, labels = pictures.take(start, position.phase.batch, position.phase.resolution)
    images = to_tensor(arrays, state.device)
    if state.config.data.crop:
        images = random_crop(images, state, start)
    if state.config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    if position.fading:
        images = torch.lerp(double(F.avg_pool2d(images, 2)), images, position.alpha)
    if labels is None or not state.config.network.classes:
        return Batch(images, None)
    return Batch(images, torch.from_numpy(labels).to(state.device))


def random_crop(images: Tensor, state: TrainState, start: int) -> Tensor:
    """A window that is up to `crop` pixels (at the largest level) smaller, anywhere, enlarged to the whole size.

    Article D's: each picture's window is a function of its position in the order.
    """
    config = state.config
    share = config.data.crop / config.network.resolution
    draws = torch.rand(len(images), 2, generator=generator_for(config.seed, "crop", start)) * 2 - 1
    # affine_grid's units: the picture reaches from -1 to 1, so a window of 1 - share can move by share either way.
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 - share
    theta[:, :, 2] = draws * share
    sampled = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, sampled, mode="bilinear", padding_mode="border", align_corners=False)


def figures(metrics: dict[str, Tensor]) -> dict[str, float]:
    """Metrics as plain numbers: this waits for the device, so only an observer that is due calls it."""
    return {name: float(value) for name, value in metrics.items()}


def effective_ratio(values: dict[str, float]) -> float | None:
    """D updates to one G update of late, from the smoothed figures; None without the gate: it is as configured then."""
    return values["updates/d"] / values["updates/g"] if values.get("updates/g") else None
