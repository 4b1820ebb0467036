"""Scores over a run as a picture: a panel a score, images shown across, the best point marked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INCHES, DPI = (4.2, 2.4), 100
LINE, BEST = "#1f64b4", "#c83c14"


@dataclass(frozen=True)
class Point:
    """images: shown so far. spread: a standard deviation, drawn as a band; None for none."""

    images: int
    value: float
    spread: float | None = None


def draw_curves(
    curves: Mapping[str, Sequence[Point]], better: Mapping[str, str], path: Path, columns: int = 2
) -> Figure:
    """Write one panel for each curve to `path`, and return the figure.

    better: "lower" or "higher" by key; the best point of such a curve is marked, unless all are alike.
    """
    columns, rows = min(columns, len(curves)), math.ceil(len(curves) / columns)
    figure = Figure(figsize=(columns * INCHES[0], rows * INCHES[1]), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for (key, points), panel in zip(curves.items(), panels, strict=False):
        _draw(panel, key, sorted(points, key=lambda point: point.images), better.get(key, ""))
    for panel in figure.axes[len(curves) :]:
        panel.remove()
    figure.savefig(path)
    return figure


def _draw(panel: Axes, key: str, points: Sequence[Point], better: str) -> None:
    shown, values = [point.images / 1000 for point in points], [point.value for point in points]
    spreads = [point.spread or 0.0 for point in points]
    low = [value - spread for value, spread in zip(values, spreads, strict=True)]
    high = [value + spread for value, spread in zip(values, spreads, strict=True)]
    panel.fill_between(shown, low, high, color=LINE, alpha=0.25, linewidth=0)
    panel.plot(shown, values, color=LINE, marker="o", markersize=3, linewidth=1.2)
    title = f"{key}, {better} is better" if better else key
    if better and len(set(values)) > 1:
        best = (min if better == "lower" else max)(range(len(values)), key=values.__getitem__)
        panel.plot(shown[best], values[best], color=BEST, marker="o", markersize=9, fillstyle="none", label="best")
        title += f"; best {values[best]:.4g} at {shown[best]:g} kimg"
    panel.set_title(title, fontsize=7, loc="left")
    panel.set_xlabel("kimg shown", fontsize=8)
    panel.set_xlim(left=0)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
