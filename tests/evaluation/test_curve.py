import numpy as np
import pytest

from ganforge.evaluation.curve import BEST, HEIGHT, WIDTH, Point, draw_curves, ticks


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 10, [0, 5, 10]), (0.11, 0.49, [0.2, 0.3, 0.4]), (3, 3, [3])])
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def has_mark(picture: object) -> bool:
    return bool((np.asarray(picture) == np.array(BEST)).all(axis=2).any())


def test_each_score_has_a_panel_and_its_best_is_marked() -> None:
    points = [Point(1000, 50.0, 2.0), Point(2000, 20.0, 1.0), Point(3000, 30.0, None)]
    picture = draw_curves({"fid[x]": points, "kid[x]": points, "modes-kl[x]": points}, {"fid[x]": "lower"})
    assert picture.size == (2 * WIDTH, 2 * HEIGHT)
    array = np.asarray(picture)
    assert has_mark(array[:HEIGHT, :WIDTH])
    assert not has_mark(array[:HEIGHT, WIDTH:])


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_flat_curve_is_drawn_without_a_best(value: float) -> None:
    assert not has_mark(draw_curves({"recall": [Point(1, value), Point(2, value)]}, {"recall": "higher"}))


def test_single_point_is_drawn() -> None:
    assert draw_curves({"fid": [Point(0, 3.0)]}, {"fid": "lower"}).size == (WIDTH, HEIGHT)
