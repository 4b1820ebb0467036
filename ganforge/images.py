"""Pictures as arrays and as files: bytes from what a network makes, sheets, and files written whole or not at all."""

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from ganforge.errors import GanforgeError

Pictures: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (N, H, W, C), or one picture (H, W, C); C is 1 (grey), 3 (RGB) or 4 (RGBA)."""

WRITABLE: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""The file name extensions that `save_picture` can write."""

_READABLE_SIDE: Final = 64
_WHITE: Final = 255
_CHECKS: Final = (255, 214)
_CHECK_SIDE: Final = 8
_LABEL_SIZE: Final = 14


def to_uint8(images: torch.Tensor) -> Pictures:
    """Bytes from what a generator makes.

    Args:
        images: (N, C, H, W) on any device, -1 (black) to 1 (white); values outside are cut off, NaN becomes black.

    Returns:
        uint8 (N, H, W, C).
    """
    pixels = torch.nan_to_num(images.detach().float(), nan=-1.0).clamp(-1, 1)
    pixels = ((pixels + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def to_image(picture: Pictures) -> Image.Image:
    """One picture, uint8 (H, W, C) with C 1, 3 or 4, as a Pillow image of mode L, RGB or RGBA."""
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or picture.dtype != np.uint8:
        raise ValueError(f"a picture is uint8 (H, W, 1, 3 or 4), not {picture.dtype} {picture.shape}")
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def enlarge(pictures: Pictures, factor: int) -> Pictures:
    """Each pixel as a square of `factor` x `factor` pixels; takes (H, W, C) and (N, H, W, C)."""
    return pictures.repeat(factor, axis=-3).repeat(factor, axis=-2)


def over_checkerboard(pictures: Pictures) -> Pictures:
    """RGB (..., H, W, 3) from RGBA (..., H, W, 4), laid over the grey and white squares that stand for transparency."""
    height, width = pictures.shape[-3:-1]
    squares = (np.arange(height)[:, None] // _CHECK_SIDE + np.arange(width) // _CHECK_SIDE) % 2
    return _over(pictures, np.asarray(_CHECKS, dtype=np.float32)[squares][..., None])


def over_white(pictures: Pictures) -> Pictures:
    """RGB (..., H, W, 3) from RGBA (..., H, W, 4), laid over white."""
    return _over(pictures, np.full((1, 1, 1), _WHITE, dtype=np.float32))


def _over(pictures: Pictures, below: npt.NDArray[np.float32]) -> Pictures:
    alpha = pictures[..., 3:].astype(np.float32) / 255
    laid: Pictures = np.rint(pictures[..., :3] * alpha + below * (1 - alpha)).astype(np.uint8)
    return laid


def grid(
    pictures: Pictures,
    columns: int | None = None,
    gap: int = 2,
    row_labels: Sequence[str] | None = None,
    scale: int | None = None,
    checkerboard: bool = True,
) -> Image.Image:
    """Pictures side by side, row by row.

    Args:
        pictures: uint8 (N, H, W, C); C is 1, 3 or 4.
        columns: how many beside each other; chosen so that the sheet is about square where not given.
        gap: white pixels between pictures; transparent ones where transparency is kept.
        row_labels: a word before each row.
        scale: how many times to enlarge each picture; where not given, as often as the shorter side needs to reach
            64 pixels, so that pictures of 4x4 can be seen.
        checkerboard: lay RGBA pictures over a checkerboard; else the sheet is RGBA too.

    Returns:
        An image of mode L, RGB or RGBA.
    """
    if pictures.ndim != 4 or len(pictures) == 0:
        raise ValueError(f"a grid needs pictures (N, H, W, C) with N at least 1, not {pictures.shape}")
    pictures = enlarge(pictures, scale or math.ceil(_READABLE_SIDE / min(pictures.shape[1:3])))
    if pictures.shape[3] == 4 and checkerboard:
        pictures = over_checkerboard(pictures)
    count, height, width, channels = pictures.shape
    columns = columns or max(1, round(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    if row_labels is not None and len(row_labels) != rows:
        raise ValueError(f"{len(row_labels)} labels for {rows} rows")
    blank = (0, 0, 0, 0) if channels == 4 else (_WHITE,) * channels
    sheet = np.empty((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), dtype=np.uint8)
    sheet[:] = blank
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    image = to_image(sheet)
    return _labelled(image, row_labels, height, gap) if row_labels else image


def _labelled(sheet: Image.Image, labels: Sequence[str], height: int, gap: int) -> Image.Image:
    font = ImageFont.load_default(min(_LABEL_SIZE, max(6, height - 2)))
    margin = math.ceil(max(font.getlength(label) for label in labels)) + 2 * gap + 6
    wider = Image.new(sheet.mode, (sheet.width + margin, sheet.height), "#fff0" if sheet.mode == "RGBA" else "white")
    wider.paste(sheet, (margin, 0))
    draw = ImageDraw.Draw(wider)
    for row, label in enumerate(labels):
        draw.text((margin - gap - 4, row * (height + gap) + height / 2), label, fill="black", font=font, anchor="rm")
    return wider


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture in the format its name's extension says, whole or not at all; makes the folder if need be.

    Raises:
        GanforgeError: an extension that cannot be written, or a place that cannot.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        known = ", ".join(WRITABLE)
        raise GanforgeError(
            f"{path}: pictures cannot be written as {suffix or 'a name without extension'!r}; use {known}"
        )
    if image.mode == "RGBA" and suffix in (".jpg", ".jpeg", ".bmp"):
        image = to_image(over_white(np.asarray(image)))
    with replacing(path) as temporary:
        image.save(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write a file or a folder to, and put that in its place at the end.

    A reader sees the old or the new, never half. If the block fails the old stays and the temporary goes. The temporary
    name has the same extension, so that writers that go by it work.

    Raises:
        GanforgeError: the place cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir():
            if path.exists():
                shutil.rmtree(path)
        elif path.is_dir():
            raise IsADirectoryError(21, "a folder is in its place")
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise GanforgeError(f"{path}: cannot be written ({reason}); choose another --out") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()
