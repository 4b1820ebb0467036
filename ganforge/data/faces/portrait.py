"""A cartoon face drawn from its traits, back to front: backdrop, hair behind, body, head, features, hair, glasses."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from PIL import Image

from ganforge.data.faces import hair
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
from ganforge.data.faces.traits import Face

_INK: Final[Colour] = (52, 24, 40)
_WHITE: Final[Colour] = (255, 253, 248)
_MOUTH: Final[Colour] = (146, 40, 58)
_TONGUE: Final[Colour] = (240, 122, 124)
_ROSE: Final[Colour] = (238, 84, 92)

_SMALLEST: Final = 256
"""The smallest side in pixels that a face is drawn at before it is reduced; lines are too rough below it."""
_FINENESS: Final = 3
"""How many times too large a face is drawn at least."""

_EYE_X: Final = 0.114
"""How far each eye is from the axis; all faces share it and `_EYE_Y`, so that a small network can learn eyes."""
_EYE_Y: Final = 0.572

_HEADS: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "round": ((0.5, 0.20), (0.64, 0.235), (0.735, 0.37), (0.748, 0.55), (0.71, 0.70), (0.62, 0.805), (0.5, 0.835)),
    "oval": ((0.5, 0.20), (0.63, 0.235), (0.72, 0.37), (0.735, 0.55), (0.695, 0.71), (0.605, 0.83), (0.5, 0.86)),
    "square": ((0.5, 0.20), (0.64, 0.235), (0.73, 0.37), (0.742, 0.56), (0.722, 0.72), (0.63, 0.83), (0.5, 0.848)),
    "heart": ((0.5, 0.20), (0.64, 0.235), (0.74, 0.37), (0.748, 0.54), (0.695, 0.69), (0.59, 0.81), (0.5, 0.856)),
    "full": ((0.5, 0.20), (0.635, 0.235), (0.732, 0.37), (0.757, 0.57), (0.742, 0.71), (0.65, 0.815), (0.5, 0.842)),
}


def draw_face(face: Face, size: int) -> Image.Image:
    """The face as an RGB picture of `size` x `size` pixels."""
    canvas = Canvas(size * max(_FINENESS, math.ceil(_SMALLEST / size)), face.backdrop_colour)
    tones = hair.tones(face)
    half = 0.243 * face.width
    _BACKDROPS[face.backdrop](canvas, face.backdrop_colour)
    canvas.tilt = face.tilt
    hair.draw_behind(canvas, face, tones)
    canvas.tilt = 0.0
    _body(canvas, face)
    canvas.tilt = face.tilt
    _head(canvas, face, half)
    if face.beard != "none":
        _BEARDS[face.beard](canvas, face, tones)
    _NOSES[face.nose](canvas, face.skin)
    _MOUTHS[face.mouth](canvas, _ink(face.skin))
    _eyes(canvas, face)
    hair.draw_over(canvas, face, half, tones)
    _brows(canvas, face, tones)
    if face.glasses != "none":
        _glasses(canvas, face)
    if face.accessory != "none":
        _ACCESSORIES[face.accessory](canvas, face)
    return canvas.reduced(size)


def _ink(colour: Colour) -> Colour:
    return mix(colour, _INK, 0.72)


def _shade(colour: Colour) -> Colour:
    return mix(colour, (150, 44, 66), 0.22)


# ---- backdrop --------------------------------------------------------------------------------------------------------


def _plain(canvas: Canvas, colour: Colour) -> None:
    pass


def _halo(canvas: Canvas, colour: Colour) -> None:
    canvas.fill(ellipse(CENTRE, 0.5, 0.45), mix(colour, _WHITE, 0.5))


def _gradient(canvas: Canvas, colour: Colour) -> None:
    for step in range(1, 25):
        top = 0.1 + step * 0.036
        canvas.fill([(0, top), (1, top), (1, 1), (0, 1)], mix(colour, _WHITE, 0.027 * step))


def _dots(canvas: Canvas, colour: Colour) -> None:
    light = mix(colour, _WHITE, 0.55)
    for row in range(6):
        for column in range(6):
            canvas.fill(ellipse(0.02 + 0.2 * column - 0.1 * (row % 2), 0.02 + 0.19 * row, 0.042), light)


def _stripes(canvas: Canvas, colour: Colour) -> None:
    light = mix(colour, _WHITE, 0.42)
    for x in np.arange(-1.0, 1.0, 0.25).tolist():
        canvas.fill([(x, 1), (x + 0.125, 1), (x + 1.125, 0), (x + 1, 0)], light)


def _rays(canvas: Canvas, colour: Colour) -> None:
    light = mix(colour, _WHITE, 0.45)
    for turn in np.arange(0, 2 * np.pi, np.pi / 6).tolist():
        a, b = turn, turn + np.pi / 12
        canvas.fill([(0.5, 0.5), (0.5 + math.cos(a), 0.5 + math.sin(a)), (0.5 + math.cos(b), 0.5 + math.sin(b))], light)


_BACKDROPS: Final[Mapping[str, Callable[[Canvas, Colour], None]]] = {
    "plain": _plain,
    "halo": _halo,
    "gradient": _gradient,
    "dots": _dots,
    "stripes": _stripes,
    "rays": _rays,
}


# ---- body ------------------------------------------------------------------------------------------------------------

_TORSO: Final = smooth(
    mirrored([(0.5, 0.90), (0.59, 0.895), (0.70, 0.915), (0.80, 0.955), (0.86, 1.03), (0.88, 1.15), (0.5, 1.2)])
)
_NECK: Final = smooth(
    mirrored([(0.5, 0.72), (0.585, 0.73), (0.588, 0.86), (0.615, 0.915), (0.66, 0.935), (0.58, 0.985), (0.5, 1.0)])
)


def _body(canvas: Canvas, face: Face) -> None:
    line, dark = _ink(face.clothes_colour), _shade(face.clothes_colour)
    light = mix(face.clothes_colour, _WHITE, 0.55)
    canvas.fill(_TORSO, face.clothes_colour, line)
    with canvas.inside(_TORSO):
        if face.clothes == "stripes":
            for y in (0.945, 1.0):
                canvas.stroke(curve([(0.1, y + 0.05), (0.5, y + 0.02), (0.9, y + 0.05)]), light, 0.024)
        canvas.fill([(0.0, 1.0), (0.27, 0.95), (0.30, 1.1)], dark)
        canvas.fill([(1.0, 1.0), (0.73, 0.95), (0.70, 1.1)], dark)
    if face.clothes == "hoodie":
        canvas.fill(smooth(mirrored([(0.5, 0.99), (0.60, 0.955), (0.68, 0.87), (0.63, 0.83), (0.5, 0.83)])), dark, line)
    canvas.fill(_NECK, face.skin, _ink(face.skin))
    with canvas.inside(_NECK):
        canvas.fill(ellipse(CENTRE, 0.80, 0.2, 0.098), _shade(face.skin))
    _COLLARS[face.clothes](canvas, face, line, light)


def _tee(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    front = joined(
        arc(CENTRE, 0.895, 0.125, 0.062, 180, 0), np.array([(0.70, 0.93), (0.72, 1.1), (0.28, 1.1), (0.30, 0.93)])
    )
    canvas.fill(front, face.clothes_colour)
    canvas.stroke(arc(CENTRE, 0.898, 0.125, 0.062, 190, -10), line, 0.014)


def _stripes_front(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    _tee(canvas, face, line, light)
    canvas.stroke(arc(CENTRE, 0.905, 0.165, 0.092, 172, 8), light, 0.02)


def _v_neck(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    for side in (1, -1):
        cut = np.array([(0.5, 0.995), (0.625, 0.895), (0.74, 0.95), (0.74, 1.1), (0.5, 1.1)])
        canvas.fill(cut if side > 0 else flipped(cut), face.clothes_colour)
    canvas.stroke(np.array([(0.38, 0.90), (0.5, 0.993)]), line, 0.014)
    canvas.stroke(np.array([(0.62, 0.90), (0.5, 0.993)]), line, 0.014)


def _turtleneck(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    roll = smooth(mirrored([(0.5, 0.895), (0.585, 0.875), (0.612, 0.92), (0.61, 0.97), (0.5, 0.985)]))
    canvas.fill(roll, mix(face.clothes_colour, _WHITE, 0.18), line)


def _shirt(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    _v_neck(canvas, face, line, light)
    wing = np.array([(0.605, 0.872), (0.665, 0.905), (0.615, 1.0), (0.503, 0.985)])
    for points in (wing, flipped(wing)):
        canvas.fill(points, light, line)


def _hoodie(canvas: Canvas, face: Face, line: Colour, light: Colour) -> None:
    _v_neck(canvas, face, line, light)
    for x in (0.455, 0.545):
        canvas.stroke(np.array([(x, 0.96), (x, 1.0)]), light, 0.018)


_COLLARS: Final[Mapping[str, Callable[[Canvas, Face, Colour, Colour], None]]] = {
    "tee": _tee,
    "v-neck": _v_neck,
    "turtleneck": _turtleneck,
    "shirt": _shirt,
    "hoodie": _hoodie,
    "stripes": _stripes_front,
}


# ---- head ------------------------------------------------------------------------------------------------------------


def _head(canvas: Canvas, face: Face, half: float) -> None:
    line, shade = _ink(face.skin), _shade(face.skin)
    for side in (1, -1):
        ear = ellipse(0.5 + side * (half + 0.008), 0.585, 0.05, 0.066)
        canvas.fill(ear, face.skin, line)
        canvas.fill(ellipse(0.5 + side * (half + 0.014), 0.588, 0.024, 0.036), shade)
        if face.earrings:
            canvas.fill(ellipse(0.5 + side * (half + 0.022), 0.668, 0.022), face.accent, _ink(face.accent), 0.009)
    outline = smooth(mirrored(_HEADS[face.head]))
    outline = (outline - (CENTRE, 0)) * (face.width, 1) + (CENTRE, 0)
    canvas.fill(outline, face.skin)
    with canvas.inside(outline):
        canvas.fill(
            joined(arc(0.5, 0.52, 0.235, 0.30, -30, 120), arc(0.5, 0.55, 0.32, 0.33, 120, -30)),
            mix(face.skin, shade, 0.45),
        )
        hair.draw_shadow(canvas, face, half, shade)
    if face.blush:
        rose = mix(face.skin, _ROSE, 0.36)
        for side in (1, -1):
            canvas.fill(ellipse(0.5 + side * 0.165, 0.672, 0.05, 0.03), rose)
    if face.freckles:
        dot = mix(face.skin, (140, 66, 40), 0.5)
        for x, y in ((0.13, 0.655), (0.165, 0.675), (0.20, 0.655)):
            canvas.fill(ellipse(0.5 + x, y, 0.009), dot)
            canvas.fill(ellipse(0.5 - x, y, 0.009), dot)
    canvas.outline(outline, line)


# ---- nose and mouth --------------------------------------------------------------------------------------------------


def _hook(canvas: Canvas, skin: Colour) -> None:
    canvas.stroke(curve([(0.508, 0.615), (0.522, 0.655), (0.492, 0.666)]), mix(skin, _INK, 0.5), 0.014, 0.5)


def _dot(canvas: Canvas, skin: Colour) -> None:
    canvas.fill(ellipse(0.5, 0.652, 0.015, 0.011), mix(skin, (150, 40, 50), 0.5))


def _button(canvas: Canvas, skin: Colour) -> None:
    canvas.fill(ellipse(0.5, 0.645, 0.034, 0.026), mix(skin, _ROSE, 0.3))
    canvas.fill(ellipse(0.49, 0.637, 0.009, 0.007), mix(skin, _WHITE, 0.5))


def _wedge(canvas: Canvas, skin: Colour) -> None:
    canvas.fill([(0.502, 0.60), (0.53, 0.662), (0.496, 0.668)], _shade(skin))


_NOSES: Final[Mapping[str, Callable[[Canvas, Colour], None]]] = {
    "hook": _hook,
    "dot": _dot,
    "button": _button,
    "wedge": _wedge,
}

_LIPS_Y: Final = 0.728


def _smile(canvas: Canvas, line: Colour) -> None:
    canvas.stroke(arc(0.5, _LIPS_Y - 0.035, 0.075, 0.06, 160, 20), line, 0.018, 0.4)


def _open(canvas: Canvas, line: Colour) -> None:
    lips = joined(
        arc(0.5, _LIPS_Y - 0.016, 0.082, 0.082, 0, 180), curve([(0.418, 0.712), (0.5, 0.722), (0.582, 0.712)])
    )
    canvas.fill(lips, _MOUTH)
    with canvas.inside(lips):
        canvas.fill(ellipse(0.5, 0.79, 0.055, 0.034), _TONGUE)
        canvas.fill([(0.4, 0.70), (0.6, 0.70), (0.6, 0.733), (0.4, 0.733)], _WHITE)
    canvas.outline(lips, line, 0.013)


def _grin(canvas: Canvas, line: Colour) -> None:
    lips = smooth([(0.412, 0.712), (0.5, 0.724), (0.588, 0.712), (0.572, 0.752), (0.5, 0.776), (0.428, 0.752)])
    canvas.fill(lips, _WHITE, line, 0.013)
    canvas.stroke(curve([(0.425, 0.74), (0.5, 0.75), (0.575, 0.74)]), mix(line, _WHITE, 0.55), 0.007)


def _smirk(canvas: Canvas, line: Colour) -> None:
    canvas.stroke(curve([(0.445, 0.738), (0.50, 0.748), (0.55, 0.735), (0.572, 0.712)]), line, 0.018, 0.5)


def _small(canvas: Canvas, line: Colour) -> None:
    canvas.stroke(arc(0.5, _LIPS_Y - 0.012, 0.038, 0.022, 165, 15), line, 0.018, 0.3)


def _cat(canvas: Canvas, line: Colour) -> None:
    for x in (0.466, 0.534):
        canvas.stroke(arc(x, _LIPS_Y - 0.015, 0.034, 0.03, 175, 5), line, 0.016, 0.3)


def _surprised(canvas: Canvas, line: Colour) -> None:
    canvas.fill(ellipse(0.5, _LIPS_Y + 0.012, 0.032, 0.038), _MOUTH, line, 0.013)


def _tongue(canvas: Canvas, line: Colour) -> None:
    _smile(canvas, line)
    canvas.fill(
        smooth([(0.505, 0.755), (0.57, 0.742), (0.578, 0.78), (0.545, 0.803), (0.512, 0.786)]), _TONGUE, line, 0.011
    )


_MOUTHS: Final[Mapping[str, Callable[[Canvas, Colour], None]]] = {
    "smile": _smile,
    "open": _open,
    "grin": _grin,
    "smirk": _smirk,
    "small": _small,
    "cat": _cat,
    "surprised": _surprised,
    "tongue": _tongue,
}


def _moustache(canvas: Canvas, face: Face, tones: hair.Tones) -> None:
    half = [(0.5, 0.682), (0.56, 0.676), (0.615, 0.712), (0.645, 0.70), (0.61, 0.742), (0.55, 0.738), (0.5, 0.712)]
    canvas.fill(smooth(mirrored(half)), tones.base, tones.edge, 0.011)


def _goatee(canvas: Canvas, face: Face, tones: hair.Tones) -> None:
    half = [(0.5, 0.795), (0.545, 0.80), (0.55, 0.85), (0.5, 0.895)]
    canvas.fill(smooth(mirrored(half)), tones.base, tones.edge, 0.011)


def _full_beard(canvas: Canvas, face: Face, tones: hair.Tones) -> None:
    half = [
        (0.5, 0.694),
        (0.56, 0.682),
        (0.615, 0.705),
        (0.66, 0.70),
        (0.725, 0.60),
        (0.748, 0.60),
        (0.735, 0.74),
        (0.65, 0.86),
        (0.5, 0.90),
    ]
    canvas.fill(smooth(mirrored(half)), tones.base, tones.edge)


_BEARDS: Final[Mapping[str, Callable[[Canvas, Face, hair.Tones], None]]] = {
    "moustache": _moustache,
    "goatee": _goatee,
    "full": _full_beard,
}


# ---- eyes, brows, glasses --------------------------------------------------------------------------------------------

_EYES: Final[Mapping[str, tuple[float, float]]] = {
    "round": (0.066, 0.068),
    "tall": (0.060, 0.079),
    "almond": (0.074, 0.060),
    "lidded": (0.066, 0.070),
    "wink": (0.064, 0.072),
}


def _eyes(canvas: Canvas, face: Face) -> None:
    for side in (-1, 1):
        x = CENTRE + side * _EYE_X
        shut = face.eyes == "happy" or (face.eyes == "wink" and side == (1 if face.flip else -1))
        if shut:
            canvas.stroke(arc(x, _EYE_Y + 0.03, 0.062, 0.055, 195, 345), _INK, 0.022, 0.35)
        elif face.eyes == "dot":
            canvas.fill(ellipse(x, _EYE_Y, 0.034 * face.eye_size, 0.047 * face.eye_size), _INK)
            canvas.fill(ellipse(x + 0.011, _EYE_Y - 0.018, 0.012, 0.013), _WHITE)
        else:
            _open_eye(canvas, face, x, side)
        if face.lashes and not shut and face.eyes != "almond":
            _lash(canvas, face, x, side)


def _open_eye(canvas: Canvas, face: Face, x: float, side: int) -> None:
    width, height = (part * face.eye_size for part in _EYES[face.eyes])
    white, lid = _eye_lines(face.eyes, x, side, width, height)
    at_x, at_y = x + 0.014 * face.look[0], _EYE_Y - 0.002 + 0.010 * face.look[1]
    size = 0.051 * face.eye_size
    canvas.fill(white, _WHITE)
    with canvas.inside(white):
        canvas.fill(arc(x, _EYE_Y - 0.02, width, height * 0.8, 180, 360), mix(_WHITE, (150, 140, 190), 0.3))
        canvas.fill(ellipse(at_x, at_y, size, size * 1.12), face.iris, mix(face.iris, _INK, 0.6), 0.009)
        canvas.fill(ellipse(at_x, at_y + size * 0.45, size * 0.6, size * 0.45), mix(face.iris, _WHITE, 0.3))
        canvas.fill(ellipse(at_x, at_y, size * 0.55, size * 0.62), _INK)
        if face.eyes == "lidded":
            low = _EYE_Y - height * 0.25
            canvas.fill([(x - 0.1, low), (x + 0.1, low), (x + 0.1, 0.4), (x - 0.1, 0.4)], _shade(face.skin))
            canvas.stroke(np.array([(x - 0.1, low), (x + 0.1, low)]), _INK, 0.018)
    canvas.outline(white, mix(face.skin, _INK, 0.85), 0.009)
    canvas.fill(ellipse(at_x + size * 0.38, at_y - size * 0.45, size * 0.34, size * 0.36), _WHITE)
    canvas.stroke(lid, _INK, 0.025, 0.45)


def _eye_lines(shape: str, x: float, side: int, width: float, height: float) -> tuple[Points, Points]:
    """An open eye's outline, and the line of its upper lid."""
    if shape != "almond":
        return ellipse(x, _EYE_Y, width, height), arc(x, _EYE_Y, width, height, 200, 340)
    size = np.array([side * width, height])
    upper = np.array([(-1, 0.23), (0, -1), (0.8, -0.7)]) * size + (x, _EYE_Y)
    lower = np.array([(1.08, -0.1), (0.4, 0.9), (-0.4, 0.9)]) * size + (x, _EYE_Y)
    tip = np.array([(1.2, -0.5)]) * size + (x, _EYE_Y)
    return smooth(joined(upper, lower)), curve(joined(upper, tip))


