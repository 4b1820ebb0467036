"""The hair of a cartoon face: what hangs behind the head, and what lies over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from ganforge.data.faces.brush import (
    CENTRE,
    Canvas,
    Colour,
    Points,
    arc,
    curve,
    ellipse,
    flipped,
    joined,
    mirrored,
    mix,
    smooth,
)
from ganforge.data.faces.traits import HAIR, Face

_INK: Final[Colour] = (46, 22, 40)
_SUN: Final[Colour] = (255, 244, 214)


@dataclass(frozen=True)
class Tones:
    """The colours one head of hair is drawn in."""

    base: Colour
    dark: Colour
    light: Colour
    edge: Colour


def tones(face: Face) -> Tones:
    """The face's hair colour, a little lighter or darker and a little warmer or cooler than its class's."""
    base = tuple(HAIR.values())[face.label]
    towards = (255, 250, 240) if face.hair_tone > 0 else (20, 8, 20)
    base = mix(base, towards, 0.1 * abs(face.hair_tone))
    base = mix(base, (255, 140, 60) if face.hair_lean > 0 else (110, 90, 200), 0.06 * abs(face.hair_lean))
    shine = 0.2 if sum(base) < 200 else 0.36
    return Tones(base, mix(base, _INK, 0.26), mix(base, _SUN, shine), mix(base, _INK, 0.66))


def bumps(points: Sequence[tuple[float, float]] | Points, size: float) -> Points:
    """An outline that bulges outwards between each two points of a closed clockwise path, as curls do."""
    knots = np.asarray(points, dtype=np.float64)
    after = np.roll(knots, -1, axis=0)
    along = after - knots
    out = along[:, ::-1] * (1, -1)
    rise = np.array([0.0, 0.62, 0.95, 1.0, 0.95, 0.62])[None, :, None]
    way = np.array([0.0, 0.1, 0.28, 0.5, 0.72, 0.9])[None, :, None]
    outline: Points = (knots[:, None] + along[:, None] * way + size * rise * out[:, None]).reshape(-1, 2)
    return outline


def _both(canvas: Canvas, outline: Points, colour: Colour, edge: Colour) -> None:
    canvas.fill(outline, colour, edge)
    canvas.fill(flipped(outline), colour, edge)


# ---- behind the head -------------------------------------------------------------------------------------------------


def _bob(canvas: Canvas, face: Face, hair: Tones) -> None:
    half = [(0.5, 0.115), (0.68, 0.16), (0.795, 0.34), (0.825, 0.58), (0.815, 0.745), (0.73, 0.80), (0.5, 0.80)]
    canvas.fill(smooth(mirrored(half)), hair.dark, hair.edge)


def _long(canvas: Canvas, face: Face, hair: Tones) -> None:
    half = [(0.5, 0.115), (0.68, 0.16), (0.79, 0.34), (0.815, 0.60), (0.845, 0.85), (0.86, 1.06), (0.5, 1.1)]
    canvas.fill(smooth(mirrored(half)), hair.dark, hair.edge)


def _wavy(canvas: Canvas, face: Face, hair: Tones) -> None:
    half = [
        (0.5, 0.11), (0.68, 0.15), (0.80, 0.30), (0.795, 0.43), (0.855, 0.54), (0.83, 0.66),
        (0.885, 0.77), (0.855, 0.88), (0.90, 1.0), (0.86, 1.1), (0.5, 1.1),
    ]  # fmt: skip
    canvas.fill(smooth(mirrored(half)), hair.dark, hair.edge)


def _afro(canvas: Canvas, face: Face, hair: Tones) -> None:
    ring = arc(CENTRE, 0.43, 0.345, 0.335, 140, 400)[::2]
    canvas.fill(bumps(ring, 0.3), mix(hair.base, hair.dark, 0.5), hair.edge)


def _curls(canvas: Canvas, face: Face, hair: Tones) -> None:
    ring = arc(CENTRE, 0.44, 0.29, 0.29, 150, 390)[::2]
    canvas.fill(bumps(ring, 0.3), hair.dark, hair.edge)


def _bun(canvas: Canvas, face: Face, hair: Tones) -> None:
    canvas.fill(ellipse(CENTRE, 0.105, 0.105, 0.09), hair.base, hair.edge)
    canvas.stroke(arc(CENTRE, 0.105, 0.055, 0.045, 190, 400), hair.edge, 0.012, 0.7)


def _space_buns(canvas: Canvas, face: Face, hair: Tones) -> None:
    for x, turn in ((0.265, 0), (0.735, 60)):
        canvas.fill(ellipse(x, 0.175, 0.105, 0.1), hair.base, hair.edge)
        canvas.stroke(arc(x, 0.175, 0.055, 0.052, 170 + turn, 390 + turn), hair.edge, 0.012, 0.7)


def _twin_tails(canvas: Canvas, face: Face, hair: Tones) -> None:
    tail = smooth(
        [(0.745, 0.30), (0.86, 0.265), (0.945, 0.40), (0.955, 0.60), (0.90, 0.80), (0.865, 0.90),
         (0.845, 0.77), (0.79, 0.62), (0.765, 0.44)]
    )  # fmt: skip
    _both(canvas, tail, hair.base, hair.edge)
    for line in (tail, flipped(tail)):
        with canvas.inside(line):
            side = 1 if line is tail else -1
            strand = [(0.79, 0.36), (0.865, 0.50), (0.87, 0.78)]
            spots = np.asarray(strand) if side > 0 else flipped(strand)
            canvas.stroke(curve(spots), hair.dark, 0.03, 0.8)
    _both(canvas, ellipse(0.765, 0.335, 0.034, 0.045), face.accent, mix(face.accent, _INK, 0.6))


def _ponytail(canvas: Canvas, face: Face, hair: Tones) -> None:
    tail = smooth(
        [(0.62, 0.15), (0.76, 0.10), (0.885, 0.20), (0.93, 0.42), (0.89, 0.66), (0.90, 0.82),
         (0.80, 0.70), (0.775, 0.50), (0.75, 0.34)]
    )  # fmt: skip
    outline = flipped(tail) if face.flip else tail
    canvas.fill(outline, hair.base, hair.edge)
    strand = [(0.75, 0.2), (0.84, 0.38), (0.83, 0.64)]
    canvas.stroke(curve(flipped(strand) if face.flip else strand), hair.dark, 0.028, 0.8)


def _tufts_back(canvas: Canvas, face: Face, hair: Tones) -> None:
    ring = [(0.70, 0.40), (0.775, 0.43), (0.79, 0.53), (0.765, 0.63), (0.70, 0.66)]
    _both(canvas, bumps(ring, 0.25), hair.base, hair.edge)


_BEHIND: Final[Mapping[str, Callable[[Canvas, Face, Tones], None]]] = {
    "bob": _bob,
    "long": _long,
    "wavy": _wavy,
    "afro": _afro,
    "curls": _curls,
    "bun": _bun,
    "space buns": _space_buns,
    "twin tails": _twin_tails,
    "ponytail": _ponytail,
    "tufts": _tufts_back,
}


# ---- over the head ---------------------------------------------------------------------------------------------------


def _locks(tips: Sequence[tuple[float, float]], gap: float) -> Points:
    """A row of pointed locks through the tips, with notches `gap` deep between them."""
    pieces = []
    for (x0, y0), (x1, y1) in pairwise(tips):
        notch = ((x0 + x1) / 2, min(y0, y1) - gap)
        rise = curve([(x0, y0), ((x0 * 2 + notch[0]) / 3 + 0.004, (y0 + notch[1]) / 2 + 0.01), notch])
        fall = curve([notch, ((x1 * 2 + notch[0]) / 3 + 0.004, (y1 + notch[1]) / 2 + 0.006), (x1, y1)])
        pieces += [rise[:-1], fall[:-1]]
    return np.concatenate([*pieces, np.asarray(tips[-1:])])


def _straight(inner: float) -> Points:
    return _locks(
        [(inner, 0.50), (0.645, 0.465), (0.552, 0.47), (0.455, 0.465), (0.36, 0.47), (1 - inner, 0.50)], 0.028
    )


def _choppy(inner: float) -> Points:
    return _locks([(inner, 0.52), (0.625, 0.44), (0.53, 0.495), (0.42, 0.445), (0.345, 0.49), (1 - inner, 0.50)], 0.085)


def _swept(inner: float) -> Points:
    return joined(
        curve([(inner, 0.50), (0.71, 0.40), (0.66, 0.33), (0.625, 0.265)]),
        curve([(0.625, 0.265), (0.585, 0.365), (0.47, 0.445), (0.345, 0.48), (1 - inner - 0.01, 0.545)]),
    )


def _curtain(inner: float) -> Points:
    half = curve([(0.5, 0.265), (0.535, 0.345), (0.63, 0.42), (0.70, 0.455), (inner, 0.53)])
    return joined(half[::-1], flipped(half)[1:])


def _slick(inner: float) -> Points:
    return curve(
        [(inner, 0.49), (0.70, 0.385), (0.61, 0.325), (0.5, 0.31), (0.39, 0.325), (0.30, 0.385), (1 - inner, 0.49)]
    )


def _widow(inner: float) -> Points:
    half = curve([(0.5, 0.375), (0.55, 0.325), (0.625, 0.315), (0.685, 0.365), (inner, 0.49)])
    return joined(half[::-1], flipped(half)[1:])


def _curly(inner: float) -> Points:
    knots = np.array([(inner, 0.49), (0.68, 0.40), (0.575, 0.365), (0.46, 0.375), (0.345, 0.39), (1 - inner, 0.49)])
    return bumps(knots[::-1], 0.35)[:-6][::-1]


_FRINGES: Final[Mapping[str, Callable[[float], Points]]] = {
    "straight": _straight,
    "choppy": _choppy,
    "swept": _swept,
    "curtain": _curtain,
    "slick": _slick,
    "widow": _widow,
    "curly": _curly,
}


def _crown(style: str, half: float) -> Points:
    """The outer edge of the hair, from the left temple over the top to the right; `half` is half the head's width."""
    if style == "spiky":
        ring = arc(CENTRE, 0.43, half + 0.02, 0.29, 176, 364)
        feet = ring[[0, 4, 8, 12, 15, 19, 23]]
        tips = np.array(
            [(-0.055, -0.06), (-0.06, -0.075), (-0.035, -0.085), (0.03, -0.09), (0.06, -0.075), (0.055, -0.06)]
        )
        middles = (feet[:-1] + feet[1:]) / 2 + tips * (1.0, 1.0)
        path = np.empty((len(feet) + len(middles), 2))
        path[0::2], path[1::2] = feet, middles
        return path
    if style == "quiff":
        return curve(
            [(0.5 - half - 0.02, 0.44), (0.5 - half - 0.012, 0.29), (0.33, 0.16), (0.42, 0.085), (0.58, 0.065),
             (0.70, 0.12), (0.725, 0.20), (0.5 + half + 0.005, 0.30), (0.5 + half + 0.018, 0.44)]
        )  # fmt: skip
    if style in ("curls", "afro"):
        ring = arc(CENTRE, 0.43, half + 0.025, 0.27, 180, 360)[::3]
        return bumps(ring, 0.32)[:-6]
    if style == "crop":
        return arc(CENTRE, 0.43, half + 0.012, 0.262, 180, 360)
    if style in ("bun", "slick", "ponytail"):
        return arc(CENTRE, 0.42, half + 0.02, 0.275, 180, 360)
    return arc(CENTRE, 0.42, half + 0.036, 0.305, 180, 360)


