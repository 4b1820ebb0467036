"""Training speed of our DCGAN against the DCGAN of PyTorch's examples, in one interleaved run.

    python benchmarks/dcgan_speed.py [--data DATASET …] [--rounds 7] [--steps 3] [--threads 2] [--batch 64]

The peer is the example's networks, losses and step, written out below (widths 64, latent 100, Adam 2e-4); at 28x28 its
first and last layers get the 7x7 kernel that the size needs. Ours is the engine's whole step at the same widths, batch
and objective: loading and scaling pictures, both updates, and the averaging of weights that the peer does not have.
Both get the pictures of a dataset folder that has the size (for the peer they lie in memory as floats already), else
random ones. Each round times some steps of each, one after the other; the medians are compared.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ganforge.data.dataset import Dataset
from ganforge.data.stream import Stream
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.presets import default_for
from ganforge.schedule import Schedule
from ganforge.training.loop import train_step
from ganforge.training.speed import NoisePictures
from ganforge.training.state import TrainState
from ganforge.training.world import World

SIZES = {64: ((4, 4), 3), 28: ((7, 7), 1)}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {DEVICE.type}, {options.threads} threads, batch {options.batch}")
    for size in options.sizes:
        compare(size, options)


def compare(size: int, options: argparse.Namespace) -> None:
    base, channels = SIZES[size]
    dataset = next((found for found in map(Dataset.open, options.data) if size in found.resolutions), None)
    if dataset is not None:
        channels = dataset.channels
        print(f"{size}x{size}x{channels}: {dataset.count} pictures of {dataset.path}")
    steps = {"peer": peer_step(size, base[0], channels, options.batch, dataset)}
    for name in options.precision:
        steps[f"ours {name}"] = our_step(size, base, channels, options.batch, name, dataset)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(options.rounds):
        for name, step in steps.items():
            begin = time.perf_counter()
            for _ in range(options.steps):
                step()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append((time.perf_counter() - begin) / options.steps)
    peer = statistics.median(times["peer"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{size}x{size} {name:10} {options.batch / middle:8.1f} images/s, ratio {peer / middle:.2f}")


def our_step(
    size: int, base: tuple[int, int], channels: int, batch: int, precision: str, dataset: Dataset | None
) -> Callable[[], object]:
    config = default_for("dcgan", base=base, resolution=size, channels=channels, classes=0, count=60000, gpu=False)
    config = config.changed(
        {
            "network.width_g": 64,
            "network.width_d": 64,
            "network.norm_d": "batch",
            "objective.loss": "non-saturating",
            "objective.r1": 0,
            "augment.policy": [],
            "phases.0.batch": batch,
            "precision": precision,
        }
    )
    state, world = TrainState.create(config, DEVICE), World()
    pictures = NoisePictures(config) if dataset is None else Stream(dataset, 0, mirror=False)
    schedule = Schedule.resolve(config.phases, dataset_size=60000)
    if size == 64 and channels == 3:
        assert parameters(build_generator(config.network)) == 3_576_704
        assert parameters(build_discriminator(config.network)) == 2_765_568
    return lambda: train_step(state, pictures, schedule.at(state.images), world)


def peer_step(size: int, base: int, channels: int, batch: int, dataset: Dataset | None) -> Callable[[], object]:
    """The example's training step: D on reals and on fakes, backward each, one Adam step; then G on the same fakes."""
    doublings = (size // base).bit_length() - 1
    widths = [64 << level for level in range(doublings)]
    generator = peer_generator(widths[::-1], base, channels).to(DEVICE).apply(peer_weights)
    discriminator = peer_discriminator(widths, base, channels).to(DEVICE).apply(peer_weights)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion, whole = nn.BCELoss(), torch.rand(batch, channels, size, size) * 2 - 1
    if dataset is not None:
        whole = torch.from_numpy(np.array(dataset.level(size))).float().div_(127.5).sub_(1)
    batches = itertools.cycle(whole.split(batch)[: len(whole) // batch])

    def step() -> tuple[float, ...]:
        discriminator.zero_grad()
        real = next(batches).to(DEVICE)
        label = torch.full((batch,), 1.0, device=DEVICE)
        output = discriminator(real).view(-1)
        loss_real = criterion(output, label)
        loss_real.backward()
        score_real = output.mean().item()
        fake = generator(torch.randn(batch, 100, 1, 1, device=DEVICE))
        label.fill_(0.0)
        output = discriminator(fake.detach()).view(-1)
        loss_fake = criterion(output, label)
        loss_fake.backward()
        score_fake = output.mean().item()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        loss: Tensor = criterion(discriminator(fake).view(-1), label)
        loss.backward()
        optimizer_g.step()
        return (loss_real + loss_fake).item(), loss.item(), score_real, score_fake

    return step


def peer_generator(widths: list[int], base: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip([100, *widths], widths, strict=False):
        stride, padding, kernel = (2, 1, 4) if layers else (1, 0, base)
        layers += [nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh())


def peer_discriminator(widths: list[int], base: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip([channels, *widths], widths, strict=False):
        norm = [nn.BatchNorm2d(outputs)] if layers else []
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, base, 1, 0, bias=False), nn.Sigmoid())


def peer_weights(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


if __name__ == "__main__":
    main()
