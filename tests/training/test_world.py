"""Two processes that train together are one process."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from ganforge import checkpoint
from ganforge.config import AugmentConfig, Gate, UpdatesConfig
from ganforge.schedule import Phase
from ganforge.training.loop import train
from ganforge.training.state import TrainState
from ganforge.training.world import World
from toy import Toy, toy_config, toy_schedule

STEPS = 50


def trained(world: World) -> TrainState:
    """50 steps of a growing PGGAN with all that adapts: a rank's 4 of 8 pictures are a group of the statistic."""
    phases = tuple(
        Phase(resolution=size, length="256img", fade=f"{fade}img", batch=8, lr_g=1e-3, lr_d=1e-3)
        for size, fade in ((4, 0), (8, 128))
    )
    config = toy_config(
        phases=phases,
        updates=UpdatesConfig(gate=Gate(limit=0.0, window=3, steps=2)),
        augment=AugmentConfig(policy=("colour", "translation", "cutout"), p=0.3, target=0.0, ramp=0.5),
    )
    state = TrainState.create(config, torch.device("cpu"))
    for _ in islice(train(state, Toy(), toy_schedule(config), world), STEPS):
        pass
    return state


def test_two_ranks_end_with_the_weights_of_one(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path), str(rank)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    assert [rank.wait(timeout=200) for rank in ranks] == [0, 0]
    alone = trained(World()).content()
    one, other = (checkpoint.read(tmp_path / f"{rank}.pt") for rank in range(2))
    for name in ("generator", "discriminator", "ema"):
        for key, value in alone[name].items():
            assert torch.equal(one[name][key], other[name][key]), key
            assert torch.allclose(one[name][key], value, rtol=1e-3, atol=1e-4), key
    assert (one["images"], one["step"]) == (STEPS * 8, STEPS)
    assert one["gate"] == other["gate"]
    assert one["gate"]["recent"] == pytest.approx(alone["gate"]["recent"], rel=1e-2, abs=1e-3)
    assert torch.equal(one["augment_p"], other["augment_p"])
    assert torch.allclose(one["augment_p"], alone["augment_p"])
    assert all(torch.equal(value, other["figures"][name]) for name, value in one["figures"].items())
    assert one["optimizer_g"]["state"][0]["step"] < STEPS  # the gate was closed at times


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    assert World.current() == World(rank, 2)
    checkpoint.write(folder / f"{rank}.pt", trained(World.current()).content())
    torch.distributed.destroy_process_group()