_SIDE_LOCKS: Final[Mapping[str, float]] = {
    "bob": 0.76,
    "long": 0.90,
    "wavy": 0.80,
    "twin tails": 0.68,
    "space buns": 0.66,
    "pixie": 0.62,
}
"""How far down the locks before the ears reach."""


def _cap(face: Face, half: float) -> Points:
    crown = _crown(face.style, half)
    inner = 0.5 + half - 0.04
    fringe = _FRINGES[face.fringe](inner)
    low = _SIDE_LOCKS.get(face.style, 0.0)
    if low:
        outer = 0.5 + half + 0.036
        side = curve([(outer, 0.42), (outer + 0.012, (0.42 + low) / 2), (outer - 0.02, low)])[1:]
        back = curve([(outer - 0.02, low), (inner + 0.012, (0.5 + low) / 2), (inner, 0.50)])[1:-1]
    else:
        side = curve([(0.5 + half + 0.02, 0.48), (0.5 + half - 0.005, 0.565)])
        back = curve([(0.5 + half - 0.005, 0.565), (inner + 0.005, 0.53), (inner, 0.50)])[1:-1]
    return joined(crown, side, back, fringe, flipped(back)[::-1], flipped(side)[::-1])


def _mohawk(canvas: Canvas, face: Face, half: float, hair: Tones) -> None:
    stubble = joined(arc(CENTRE, 0.43, half + 0.008, 0.25, 180, 360), _slick(0.5 + half - 0.03))
    canvas.fill(stubble, mix(face.skin, hair.base, 0.45), hair.edge)
    crest = joined(
        np.array([(0.39, 0.30), (0.37, 0.13), (0.435, 0.14), (0.44, 0.05), (0.5, 0.10), (0.56, 0.04), (0.575, 0.13)]),
        np.array([(0.64, 0.12), (0.61, 0.30), (0.56, 0.35), (0.5, 0.38), (0.45, 0.34)]),
    )
    canvas.fill(crest, hair.base, hair.edge)
    canvas.stroke(curve([(0.5, 0.13), (0.49, 0.22), (0.5, 0.32)]), hair.light, 0.024, 0.8)