def _lash(canvas: Canvas, face: Face, x: float, side: int) -> None:
    width, height = _EYES.get(face.eyes, (0.034, 0.047))
    for angle, length in ((-35, 0.03), (-12, 0.024)):
        a = math.radians(angle)
        foot = (x + side * width * math.cos(a), _EYE_Y + height * math.sin(a))
        tip = (foot[0] + side * length * math.cos(a), foot[1] + length * (math.sin(a) - 0.35))
        canvas.stroke(np.array([foot, tip]), _INK, 0.015)


_BROWS: Final[Mapping[str, tuple[tuple[tuple[float, float], ...], float]]] = {
    "arched": (((-0.055, 0.008), (0.012, -0.022), (0.065, 0.002)), 0.024),
    "flat": (((-0.055, 0.0), (0.005, -0.008), (0.06, 0.002)), 0.024),
    "raised": (((-0.052, -0.008), (0.012, -0.038), (0.062, -0.018)), 0.022),
    "stern": (((-0.055, 0.018), (0.01, -0.008), (0.062, -0.018)), 0.026),
    "worried": (((-0.055, -0.018), (0.0, -0.012), (0.062, 0.014)), 0.022),
    "thick": (((-0.058, 0.006), (0.008, -0.016), (0.066, 0.004)), 0.038),
}
"""Each brow from its inner to its outer end, relative to the spot above the eye, and its thickness."""


