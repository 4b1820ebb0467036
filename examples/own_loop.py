"""Train in Python: the loop is a plain iterator, so what is done between two steps is yours.

    python examples/own_loop.py datasets/images 5

trains the default PGGAN for so many thousand images, prints its losses and writes grid.png.
"""

import sys
from pathlib import Path

import torch

from ganforge.data.dataset import Dataset
from ganforge.data.stream import Stream
from ganforge.images import grid, save_picture
from ganforge.presets import default_for
from ganforge.sampling.generator import Generator
from ganforge.schedule import Schedule
from ganforge.training.loop import figures, train
from ganforge.training.state import TrainState


def main(folder: str, kimg: float) -> None:
    dataset = Dataset.open(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = default_for(
        "pggan",
        base=dataset.base,
        resolution=dataset.resolution,
        channels=dataset.channels,
        classes=0,
        count=dataset.count,
        gpu=device.type == "cuda",
    )
    schedule = Schedule.resolve(config.phases, dataset_size=dataset.count, kimg=kimg)
    state = TrainState.create(config, device)
    for report in train(state, Stream(dataset, config.seed, mirror=False), schedule):
        if report.step % 50 == 0:
            losses = {name: round(value, 3) for name, value in figures(report.metrics).items() if "loss" in name}
            print(report.images, report.position.stage, losses)
    generator = Generator(state.sampler, config, state.images, state.ema is not None, device)
    save_picture(grid(generator.render(generator.latents(range(16)))), Path("grid.png"))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
