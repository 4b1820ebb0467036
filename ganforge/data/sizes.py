"""Which sizes a dataset's levels have: a base grid with sides from 3 to 7, doubled as often as need be.

4x4 gives the powers of two, 7x7 MNIST's 28, 3x3 STL-10's 48 and 96, 4x6 pictures of 256x384.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

from ganforge.errors import DataError

SIDES = range(3, 8)
LARGEST_ODD = 128  # pixels: larger pictures become a power of two, so that 256 and the like are among their levels
LARGEST_AUTO = 1024  # no preset trains above it; more must be asked for
REACH = 0.9  # the share of pictures that an automatic size must not enlarge

Size = tuple[int, int]


@dataclass(frozen=True)
class Levels:
    """The base grid and the largest level's shorter side, and why they were chosen.

    `base` is (height, width); `resolution` is the shorter side of the largest level in pixels.
    """

    base: Size
    resolution: int
    why: str

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The levels' shorter sides, ascending."""
        resolutions = [self.resolution]
        while resolutions[0] > min(self.base):
            resolutions.insert(0, resolutions[0] // 2)
        return tuple(resolutions)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(height, width) of each level, ascending."""
        short = min(self.base)
        return tuple((self.base[0] * r // short, self.base[1] * r // short) for r in self.resolutions)

    @property
    def size(self) -> Size:
        """(height, width) of the largest level."""
        return self.sizes[-1]


def short_sides(resolution: int) -> tuple[int, ...]:
    """The base sides, 3 to 7, of which `resolution` is a doubling; 4 first, as it gives the powers of two."""
    fitting = [side for side in SIDES if resolution % side == 0 and (resolution // side).bit_count() == 1]
    return tuple(sorted(fitting, key=lambda side: (side != 4, side)))


def check_resolution(resolution: int) -> None:
    """Refuse a size that no base grid reaches.

    Raises:
        DataError: names the nearest sizes allowed.
    """
    if short_sides(resolution):
        return
    allowed = sorted(side << doublings for side in SIDES for doublings in range(14))
    below = [size for size in allowed if size < resolution]
    above = [size for size in allowed if size > resolution]
    near = " or ".join(str(size) for size in below[-1:] + above[:1])
    raise DataError(f"--max-res {resolution} is no doubling of a base of 3 to 7 pixels; the nearest sizes are {near}")


def parse_aspect(text: str) -> tuple[int, int] | None:
    """`W:H` as numbers; None for `auto`.

    Raises:
        DataError: it is neither `auto`, `square` nor `W:H`.
    """
    if text == "auto":
        return None
    if text == "square":
        return 1, 1
    width, colon, height = text.partition(":")
    if colon and width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return int(width), int(height)
    raise DataError(f"--aspect {text!r} is neither auto, square nor WIDTH:HEIGHT, as in 3:2")


def choose_levels(seen: Mapping[Size, int], max_res: int | None, aspect: tuple[int, int] | None) -> Levels:
    """The levels for pictures of these sizes.

    Args:
        seen: how many pictures have each (height, width), upright; at least one.
        max_res: the largest level's shorter side, or None to choose it.
        aspect: (width, height) in proportion, or None to choose it.

    Raises:
        DataError: `max_res` is no size that a base grid reaches, or the pictures are too small for any.
    """
    if max_res is not None:
        check_resolution(max_res)
    total = sum(seen.values())
    size = _commonest(seen)
    if seen[size] >= REACH * total and (exact := _exact(size, max_res, aspect)):
        share = "all pictures are" if seen[size] == total else f"{seen[size]} of {total} pictures are"
        height, width = size
        grid = f"{exact[0]}x{exact[1]}"
        if max_res or min(exact) == 4 or min(size) <= LARGEST_ODD:
            return Levels(exact, max_res or min(size), f"{share} {height}x{width}, a doubling of the base grid {grid}")
    shape = aspect or (1, 1)
    resolution = max_res or _reached(seen, shape)
    base = _base(resolution, shape)
    why = "as --max-res asks" if max_res else _auto_reason(resolution, seen)
    if shape[0] == shape[1]:
        kind = "square, which --aspect can change" if aspect is None else "square"
    else:
        off = abs(log(base[1] * shape[1] / base[0] / shape[0]))
        kind = f"the base grid nearest to {shape[0]}:{shape[1]}" + (f" (off by {off:.0%})" if off > 0.005 else "")
    return Levels(base, resolution, f"{why}; {kind}")


def _commonest(seen: Mapping[Size, int]) -> Size:
    return max(seen, key=lambda size: (seen[size], size))


def _exact(size: Size, max_res: int | None, aspect: tuple[int, int] | None) -> Size | None:
    """The base grid (height, width) that this size is a doubling of, if `max_res` and `aspect` allow it."""
    height, width = size
    if aspect is not None and aspect[0] * height != aspect[1] * width:
        return None
    short = min(size)
    for side in short_sides(short):
        factor = short // side
        base = (height // factor, width // factor)
        on_grid = height % factor == 0 and width % factor == 0 and max(base) in SIDES
        if on_grid and (max_res is None or side in short_sides(max_res)):
            return base
    return None


def _reached(seen: Mapping[Size, int], shape: tuple[int, int]) -> int:
    """The largest power of two that at least nine in ten pictures reach, cut to `shape`, without enlarging."""
    width, height = shape
    short = min(shape)
    reached = sorted(((min(h * short / height, w * short / width), n) for (h, w), n in seen.items()), reverse=True)
    missing, bound = REACH * sum(seen.values()), 0.0
    while missing > 1e-9:
        bound, count = reached.pop(0)
        missing -= count
    if bound < 4:
        raise DataError("most pictures are smaller than 4 pixels: nothing to train on; give larger ones or --max-res")
    return int(min(LARGEST_AUTO, 1 << (int(bound).bit_length() - 1)))


def _auto_reason(resolution: int, seen: Mapping[Size, int]) -> str:
    reason = f"the largest power of two that 90% of {sum(seen.values())} pictures reach without enlarging"
    if resolution == LARGEST_AUTO:
        return f"{reason}, at most {LARGEST_AUTO}"
    kept = min(_commonest(seen))
    return f"{reason} (--max-res {kept} is allowed too)" if kept > resolution and short_sides(kept) else reason


def _base(resolution: int, shape: tuple[int, int]) -> Size:
    """The base grid (height, width) for this shorter side whose proportions are nearest to `shape` (width, height)."""
    wanted = log(max(shape) / min(shape))
    candidates = [(side, long) for side in short_sides(resolution) for long in SIDES if long >= side]
    short, long = min(
        candidates, key=lambda pair: (round(abs(log(pair[1] / pair[0]) - wanted), 9), pair[0] != 4, pair[0])
    )
    return (short, long) if shape[0] >= shape[1] else (long, short)