def _brows(canvas: Canvas, face: Face, tones: hair.Tones) -> None:
    points, thick = _BROWS[face.brows]
    for side in (-1, 1):
        spots = np.asarray(points) * (side, 1) + (CENTRE + side * _EYE_X, _EYE_Y - 0.118)
        canvas.stroke(curve(spots), tones.edge, thick, 0.5)


_FRAMES: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "shades": ((-0.10, -0.05), (0, -0.062), (0.10, -0.05), (0.09, 0.05), (0.02, 0.09), (-0.075, 0.06)),
    "square": (
        (-0.09, -0.07),
        (0, -0.078),
        (0.09, -0.07),
        (0.098, 0),
        (0.088, 0.07),
        (0, 0.078),
        (-0.088, 0.07),
        (-0.096, 0),
    ),
    "cat": ((-0.085, -0.05), (0, -0.068), (0.125, -0.098), (0.095, 0.03), (0.03, 0.078), (-0.06, 0.06)),
}
"""Lenses that are not round, relative to their centre, the nose on the left."""


def _glasses(canvas: Canvas, face: Face) -> None:
    colour = face.glasses_colour
    canvas.stroke(arc(CENTRE, _EYE_Y + 0.012, 0.03, 0.025, 190, 350), colour, 0.018)
    for side in (-1, 1):
        x = CENTRE + side * (_EYE_X + 0.004)
        lens = ellipse(x, _EYE_Y + 0.005, 0.098)
        if face.glasses in _FRAMES:
            lens = smooth(np.asarray(_FRAMES[face.glasses]) * (side, 1) + (x, _EYE_Y + 0.005))
        canvas.stroke(np.array([(x + side * 0.095, _EYE_Y - 0.015), (x + side * 0.145, _EYE_Y - 0.03)]), colour, 0.018)
        if face.glasses == "shades":
            canvas.fill(lens, (58, 50, 72))
            with canvas.inside(lens):
                canvas.fill([(x - 0.06, 0.7), (x - 0.02, 0.7), (x + 0.06, 0.45), (x + 0.02, 0.45)], (104, 96, 126))
        canvas.outline(lens, colour, 0.019)


