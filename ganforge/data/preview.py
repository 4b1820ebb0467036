"""`preview.png`: a sheet of a dataset's pictures, a row a class when there are labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ganforge.data.dataset import Dataset, Pixels

COLUMNS = 10
ROWS = 12
SHEET = 1600  # pixels: about how wide a sheet gets
INK, PAPER, CHECKS = (40, 40, 40), (250, 250, 250), (190, 235)


def write_preview(dataset: Dataset, path: Path) -> None:
    """Write a sheet of up to 12 rows of 10 pictures, chosen evenly over the dataset."""
    resolution = next((r for r in dataset.resolutions if r >= 64), dataset.resolution)
    pictures = dataset.level(resolution)
    rows = _rows(dataset)
    height, width = pictures.shape[2:]
    scale = max(1, 64 // min(height, width))  # small pictures are shown larger, by whole pixels
    gap, font = 4, ImageFont.load_default(size=14)
    names = [_shortened(name) for name, _ in rows]
    text = max(2 * gap + int(font.getlength(name)) for name in names) if dataset.classes else 0
    step = (width * scale + gap, height * scale + gap)
    sheet = Image.new("RGB", (text + gap + step[0] * COLUMNS, gap + step[1] * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, (_, indices)) in enumerate(zip(names, rows, strict=True)):
        top = gap + number * step[1]
        if text:
            draw.text((gap, top + height * scale // 2), name, INK, font=font, anchor="lm")
        for column, index in enumerate(indices):
            shown = _shown(pictures[index])
            if scale > 1:
                shown = shown.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            sheet.paste(shown, (text + gap + column * step[0], top))
    if sheet.width > SHEET:
        sheet = sheet.resize((SHEET, round(sheet.height * SHEET / sheet.width)), Image.Resampling.LANCZOS)
    sheet.save(path)


def _rows(dataset: Dataset) -> list[tuple[str, Sequence[int]]]:
    """The name of each row, and the pictures in it."""
    if dataset.labels is None:
        chosen = _spread(np.arange(dataset.count), COLUMNS * ROWS)
        return [("", chosen[start : start + COLUMNS]) for start in range(0, len(chosen), COLUMNS)]
    present = [label for label in range(len(dataset.classes)) if (dataset.labels == label).any()]
    shown = _spread(np.array(present), ROWS)
    return [(dataset.classes[n], _spread(np.flatnonzero(dataset.labels == n), COLUMNS)) for n in shown]


def _spread(values: npt.NDArray[np.int64], most: int) -> list[int]:
    """At most so many of the values, evenly spaced."""
    if len(values) <= most:
        return [int(value) for value in values]
    return [int(values[round(place)]) for place in np.linspace(0, len(values) - 1, most)]


def _shown(picture: Pixels) -> Image.Image:
    """A picture, uint8 (C, H, W), as RGB; transparency over a chequered ground."""
    if len(picture) == 1:
        return Image.fromarray(picture[0]).convert("RGB")
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    if len(picture) == 3:
        return image
    rows, columns = np.indices(picture.shape[1:])
    cells = np.where((rows // 8 + columns // 8) % 2, *CHECKS).astype(np.uint8)
    ground = Image.fromarray(cells).convert("RGB")
    ground.paste(image, mask=image)
    return ground


def _shortened(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= 18 else plain[:17] + "…"
