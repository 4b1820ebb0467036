import copy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge import checkpoint
from ganforge.config import (
    AugmentConfig,
    DCGANConfig,
    EMAConfig,
    Gate,
    ObjectiveConfig,
    PGGANConfig,
    RunConfig,
    SAGANConfig,
    UpdatesConfig,
)
from ganforge.errors import TrainingError
from ganforge.objectives import LOSSES
from ganforge.schedule import Phase
from ganforge.training.loop import effective_ratio, figures, real_batch, train, train_step
from ganforge.training.state import GateState, TrainState
from ganforge.training.updates import Draws
from ganforge.training.world import World
from toy import PGGAN, Toy, toy_config, toy_schedule

CPU = torch.device("cpu")


def fresh(config: RunConfig) -> TrainState:
    return TrainState.create(config, CPU)


def flat(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [item for key in sorted(content, key=str) for item in flat(content[key])]
    if isinstance(content, list | tuple):
        return [item for value in content for item in flat(value)]
    return [content]


def same(one: TrainState, other: TrainState) -> bool:
    """Whether two states are equal bit for bit."""
    left, right = flat(one.content()), flat(other.content())
    return len(left) == len(right) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(left, right, strict=True)
    )


def flat_phase(**more: Any) -> tuple[Phase, ...]:
    return (Phase(resolution=16, length="96img", batch=8, lr_g=1e-3, lr_d=1e-3, **more),)


SETTINGS = {
    "growing": {},
    "gate, lazy R1, packing": {
        "objective": ObjectiveConfig(loss="hinge", r1=1, every=3),
        "updates": UpdatesConfig(gate=Gate(limit=0.1, window=3, steps=2)),
        "network": PGGAN.model_copy(update={"pack": 2}),
    },
    "adaptive augmentation": {
        "augment": AugmentConfig(policy=("colour", "translation", "cutout"), p=0.3, target=0.0, ramp=0.5)
    },
    "accumulation": {"micro_batch": 4},
    "classes, AC-GAN": {"network": PGGAN.model_copy(update={"classes": 3, "conditioning": "acgan"})},
    "classes, projection, five to one": {
        "network": PGGAN.model_copy(update={"classes": 3}),
        "updates": UpdatesConfig(order="g-first", d_per_g=5),
    },
    "split": {"objective": ObjectiveConfig(), "updates": UpdatesConfig(split=True)},
    "sagan": {
        "network": SAGANConfig(resolution=16, latent=8, classes=3),
        "objective": ObjectiveConfig(loss="hinge"),
        "phases": flat_phase(),
    },
    "dcgan": {"network": DCGANConfig(resolution=16, latent=8), "objective": ObjectiveConfig(), "phases": flat_phase()},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("stop", [3, 6, 9])
def test_resume_is_bit_exact(setting: str, stop: int, tmp_path: Path) -> None:
    config = toy_config(**SETTINGS[setting])
    schedule, whole = toy_schedule(config), fresh(config)
    expected = [(report.images, report.position.alpha) for report in train(whole, Toy(), schedule)]
    begun = fresh(config)
    first = [(report.images, report.position.alpha) for report in islice(train(begun, Toy(), schedule), stop)]
    checkpoint.write(tmp_path / "c.pt", begun.content())
    resumed = fresh(config)
    resumed.restore(checkpoint.read(tmp_path / "c.pt"))
    assert same(begun, resumed)
    rest = [(report.images, report.position.alpha) for report in train(resumed, Toy(), schedule)]
    assert first + rest == expected
    assert same(whole, resumed)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_moves_both_networks(loss: str) -> None:
    config = toy_config(objective=ObjectiveConfig(loss=loss))
    state = fresh(config)
    before = copy.deepcopy(state.content())
    for _ in islice(train(state, Toy(), toy_schedule(config)), 2):
        pass
    for name in ("generator", "discriminator"):
        moved = [key for key, value in state.content()[name].items() if not torch.equal(value, before[name][key])]
        assert len(moved) > 3


def test_nothing_of_the_levels_above_is_touched() -> None:
    config = toy_config()
    state = fresh(config)
    before = copy.deepcopy(state.discriminator.state_dict())
    for _ in islice(train(state, Toy(), toy_schedule(config)), 4):
        pass
    after = state.discriminator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("blocks."))
    assert not torch.equal(before["score.weight"], after["score.weight"])


