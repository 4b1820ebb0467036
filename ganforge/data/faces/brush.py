"""A small vector brush over Pillow: smooth filled shapes with outlines, tapered strokes, and drawing inside a shape.

Coordinates are fractions of the picture's side: (0, 0) is its upper left corner, (1, 1) its lower right one. Pillow
does not smooth edges, so a `Canvas` is drawn several times too large and reduced at the end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour: TypeAlias = tuple[int, int, int]
Points: TypeAlias = npt.NDArray[np.float64]
PointsLike: TypeAlias = Points | Sequence[tuple[float, float]]

CENTRE: Final = 0.5
"""The axis that `mirrored` mirrors at."""

_SAMPLES: Final = 8
_T: Final = np.arange(_SAMPLES)[:, None] / _SAMPLES
_CATMULL_ROM: Final = 0.5 * np.hstack(
    [-_T + 2 * _T**2 - _T**3, 2 - 5 * _T**2 + 3 * _T**3, _T + 4 * _T**2 - 3 * _T**3, -(_T**2) + _T**3]
)
_ROUND: Final = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=1)


def mix(one: Colour, other: Colour, amount: float) -> Colour:
    """`one` moved towards `other` by `amount` (0 to 1)."""
    keep = 1 - amount
    return (
        round(one[0] * keep + other[0] * amount),
        round(one[1] * keep + other[1] * amount),
        round(one[2] * keep + other[2] * amount),
    )


def mirrored(half: PointsLike) -> Points:
    """A closed outline from its right half, given from the point on the axis at one end to the one at the other."""
    right = np.asarray(half, dtype=np.float64)
    left = right[-2:0:-1] * (-1, 1) + (2 * CENTRE, 0)
    return np.concatenate([right, left])


def flipped(points: PointsLike) -> Points:
    """The points on the other side of the axis."""
    return np.asarray(points, dtype=np.float64) * (-1, 1) + (2 * CENTRE, 0)


def joined(*pieces: Points) -> Points:
    """One line from several, each starting where the one before it ended or near it."""
    return np.concatenate(pieces)


def smooth(points: PointsLike) -> Points:
    """A closed Catmull-Rom curve through the points."""
    knots = np.asarray(points, dtype=np.float64)
    around = np.stack(
        [np.roll(knots, 1, axis=0), knots, np.roll(knots, -1, axis=0), np.roll(knots, -2, axis=0)], axis=1
    )
    return (_CATMULL_ROM @ around).reshape(-1, 2)


def curve(points: PointsLike) -> Points:
    """An open Catmull-Rom curve through the points, from the first to the last."""
    knots = np.asarray(points, dtype=np.float64)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    around = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    return np.concatenate([(_CATMULL_ROM @ around).reshape(-1, 2), knots[-1:]])


def ellipse(x: float, y: float, width: float, height: float | None = None) -> Points:
    """An ellipse by its centre and half axes; a circle where `height` is not given."""
    return _CIRCLE * (width, width if height is None else height) + (x, y)


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Points:
    """Part of an ellipse, from `start` to `end` in degrees: 0 is right, 90 down, 180 left, 270 up."""
    angles = np.radians(np.linspace(start, end, 24))
    return np.stack([x + width * np.cos(angles), y + height * np.sin(angles)], axis=1)


class Canvas:
    """A square picture to draw on; `tilt` (radians) turns what is drawn about the lower centre while it is set."""

    def __init__(self, side: int, colour: Colour) -> None:
        self.side = side
        self.image = Image.new("RGB", (side, side), colour)
        self.tilt = 0.0
        self._draw = ImageDraw.Draw(self.image)

    def fill(self, outline: PointsLike, colour: Colour, edge: Colour | None = None, width: float = 0.014) -> None:
        """Fill a closed outline; with `edge`, draw a line of `width` along it."""
        self._draw.polygon(self._pixels(outline).ravel().tolist(), fill=colour)
        if edge is not None:
            self.outline(outline, edge, width)

    def outline(self, outline: PointsLike, colour: Colour, width: float = 0.014) -> None:
        """Draw a line of `width` along a closed outline."""
        pixels = self._pixels(outline)
        flat = pixels.ravel().tolist()
        thick = max(1, round(width * self.side))
        self._draw.line(flat + flat[:4], fill=colour, width=thick)
        self._round_corners(pixels, colour, thick)

    def stroke(self, points: PointsLike, colour: Colour, width: float = 0.014, taper: float = 0.0) -> None:
        """Draw an open line as a brush does; its ends are `1 - taper` as wide as its middle."""
        middle = self._pixels(points)
        along = np.gradient(middle, axis=0)
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
        swell = 1 - taper * (2 * np.linspace(0, 1, len(middle)) - 1) ** 2
        side = along[:, ::-1] * (-1, 1) * (0.5 * width * self.side * swell)[:, None]
        self._draw.polygon(np.concatenate([middle + side, (middle - side)[::-1]]).ravel().tolist(), fill=colour)
        radius = 0.5 * width * self.side * (1 - taper)
        for x, y in middle[[0, -1]].tolist():
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    @contextmanager
    def inside(self, outline: PointsLike) -> Iterator[None]:
        """Keep only what falls inside a closed outline of all that is drawn in the block."""
        before = self.image.copy()
        yield
        mask = Image.new("L", self.image.size, 255)
        ImageDraw.Draw(mask).polygon(self._pixels(outline).ravel().tolist(), fill=0)
        self.image.paste(before, mask=mask)

    def reduced(self, size: int) -> Image.Image:
        """The picture at `size` pixels a side."""
        return self.image.resize((size, size), Image.Resampling.LANCZOS)

    def _pixels(self, points: PointsLike) -> Points:
        spots = np.asarray(points, dtype=np.float64)
        if self.tilt:
            c, s = np.cos(self.tilt), np.sin(self.tilt)
            spots = (spots - (CENTRE, 0.85)) @ np.array([[c, s], [-s, c]]) + (CENTRE, 0.85)
        return spots * self.side

    def _round_corners(self, pixels: Points, colour: Colour, thick: int) -> None:
        # A wide Pillow line leaves a notch on the outside of a sharp turn: cover it with a dot.
        ahead = np.roll(pixels, -1, axis=0) - pixels
        behind = pixels - np.roll(pixels, 1, axis=0)
        lengths = np.hypot(ahead[:, 0], ahead[:, 1]) * np.hypot(behind[:, 0], behind[:, 1])
        sharp = (ahead * behind).sum(axis=1) < 0.9 * lengths
        radius = thick / 2
        for x, y in pixels[sharp].tolist():
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