# ---- accessories -----------------------------------------------------------------------------------------------------


def _spot(face: Face, x: float, y: float) -> tuple[float, float]:
    return (1 - x if face.flip else x, y)


def _bow(canvas: Canvas, face: Face) -> None:
    x, y = _spot(face, 0.345, 0.20)
    line = _ink(face.accent)
    for side in (-1, 1):
        wing = np.array([(0.0, 0.0), (0.05, -0.06), (0.105, -0.05), (0.105, 0.05), (0.05, 0.055)]) * (side, 1) + (x, y)
        canvas.fill(smooth(wing), face.accent, line, 0.012)
    canvas.fill(ellipse(x, y, 0.03), mix(face.accent, _WHITE, 0.25), line, 0.012)


def _flower(canvas: Canvas, face: Face) -> None:
    x, y = _spot(face, 0.30, 0.27)
    for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 5).tolist():
        petal = ellipse(x + 0.046 * math.sin(turn), y - 0.046 * math.cos(turn), 0.034)
        canvas.fill(petal, face.accent, _ink(face.accent), 0.009)
    canvas.fill(ellipse(x, y, 0.027), (255, 214, 92), _ink((255, 214, 92)), 0.009)


def _band(canvas: Canvas, face: Face) -> None:
    band = arc(CENTRE, 0.43, 0.262, 0.235, 190, 350)
    canvas.stroke(band, _ink(face.accent), 0.062)
    canvas.stroke(band, face.accent, 0.04)


def _clip(canvas: Canvas, face: Face) -> None:
    x, y = _spot(face, 0.325, 0.36)
    lean = -0.02 if face.flip else 0.02
    canvas.stroke(np.array([(x - 0.035, y + lean), (x + 0.035, y - lean)]), _ink(face.accent), 0.04)
    canvas.stroke(np.array([(x - 0.035, y + lean), (x + 0.035, y - lean)]), face.accent, 0.02)


_ACCESSORIES: Final[Mapping[str, Callable[[Canvas, Face], None]]] = {
    "bow": _bow,
    "flower": _flower,
    "band": _band,
    "clip": _clip,
}
