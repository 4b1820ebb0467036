"""What a walk shows, drawn by untrained networks."""

import numpy as np
import pytest
import torch

from ganforge.config import NetworkConfig
from ganforge.errors import ConfigError
from ganforge.networks import build_generator
from ganforge.sampling.animation import write_walk
from ganforge.sampling.generator import Generator
from ganforge.sampling.interpolation import Walk, default_grid, parse_grid, walk_frames
from toy import PGGAN, toy_config


def generator(**changes: object) -> Generator:
    network: NetworkConfig = PGGAN.model_copy(update=changes)
    torch.manual_seed(0)
    built = build_generator(network).eval().requires_grad_(False)
    return Generator(built, toy_config(network=network), 0, False, torch.device("cpu"))


def test_a_walk_passes_the_pictures_of_its_seeds() -> None:
    made = generator()
    frames = list(walk_frames(made, Walk(seeds=(3, 9), frames=5, loop=False)))
    assert len(frames) == 5
    factor = frames[0].shape[1] // 16
    ends = made.render(made.latents([3, 9]))
    for frame, picture in ((frames[0], ends[0]), (frames[-1], ends[1])):
        assert np.abs(frame[::factor, ::factor].astype(int) - picture).max() <= 1


def test_each_cell_of_a_grid_is_the_walk_alone() -> None:
    made = generator()
    plan = Walk(seeds=(0, 2), frames=4, columns=3, rows=2)
    frames = list(walk_frames(made, plan, batch=7))
    side = (frames[0].shape[1] - 4) // 3
    for cell in range(6):
        seeds = plan.cell_seeds(cell)
        assert seeds == [3 * cell, 3 * cell + 2]
        alone = list(walk_frames(made, Walk(seeds=tuple(seeds), frames=4)))
        top, left = cell // 3 * (side + 2), cell % 3 * (side + 2)
        for sheet, frame in zip(frames, alone, strict=True):
            part = sheet[top : top + side : side // 16, left : left + side : side // 16].astype(int)
            assert np.abs(part - frame[:: frame.shape[0] // 16, :: frame.shape[1] // 16]).max() <= 1


def test_no_seed_is_shown_in_two_cells() -> None:
    plan = Walk(seeds=(5, 2, 11), columns=4, rows=3)
    seeds = [seed for cell in range(12) for seed in plan.cell_seeds(cell)]
    assert len(seeds) == len(set(seeds)) == 36


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_stay(channels: int) -> None:
    frames = list(walk_frames(generator(channels=channels), Walk(frames=2, columns=2)))
    assert {frame.shape[2] for frame in frames} == {channels}


def test_the_batch_does_not_change_the_walk() -> None:
    made = generator()
    one, many = (list(walk_frames(made, Walk(frames=9), batch)) for batch in (1, 64))
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(one, many, strict=True)) <= 1


def test_each_walk_stays_in_its_class_unless_classes_are_named() -> None:
    made, seen = generator(classes=3), []
    render = made.render
    made.render = lambda latents, labels, batch: seen.append(labels) or render(latents, labels, batch)  # type: ignore
    list(walk_frames(made, Walk(frames=2, columns=4)))
    assert torch.equal(seen[-1].argmax(dim=1), torch.tensor([0, 1, 2, 0] * 2))
    list(walk_frames(made, Walk(frames=4, columns=2, classes=(2, 0))))
    blend = seen[-1].reshape(4, 2, 3)[:, 0]
    torch.testing.assert_close(blend, torch.tensor([[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0], [0.5, 0, 0.5]]))


def test_latents_may_stay_while_the_class_changes() -> None:
    """Both ends of a class walk are the pictures of those classes: weights of one class are that class's label."""
    made = generator(classes=3)
    frames = list(walk_frames(made, Walk(seeds=(4, 4), frames=3, loop=False, classes=(0, 2))))
    factor = frames[0].shape[1] // 16
    ends = made.render(made.latents([4, 4]), torch.tensor([0, 2]))
    for frame, picture in ((frames[0], ends[0]), (frames[-1], ends[1])):
        assert np.abs(frame[::factor, ::factor].astype(int) - picture).max() <= 1


def test_truncated_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match="--truncation"):
        next(walk_frames(generator(), Walk(curve="noise", truncation=0.5)))


def test_grids_are_written_as_columns_x_rows() -> None:
    assert parse_grid("4x3") == (4, 3)
    for text in ("4", "0x3", "4x", "4x3x2", "100x1", "-1x2"):
        with pytest.raises(ConfigError, match="as 4x3"):
            parse_grid(text)


def test_small_pictures_walk_in_company() -> None:
    assert default_grid((32, 48)) == (4, 3)
    assert default_grid((128, 192)) == (1, 1)


def test_write_walk_needs_nothing_but_seeds(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert write_walk(generator(), range(2), tmp_path / "walk.gif").stat().st_size > 0
