from collections import Counter

import pytest

from ganforge.data.sizes import check_resolution, choose_levels, parse_aspect, short_sides
from ganforge.errors import DataError


@pytest.mark.parametrize(
    ("size", "base"),
    [
        ((28, 28), (7, 7)),
        ((32, 32), (4, 4)),
        ((48, 48), (3, 3)),
        ((96, 96), (3, 3)),
        ((80, 80), (5, 5)),
        ((256, 384), (4, 6)),
        ((384, 256), (6, 4)),
        ((1024, 1024), (4, 4)),
    ],
)
def test_pictures_of_one_size_on_a_grid_keep_it(size, base):
    levels = choose_levels(Counter({size: 10}), None, None)
    assert (levels.base, levels.size) == (base, size)
    assert levels.sizes[0] == base
    assert all(b == (2 * a[0], 2 * a[1]) for a, b in zip(levels.sizes, levels.sizes[1:], strict=False))


def test_auto_is_the_largest_power_of_two_that_nine_in_ten_reach():
    nine = Counter({(130, 200): 90, (20, 20): 10})
    assert choose_levels(nine, None, None).resolution == 128
    eight = Counter({(130, 200): 89, (20, 20): 11})
    assert choose_levels(eight, None, None).resolution == 16


@pytest.mark.parametrize(
    ("size", "resolution"), [((640, 640), 512), ((384, 384), 256), ((384, 512), 256), ((160, 160), 128)]
)
def test_large_pictures_off_the_powers_of_two_become_one_unless_asked(size, resolution):
    levels = choose_levels(Counter({size: 10}), None, None)
    assert levels.size == (resolution, resolution)
    assert f"--max-res {min(size)} is allowed too" in levels.why
    assert choose_levels(Counter({size: 10}), min(size), None).size == size


def test_auto_never_exceeds_1024():
    levels = choose_levels(Counter({(4000, 3001): 5}), None, None)
    assert levels.resolution == 1024
    assert "1024" in levels.why


def test_odd_sizes_become_square_powers_of_two():
    levels = choose_levels(Counter({(218, 178): 5}), None, None)
    assert (levels.base, levels.size) == ((4, 4), (128, 128))


@pytest.mark.parametrize(
    ("max_res", "aspect", "size"),
    [
        (64, None, (64, 96)),  # the pictures' own proportions, as 4x6 holds them at 64
        (48, None, (48, 48)),  # 48 is no doubling of 4, so square
        (64, (1, 1), (64, 64)),
        (64, (2, 3), (96, 64)),
        (64, (16, 9), (64, 112)),
        (96, (4, 3), (96, 128)),
    ],
)
def test_max_res_and_aspect_are_obeyed(max_res, aspect, size):
    assert choose_levels(Counter({(256, 384): 3}), max_res, aspect).size == size


def test_a_size_off_every_grid_is_refused_with_its_neighbours():
    with pytest.raises(DataError, match="96 or 112"):
        check_resolution(100)
    with pytest.raises(DataError, match="nearest sizes are 3"):
        check_resolution(1)
    for allowed in (3, 4, 7, 28, 48, 96, 112, 256, 1024):
        check_resolution(allowed)


def test_four_comes_first_among_the_bases():
    assert short_sides(4) == (4,)
    assert short_sides(48) == (3, 6)
    assert short_sides(28) == (7,)


def test_pictures_too_small_for_any_grid_are_refused():
    with pytest.raises(DataError, match="smaller than 4 pixels"):
        choose_levels(Counter({(2, 2): 9}), None, None)


@pytest.mark.parametrize("text", ["3/2", "3:", ":2", "0:1", "wide", "3:2:1"])
def test_an_aspect_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="--aspect"):
        parse_aspect(text)


def test_aspects_are_width_to_height():
    assert parse_aspect("3:2") == (3, 2)
    assert parse_aspect("square") == (1, 1)
    assert parse_aspect("auto") is None