def _tufts_front(canvas: Canvas, face: Face, half: float, hair: Tones) -> None:
    for x, lean in ((0.46, -0.04), (0.5, 0.01), (0.545, 0.05)):
        canvas.stroke(curve([(x, 0.215), (x + lean * 0.4, 0.16), (x + lean, 0.115)]), hair.base, 0.024, 0.5)


def _braids(canvas: Canvas, face: Face, hair: Tones) -> None:
    for y in (0.97, 0.895, 0.82, 0.745, 0.67):
        _both(canvas, ellipse(0.775 + (y - 0.6) * 0.06, y, 0.06, 0.052), hair.base, hair.edge)
    for y in (0.655, 0.73, 0.805, 0.88):
        line = curve([(0.75, y + 0.03), (0.785, y + 0.05), (0.815, y + 0.032)])
        canvas.stroke(line, hair.light, 0.012, 0.8)
        canvas.stroke(flipped(line), hair.light, 0.012, 0.8)


def draw_behind(canvas: Canvas, face: Face, hair: Tones) -> None:
    """Draw what of the hair is behind head and shoulders."""
    if face.style in _BEHIND:
        _BEHIND[face.style](canvas, face, hair)


def draw_shadow(canvas: Canvas, face: Face, half: float, colour: Colour) -> None:
    """Draw the shadow that the fringe throws on the forehead: call inside the head's outline."""
    if face.fringe != "none":
        cap = _turned(_cap(face, half), face)
        canvas.fill(np.add(cap, (0, 0.024)), colour)


def draw_over(canvas: Canvas, face: Face, half: float, hair: Tones) -> None:
    """Draw the hair that lies over head and ears. `half` is half the head's width."""
    if face.style == "mohawk":
        _mohawk(canvas, face, half, hair)
        return
    if face.style == "tufts":
        _tufts_front(canvas, face, half, hair)
        return
    if face.style == "braids":
        _braids(canvas, face, hair)
    cap = _turned(_cap(face, half), face)
    canvas.fill(cap, hair.base)
    with canvas.inside(cap):
        _gloss(canvas, face, half, hair)
    canvas.outline(cap, hair.edge)


def _gloss(canvas: Canvas, face: Face, half: float, hair: Tones) -> None:
    turn = 30 if face.flip else 0
    shine = arc(CENTRE, 0.43, half - 0.045, 0.215, 205 + turn, 262 + turn)
    canvas.stroke(shine, hair.light, 0.04, 0.75)
    canvas.stroke(arc(CENTRE, 0.43, half - 0.045, 0.215, 274 + turn, 288 + turn), hair.light, 0.034, 0.6)


def _turned(cap: Points, face: Face) -> Points:
    return flipped(cap) if face.flip else cap