def gradients(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The generator's gradients in the first step, as the optimizer gets them."""
    state, seen = fresh(config), []
    monkeypatch.setattr(
        state.optimizer_g,
        "step",
        lambda: seen.extend(p.grad.clone() for p in state.generator.parameters() if p.grad is not None),
    )
    monkeypatch.setattr(state.optimizer_d, "step", lambda: None)
    train_step(state, Toy(), toy_schedule(config).at(0), World())
    return seen


def test_accumulation_gives_the_gradients_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    phases = (Phase(resolution=16, length="64img", batch=64, lr_g=1e-3, lr_d=1e-3),)
    network = PGGANConfig(resolution=16, latent=8, fmap_max=8, fmap_base=128, group=4)
    whole = gradients(toy_config(phases=phases, network=network), monkeypatch)
    parts = gradients(toy_config(phases=phases, network=network, micro_batch=16), monkeypatch)
    assert len(whole) == len(parts) > 5
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-8 + 1e-5 * float(one.abs().max()))


@pytest.mark.parametrize("fails", [1, 2])
def test_out_of_memory_halves_the_micro_batch_and_loses_no_step(fails: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config()
    state, left = fresh(config), [fails]
    forward = state.discriminator.forward

    def planted(images: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        if images.shape[2] == 16 and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("planted")
        return forward(images, labels)

    monkeypatch.setattr(state.discriminator, "forward", planted)
    reports = list(train(state, Toy(), toy_schedule(config)))
    assert [report.images for report in reports] == list(range(8, 161, 8))
    shrunk = [report for report in reports if report.out_of_memory]
    assert [(report.began, report.micro_batch) for report in shrunk] == [(96, 8 >> fails)]


def test_out_of_memory_with_nothing_left_to_halve_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config()
    state = fresh(config)

    def planted(images: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        raise torch.OutOfMemoryError("planted")

    monkeypatch.setattr(state.discriminator, "forward", planted)
    with pytest.raises(TrainingError, match=r"out of memory with a micro-batch of 2.*--max-res"):
        next(train(state, Toy(), toy_schedule(config)))


def test_real_pictures_fade_as_the_networks_do() -> None:
    config = toy_config()
    state, schedule = fresh(config), toy_schedule(config)
    sharp = real_batch(state, Toy(), schedule.at(95), 0).images
    begun = real_batch(state, Toy(), schedule.at(32), 0).images
    half = real_batch(state, Toy(), schedule.at(48), 0).images
    below = torch.nn.functional.avg_pool2d(sharp, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(begun, below, atol=1e-6)
    assert torch.allclose(half, (below + sharp) / 2, atol=1e-6)
    assert float(sharp.min()) >= -1
    assert float(sharp.max()) <= 1


def test_the_gate_reproduces_a_hand_made_sequence() -> None:
    gate, state = Gate(limit=0.5, window=5, steps=4), GateState()
    losses = [0.1, 0.2, 0.3, 0.4, 0.4, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    closed = []
    for loss in losses:
        closed.append(state.closed())
        state.after_step(gate, loss)
    # The mean of five reaches 0.5 after the sixth loss, and four steps follow in which D is alone; then again.
    assert [index for index, shut in enumerate(closed) if shut] == [6, 7, 8, 9, 12, 13, 14, 15]


def test_behind_the_gate_the_generator_waits() -> None:
    config = toy_config(updates=UpdatesConfig(gate=Gate(limit=-100.0, window=2, steps=3)))
    state = fresh(config)
    trained = [report.trained_generator for report in train(state, Toy(), toy_schedule(config))]
    assert trained[:9] == [True, True, False, False, False, True, False, False, False]


def test_the_effective_ratio_is_that_of_the_updates_that_were_made() -> None:
    config = toy_config(updates=UpdatesConfig(gate=Gate(limit=-100.0, window=2, steps=3)))
    state, share = fresh(config), 1.0
    for report in train(state, Toy(), toy_schedule(config)):
        share += 0.02 * (report.trained_generator - share)
        assert effective_ratio(figures(state.figures)) == pytest.approx(1 / share, rel=1e-5)
    assert share < 0.8
    assert effective_ratio({"loss/d": 1.0}) is None


def test_another_number_of_ranks_takes_the_same_batch_without_overlap() -> None:
    for size in (1, 2, 3):
        parts = [part for rank in range(size) for part in World(rank, size).shares(24, 5, 2)]
        assert [index for part in parts for index in range(part.start, part.stop)] == list(range(24))
        assert all((part.stop - part.start) % 2 == 0 for part in parts)
        assert all(part.stop - part.start <= 5 for part in parts)


def test_the_average_forgets_a_new_levels_initial_weights() -> None:
    """Its half-life is at most a share of the images since the phase began (the default's is 1/20)."""
    config = toy_config(ema=EMAConfig(half_life=10, ramp=0.5))
    state, schedule = fresh(config), toy_schedule(config)
    for report in train(state, Toy(), schedule):
        assert state.ema is not None
        gap = (state.ema.to_picture[2].weight - state.generator.to_picture[2].weight).abs().max().item()
        if report.position.phase.resolution == 16:
            assert gap < 0.02  # Adam moved each weight by about 0.001 a step, in at most 8 steps
    assert gap > 0


@pytest.mark.parametrize("limit", [8, 4, 2])
def test_the_largest_micro_batch_that_fits_is_found_at_each_growth(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config(micro_batch="auto")
    state = fresh(config)
    forward = state.discriminator.forward

    def planted(images: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        if images.shape[2] == 16 and len(images) > limit:
            raise torch.OutOfMemoryError("planted")
        return forward(images, labels)

    monkeypatch.setattr(state.discriminator, "forward", planted)
    reports = list(train(state, Toy(), toy_schedule(config)))
    used = {report.position.phase.resolution: report.micro_batch for report in reports}
    assert used == {4: 0, 8: 0, 16: 0 if limit == 8 else limit}
    assert not any(report.out_of_memory for report in reports)


def test_probing_changes_nothing_of_the_run() -> None:
    probed, plain = toy_config(micro_batch="auto"), toy_config()
    one, other = fresh(probed), fresh(plain)
    for state, config in ((one, probed), (other, plain)):
        for _ in train(state, Toy(), toy_schedule(config)):
            pass
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.generator.state_dict().values(), other.generator.state_dict().values(), strict=True)
    )


def test_frozen_layers_stay_and_the_others_learn() -> None:
    config = toy_config(freeze_d=2)
    state = fresh(config)
    before = copy.deepcopy(state.discriminator.state_dict())
    for _ in train(state, Toy(), toy_schedule(config)):
        pass
    after = state.discriminator.state_dict()
    frozen = ("from_picture.", "blocks.1.")
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith(frozen))
    assert not torch.equal(before["blocks.0.first.weight"], after["blocks.0.first.weight"])


def test_a_random_crop_is_a_window_enlarged() -> None:
    config = toy_config(data={"crop": 4})
    state, schedule = fresh(config), toy_schedule(config)
    whole = real_batch(fresh(toy_config()), Toy(), schedule.at(150), 0).images
    cropped = real_batch(state, Toy(), schedule.at(150), 0).images
    assert cropped.shape == whole.shape
    assert not torch.equal(cropped, whole)
    assert float(cropped.max()) <= float(whole.max()) + 1e-5
    assert torch.equal(cropped, real_batch(state, Toy(), schedule.at(150), 0).images)


def test_fake_labels_come_in_the_shares_of_the_real_ones() -> None:
    config = toy_config(network=PGGAN.model_copy(update={"classes": 3}), data={"class_counts": (80, 20, 0)})
    _, labels = Draws(fresh(config), "test").latents(4000)
    assert labels is not None
    shares = torch.bincount(labels, minlength=3) / 4000
    assert torch.allclose(shares, torch.tensor([0.8, 0.2, 0.0]), atol=0.03)
