from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray

from ganforge.evaluation.memorisation import audit, chance_of, gallery
from ganforge.evaluation.pictures import ArraySource

Draw = Callable[..., ArraySource]
Array = NDArray[np.float32]


def points(count: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)


@pytest.mark.parametrize(("near", "generated", "unseen", "reals"), [(3, 50, 2, 40), (10, 100, 1, 100), (1, 5, 3, 9)])
def test_chance_is_the_tail_of_the_hypergeometric(near: int, generated: int, unseen: int, reals: int) -> None:
    first = near + unseen - 1
    expected = scipy.stats.hypergeom(generated + reals, reals, first).cdf(unseen - 1)
    assert chance_of(near, generated, unseen, reals) == pytest.approx(expected, rel=1e-9)


def test_no_copies_are_no_surprise() -> None:
    assert chance_of(0, 100, 1, 100) == 1


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("seed", [0, 10, 20])
def test_clean_pictures_give_no_alarm(seed: int, held_out: bool, cpu: torch.device) -> None:
    kept = points(500, seed + 2) if held_out else None
    found = audit(points(600, seed), points(500, seed + 1), kept, cpu)
    assert not found.alarm
    assert found.copies < 0.04


@pytest.mark.parametrize("held_out", [False, True])
def test_five_in_a_hundred_copies_are_found(held_out: bool, cpu: torch.device) -> None:
    training, made = points(500, 1), points(600, 0)
    made[:30] = training[100:130] + 0.01 * points(30, 5)
    found = audit(made, training, points(500, 2) if held_out else None, cpu)
    assert found.alarm
    assert found.copies >= 0.05
    assert set(found.pairs) <= {(i, 100 + i) for i in range(30)}


def test_equal_training_pictures_are_no_copies_of_the_generator(cpu: torch.device) -> None:
    training = np.concatenate([points(400, 1), points(400, 1)[:200]])
    assert not audit(points(300, 0), training, None, cpu).alarm


def test_copy_of_a_training_picture_that_is_there_twice_is_found(cpu: torch.device) -> None:
    training, made = np.concatenate([points(400, 1), points(400, 1)[:4]]), points(400, 0)
    made[:40] = training[:40]
    assert audit(made, training, points(400, 3), cpu).alarm


def test_common_kinds_of_pictures_are_no_copies(cpu: torch.device) -> None:
    """A generator that draws only from the dense part of the data is near to it without copying."""
    dense = 0.02 * points(2000, 0)
    training = np.concatenate([points(400, 1), dense[:400]])
    unseen = np.concatenate([points(400, 2), dense[400:800]])
    assert not audit(dense[800:1300], training, unseen, cpu).alarm


def test_gallery_shows_each_pair(draw: Draw, cpu: torch.device) -> None:
    made, training = draw(20, 0), draw(30, 1)
    flat = [s.take(np.arange(len(s))).reshape(len(s), -1).astype(np.float32) for s in (made, training)]
    found = audit(flat[0], flat[1], None, cpu)
    picture = gallery(found, made, training)
    first = made.take(np.array([found.pairs[0][0]]))[0]
    below = training.take(np.array([found.pairs[0][1]]))[0]
    array = np.asarray(picture).transpose(2, 0, 1)
    assert np.array_equal(array[:, 8 : 8 + 96 : 3, 8 : 8 + 96 : 3], first)
    assert np.array_equal(array[:, 106 : 106 + 96 : 3, 8 : 8 + 96 : 3], below)
