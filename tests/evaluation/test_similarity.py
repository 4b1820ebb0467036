from collections.abc import Callable

import numpy as np
import pytest

from ganforge.errors import EvaluationError
from ganforge.evaluation.pictures import ArraySource
from ganforge.evaluation.similarity import pair_similarities, window_for

Draw = Callable[..., ArraySource]


@pytest.mark.parametrize("side", [8, 12, 14, 16, 28, 32, 48, 64, 96, 112, 128, 176, 256])
def test_every_size_has_a_window_that_the_library_takes(side: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 1, side, side), np.uint8)
    [value] = pair_similarities(ArraySource(pictures, name="noise"))
    assert 0 <= value < 0.5


def test_large_pictures_have_the_published_window() -> None:
    window = window_for(256, 256)
    assert (window.size, len(window.weights), window.deviation) == (11, 5, 1.5)


def test_64_pixels_have_a_window_of_7_and_three_scales() -> None:
    window = window_for(64, 64)
    assert (window.size, len(window.weights)) == (7, 3)
    assert sum(window.weights) == pytest.approx(1)


def test_equal_pictures_are_wholly_alike(draw: Draw) -> None:
    picture = draw(1, 0).take(np.array([0]))
    same = ArraySource(np.repeat(picture, 6, axis=0), name="same")
    assert pair_similarities(same) == pytest.approx(np.ones(3))


def test_one_class_is_more_alike_than_four(draw: Draw) -> None:
    one, four = draw(200, 0, classes=1), draw(200, 0, classes=4)
    assert pair_similarities(one).mean() > pair_similarities(four).mean()


def test_pairs_reach_over_every_batch(draw: Draw) -> None:
    assert len(pair_similarities(draw(131, 0))) == 65


def test_too_small_pictures_are_refused() -> None:
    with pytest.raises(EvaluationError, match="needs 8 pixels"):
        pair_similarities(ArraySource(np.zeros((2, 1, 4, 4), np.uint8), name="x"))


def test_one_picture_is_refused(draw: Draw) -> None:
    with pytest.raises(EvaluationError, match="compares pairs"):
        pair_similarities(draw(1, 0))
