"""Hints on figures made up for it."""

import re
from collections.abc import Callable

import pytest

from ganforge.config import ObjectiveConfig, RunConfig, parse_assignments
from ganforge.observers.hints import LONG, Hint, Reader
from toy import NETWORKS, toy_config

HEALTHY = {"accuracy/real": 0.86, "accuracy/fake": 0.9, "loss/d": 0.71, "loss/g": 2.1}
EVERY = 50  # steps between two ticks


def config(loss: str = "non-saturating", arch: str = "dcgan") -> RunConfig:
    return toy_config(network=NETWORKS[arch], objective=ObjectiveConfig(loss=loss))


def noisy(step: int, **changes: float) -> dict[str, float]:
    """Healthy figures with a wave on the losses."""
    wave = 1 + 0.02 * ((step // EVERY) % 7 - 3)
    return {**HEALTHY, "loss/d": HEALTHY["loss/d"] * wave, "loss/g": HEALTHY["loss/g"] * wave, **changes}


def said(figures: Callable[[int], dict[str, float]], steps: int = 3000, **kind: str) -> list[tuple[int, Hint]]:
    reader = Reader(config(**kind))
    return [(step, hint) for step in range(EVERY, steps, EVERY) for hint in reader.read(step, figures(step), 2)]


def test_healthy_figures_are_passed_over_in_silence() -> None:
    assert said(noisy) == []


def test_a_discriminator_that_wins_for_long_is_a_generator_that_loses() -> None:
    ((step, hint),) = said(
        lambda step: noisy(step, **{"accuracy/real": 1.0, "accuracy/fake": 0.998, "loss/d": 0.1 + step * 1e-5})
    )
    assert step == EVERY + LONG
    assert "accuracy 1.0" in hint.seen
    assert "the generator is losing" in hint.means
    assert "--set phases.2.lr_d=0.0005" in hint.attempt
    assert "objective.r1" not in hint.attempt  # its batch normalization forbids the penalty
    assert "--augment ada" in hint.attempt


def test_winning_for_a_short_while_is_no_news_and_each_stretch_is_said_once() -> None:
    def figures(step: int) -> dict[str, float]:
        wins = 1.0 if step % 1000 < LONG - EVERY or step > 2000 else 0.9
        return noisy(step, **{"accuracy/real": wins, "accuracy/fake": wins})

    hints = said(figures, steps=6000)
    assert [step for step, _ in hints] == [2000 + LONG]


def test_guessing_from_the_start_is_said() -> None:
    ((step, hint),) = said(lambda step: noisy(step, **{"accuracy/real": 0.98, "accuracy/fake": 0.01}))
    assert step == EVERY + LONG
    assert "guessed from the start" in hint.seen
    assert "--set phases.2.lr_d=0.004" in hint.attempt


def test_guessing_after_it_knew_better_is_an_equilibrium() -> None:
    assert said(lambda step: noisy(step, **({} if step < 100 else {"accuracy/real": 0.5, "accuracy/fake": 0.5}))) == []


@pytest.mark.parametrize(("name", "role"), [("loss/d", "discriminator"), ("loss/g", "generator")])
def test_a_loss_that_does_not_change_is_said(name: str, role: str) -> None:
    ((step, hint),) = said(lambda step: noisy(step, **{name: 2.0 + 1e-7 * (step % 3)}))
    assert LONG <= step <= LONG + 2 * EVERY
    assert f"the {role}'s loss" in hint.seen
    assert f"--set phases.2.lr_{name[-1]}=0.00025" in hint.attempt


def test_a_discriminators_loss_near_nothing_is_one_hint_and_not_two() -> None:
    sure = {"accuracy/real": 1.0, "accuracy/fake": 1.0}
    ((_, hint),) = said(lambda step: noisy(step, **sure, **{"loss/d": 0.001 * (1 + step % 3)}))
    assert "loss is near 0" in hint.seen
    assert "--set objective.loss=hinge" in hint.attempt


@pytest.mark.parametrize("loss", ["wgan", "lsgan"])
def test_scores_that_are_no_verdicts_are_not_read_as_such(loss: str) -> None:
    for accuracy in (0.5, 1.0):
        figures = {"accuracy/real": accuracy, "accuracy/fake": accuracy}
        assert said(lambda step, figures=figures: noisy(step, **figures), loss=loss) == []  # type: ignore[misc]


@pytest.mark.parametrize("arch", sorted(NETWORKS))
def test_what_is_to_be_tried_can_be_typed(arch: str) -> None:
    figures = [
        {"accuracy/real": 1.0, "accuracy/fake": 1.0},
        {"accuracy/real": 0.5, "accuracy/fake": 0.5},
        {"accuracy/real": 1.0, "accuracy/fake": 1.0, "loss/d": 0.0},
        {"loss/g": 0.5},
    ]
    for values in figures:
        hints = said(lambda step, values=values: noisy(step, **values), arch=arch)  # type: ignore[misc]
        assert hints
        for _, hint in hints:
            for assignment in re.findall(r"--set ([^\s,;)]+)", str(hint)):
                changed = config(arch=arch).changed(parse_assignments([assignment]))
                assert changed != config(arch=arch)


def test_figures_that_are_no_numbers_are_left_to_others() -> None:
    nan = float("nan")
    assert said(lambda _: {"accuracy/real": nan, "accuracy/fake": nan, "loss/d": nan, "loss/g": nan}) == []
