from pathlib import Path

import pytest
from PIL import Image

from ganforge.evaluation.curve import Point, draw_curves

POINTS = [Point(3000, 30.0, None), Point(1000, 50.0, 2.0), Point(2000, 20.0, 1.0)]


def test_each_score_has_a_panel_and_its_best_is_marked(tmp_path: Path) -> None:
    figure = draw_curves(
        {"fid[x]": POINTS, "kid[x]": POINTS, "is": POINTS}, {"fid[x]": "lower", "is": "higher"}, tmp_path / "a.png"
    )
    lower, none, higher = figure.axes
    marks = [[line for line in panel.lines if line.get_label() == "best"] for panel in (lower, none, higher)]
    assert [len(found) for found in marks] == [1, 0, 1]
    assert marks[0][0].get_xydata().tolist() == [[2.0, 20.0]]
    assert marks[2][0].get_xydata().tolist() == [[1.0, 50.0]]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (840, 480)


def test_points_are_joined_in_the_order_of_images(tmp_path: Path) -> None:
    [panel] = draw_curves({"fid": POINTS}, {}, tmp_path / "a.png").axes
    assert panel.lines[0].get_xydata().tolist() == [[1.0, 50.0], [2.0, 20.0], [3.0, 30.0]]


@pytest.mark.parametrize("points", [[Point(1, 0.5), Point(2, 0.5)], [Point(0, 3.0)]])
def test_flat_curve_is_drawn_without_a_best(tmp_path: Path, points: list[Point]) -> None:
    [panel] = draw_curves({"recall": points}, {"recall": "higher"}, tmp_path / "a.png").axes
    assert len(panel.lines) == 1
    assert "best" not in panel.get_title(loc="left")
