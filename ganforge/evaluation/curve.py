"""Scores over a run as a picture: a panel a score, images shown across, the best point marked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, MARGIN = 420, 240, 52
INK, FAINT, LINE, BEST = (40, 40, 40), (225, 225, 225), (31, 100, 180), (200, 60, 20)


@dataclass(frozen=True)
class Point:
    """images: shown so far. spread: a standard deviation, drawn as a band; None for none."""

    images: int
    value: float
    spread: float | None = None


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers between two values: about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def draw_curves(curves: Mapping[str, Sequence[Point]], better: Mapping[str, str], columns: int = 2) -> Image.Image:
    """One panel for each curve. better: "lower" or "higher" by key; the best point of such a curve is marked."""
    rows = math.ceil(len(curves) / columns)
    sheet = Image.new("RGB", (min(columns, len(curves)) * WIDTH, rows * HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, (key, points) in enumerate(curves.items()):
        _panel(draw, number % columns * WIDTH, number // columns * HEIGHT, key, points, better.get(key, ""))
    return sheet


def _panel(draw: ImageDraw.ImageDraw, x: int, y: int, key: str, points: Sequence[Point], better: str) -> None:
    font = ImageFont.load_default(size=11)
    left, right, top, bottom = x + MARGIN, x + WIDTH - 16, y + 30, y + HEIGHT - 34
    lows = [point.value - (point.spread or 0) for point in points]
    highs = [point.value + (point.spread or 0) for point in points]
    low, high = min(lows), max(highs)
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    low, high = low - pad, high + pad
    last = max(max(point.images for point in points), 1)

    def place(images: float, value: float) -> tuple[float, float]:
        return left + (right - left) * images / last, bottom - (bottom - top) * (value - low) / (high - low)

    for value in ticks(low, high):
        height = place(0, value)[1]
        draw.line([(left, height), (right, height)], fill=FAINT)
        draw.text((left - 6, height), f"{value:.4g}", fill=INK, font=font, anchor="rm")
    for images in ticks(0, last):
        across = place(images, low)[0]
        draw.line([(across, bottom), (across, bottom + 4)], fill=INK)
        draw.text((across, bottom + 6), f"{images / 1000:g}", fill=INK, font=font, anchor="ma")
    draw.line([(left, top), (left, bottom), (right, bottom)], fill=INK)
    for point in points:
        if point.spread:
            ends = [place(point.images, point.value + sign * point.spread) for sign in (-1, 1)]
            draw.line(ends, fill=(150, 185, 220), width=3)
    places = [place(point.images, point.value) for point in points]
    draw.line(places, fill=LINE, width=2)
    for across, height in places:
        draw.ellipse([across - 2.5, height - 2.5, across + 2.5, height + 2.5], fill=LINE)
    title = f"{key}, {better} is better" if better else key
    if better and len({point.value for point in points}) > 1:
        best = (min if better == "lower" else max)(points, key=lambda point: point.value)
        across, height = place(best.images, best.value)
        draw.ellipse([across - 5, height - 5, across + 5, height + 5], outline=BEST, width=2)
        title += f"; best {best.value:.4g} at {best.images / 1000:g} kimg"
    draw.text((left, y + 8), title, fill=INK, font=font)
    draw.text((right, bottom + 20), "kimg shown", fill=INK, font=font, anchor="ra")
