"""Animations: frames into a GIF, MP4, WebP, animated PNG or a folder of pictures, whole or not at all, within a size.

Every format but MP4, which has no such mark, repeats for ever. Small pictures are enlarged so that they can be seen.
"""

import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import imageio.v2 as imageio
import numpy as np
import numpy.typing as npt
from PIL import Image

from ganforge.errors import ConfigError, GanforgeError
from ganforge.images import Pictures, enlarge, over_white, replacing, to_image
from ganforge.sampling.generator import Generator
from ganforge.sampling.interpolation import Walk, default_grid, walk_frames

Say: TypeAlias = Callable[[str], None]
Encoder: TypeAlias = Callable[[Iterable[Image.Image], Path, float, int], None]
"""From frames of one size and mode, a path, frames a second and a quality (0, the best, to 3) to a file or folder."""

_VISIBLE_SIDE: Final = 128
_FASTEST_GIF: Final = 50.0
_FRAME_NAME: Final = re.compile(r"frame-\d+\.png")
_COLOURS: Final = (256, 128, 64, 32)
_WEBP_QUALITY: Final = (90, 75, 50, 25)
_CRF: Final = (16, 22, 28, 34)
_BITS: Final = (8, 7, 6, 5)
_QUALITIES: Final[dict[str, str]] = {
    ".gif": "{0} colours",
    ".webp": "quality {1}",
    ".mp4": "constant rate factor {2}",
    ".png": "{3} bits a channel",
    "": "{3} bits a channel",
}
_PALETTE_FRAMES: Final = 64
_PALETTE_PIXELS: Final = 2**16
_OPAQUE: Final = 128


def write_animation(
    frames: Iterable[Pictures], path: Path, fps: float, *, max_mb: float | None = None, say: Say | None = None
) -> Path:
    """Write frames as the format that the path's extension names; without an extension, as a folder of PNG files.

    MP4 and folders take the frames one at a time; the others, and all that has a `max_mb`, keep them in memory. A GIF's
    frames share one palette made from samples of all of them, without dithering, so that nothing flickers.

    Args:
        frames: uint8 (H, W, C) each, all of one shape; C is 1 (grey), 3 (RGB) or 4 (RGBA; white below it in MP4). A
            shorter side under 128 pixels is enlarged by a whole factor to 128 or more.
        path: where; a file there is replaced, and so is a folder that holds nothing but frames.
        fps: frames a second. A GIF shows at most 50.
        max_mb: no more than this many megabytes (10^6 bytes): frames are left out (the duration stays), then colours
            or quality reduced, then the size.
        say: called with a sentence about each thing that was not done as asked.

    Returns:
        The path.

    Raises:
        ConfigError: an unknown extension, MP4 without imageio-ffmpeg, fps or max_mb that is not over 0.
        GanforgeError: a place that cannot be written to, or a size that cannot be kept.
        ValueError: no frame, or frames of different shapes.
    """
    encode = encoder(path)
    if fps <= 0:
        raise ConfigError(f"--fps {fps:g}: must be over 0")
    if max_mb is not None and max_mb <= 0:
        raise ConfigError(f"--max-mb {max_mb:g}: must be over 0")
    say = say or _nothing
    if path.suffix.lower() == ".gif" and fps > _FASTEST_GIF:
        say(f"{path.name}: a GIF shows at most {_FASTEST_GIF:g} frames a second, so not {fps:g}")
        fps = _FASTEST_GIF
    _check_folder(path)
    with replacing(path) as temporary:
        if max_mb is None:
            encode(_images(frames), temporary, fps, 0)
        else:
            _write_within(list(frames), temporary, fps, max_mb, encode, say)
    return path


def write_walk(
    generator: Generator,
    seeds: Sequence[int],
    path: Path,
    *,
    fps: float = 24,
    max_mb: float | None = None,
    say: Say | None = None,
) -> Path:
    """Write a looping slerp through these seeds, all else as it is chosen for a user who says nothing."""
    columns, rows = default_grid(generator.size)
    plan = Walk(seeds=tuple(seeds), columns=columns, rows=rows)
    return write_animation(walk_frames(generator, plan), path, fps, max_mb=max_mb, say=say)


def encoder(path: Path) -> Encoder:
    """What writes to this path. Raises ConfigError for an extension nothing writes, and for MP4 without its extra."""
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix not in ENCODERS:
        known = ", ".join(sorted(filter(None, ENCODERS)))
        raise ConfigError(f"{path}: no animation format is called {suffix}; use {known} or a name without a dot")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(f"{path}: MP4 needs imageio-ffmpeg: pip install 'ganforge[video]', or use .gif or .webp")
    return ENCODERS[suffix]


def _nothing(_sentence: str) -> None:
    pass


def _check_folder(path: Path) -> None:
    if path.is_dir() and any(not _FRAME_NAME.fullmatch(file.name) for file in path.iterdir()):
        raise GanforgeError(f"{path}: this folder holds other files than frames; choose a new one for --out")


def _images(frames: Iterable[Pictures], scale: float = 1.0) -> Iterator[Image.Image]:
    """The frames enlarged until they can be seen, then `scale` times that in size."""
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(f"frames of {shape} and of {frame.shape} in one animation")
        factor = max(1, math.ceil(_VISIBLE_SIDE / min(shape[:2])))
        if factor * scale >= 1:
            yield to_image(enlarge(frame, math.floor(factor * scale)))
        else:
            height, width = (max(1, round(side * factor * scale)) for side in shape[:2])
            yield to_image(frame).resize((width, height), Image.Resampling.LANCZOS)
    if shape is None:
        raise ValueError("an animation needs at least one frame")


# ---- within a size ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rung:
    """One way to make an animation smaller than the way before it: share of frames, quality, and size."""

    share: float = 1.0
    quality: int = 0
    scale: float = 1.0


def _rungs(frames: int, fps: float, side: int) -> list[_Rung]:
    """From nothing taken away to the most: frames while at least 8 a second stay, then quality, then the size."""
    shares = [share for share in (2 / 3, 1 / 2, 1 / 3) if fps * share >= 8 and frames * share >= 4]
    rungs = [_Rung(), *(_Rung(share) for share in shares)]
    fewest = rungs[-1].share
    rungs += [_Rung(fewest, quality) for quality in (1, 2, 3)]
    scales = [scale for scale in (0.75, 0.5, 0.35, 0.25) if max(side, _VISIBLE_SIDE) * scale >= 32]
    return rungs + [_Rung(fewest, 3, scale) for scale in scales]


def _write_within(frames: Sequence[Pictures], path: Path, fps: float, max_mb: float, encode: Encoder, say: Say) -> None:
    """Write on the first rung that is small enough: found by bisection, for each attempt takes seconds."""
    if not frames:
        raise ValueError("an animation needs at least one frame")
    rungs = _rungs(len(frames), fps, min(frames[0].shape[:2]))

    def attempt(rung: _Rung) -> float:
        kept = max(1, round(len(frames) * rung.share))
        chosen = [frames[place * len(frames) // kept] for place in range(kept)]
        _clear(path)
        encode(_images(chosen, rung.scale), path, fps * kept / len(frames), rung.quality)
        return _megabytes(path)

    whole = attempt(rungs[0])
    if whole <= max_mb:
        return
    least = attempt(rungs[-1])
    if least > max_mb:
        raise GanforgeError(
            f"--max-mb {max_mb:g}: {len(frames)} frames take {whole:.2f} MB, and {least:.2f} MB with frames, colours "
            f"and size reduced as far as they go; ask for fewer --frames or a smaller --grid, or write an .mp4"
        )
    low, high, last = 0, len(rungs) - 1, len(rungs) - 1
    while high - low > 1:
        last = (low + high) // 2
        low, high = (low, last) if attempt(rungs[last]) <= max_mb else (last, high)
    if last != high:
        attempt(rungs[high])
    changes = _described(rungs[high], len(frames), path.suffix.lower())
    say(f"{whole:.2f} MB would be over --max-mb {max_mb:g}: {changes}; {_megabytes(path):.2f} MB")


def _described(rung: _Rung, frames: int, suffix: str) -> str:
    changes = []
    if rung.share < 1:
        changes.append(f"{round(frames * rung.share)} of the {frames} frames at the same duration")
    if rung.quality:
        steps = (table[rung.quality] for table in (_COLOURS, _WEBP_QUALITY, _CRF, _BITS))
        changes.append(_QUALITIES.get(suffix, _QUALITIES[""]).format(*steps))
    if rung.scale < 1:
        changes.append(f"{rung.scale:.0%} of the width and height")
    return ", ".join(changes)


def _clear(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else ():
        file.unlink()


def _megabytes(path: Path) -> float:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir())) / 1e6


# ---- the formats -----------------------------------------------------------------------------------------------------


def _durations(count: int, fps: float, unit: int) -> list[int]:
    """Milliseconds each frame is shown, in whole `unit`s whose rounding does not add up over the animation."""
    ends = [round(1000 * (place + 1) / fps / unit) * unit for place in range(count)]
    return [max(unit, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def _write_gif(frames: Iterable[Image.Image], path: Path, fps: float, quality: int) -> None:
    images = list(frames)
    palette, index = _palette(images, _COLOURS[quality])
    first, *rest = (index(image) for image in images)
    clear = len(palette) // 3 - 1 if len(palette) // 3 > _shades(images[0], quality) else None
    options: dict[str, Any] = {} if clear is None else {"transparency": clear}
    # Each frame replaces what is below it where it is see-through itself; else it is drawn over the one before it, and
    # Pillow's `optimize` leaves out the pixels that stay.
    options["disposal"] = 2 if images[0].mode == "RGBA" else 1
    durations = _durations(len(images), fps, 10)
    first.save(
        path, save_all=True, append_images=rest, loop=0, duration=durations, palette=palette, optimize=True, **options
    )


def _shades(image: Image.Image, quality: int) -> int:
    """How many colours a GIF's palette holds; one of 256 is kept for transparency, which true grey has no need of."""
    return _COLOURS[quality] if image.mode == "L" else _COLOURS[quality] - 1


def _palette(images: Sequence[Image.Image], colours: int) -> tuple[bytes, Callable[[Image.Image], Image.Image]]:
    """One palette for all frames, and what brings a frame into it."""
    if images[0].mode == "L":
        greys = np.rint(np.linspace(0, 255, colours)).astype(np.uint8)
        table = bytes(np.rint(np.arange(256) * (colours - 1) / 255).astype(np.uint8))
        return greys.repeat(3).tobytes(), lambda image: _indexed(
            np.asarray(image.point(table)), greys.repeat(3).tobytes()
        )
    shown = images[:: math.ceil(len(images) / _PALETTE_FRAMES)]
    each = max(1, _PALETTE_PIXELS // len(shown))
    sample = np.concatenate([_sample(np.asarray(image), each) for image in shown])
    source = Image.fromarray(sample[None]).quantize(colours - 1, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    found = np.asarray(source.getpalette(), dtype=np.uint8).reshape(-1, 3)
    # The last entry stands for transparency: the palette is filled up to it with its last colour.
    table = np.concatenate([found, np.repeat(found[-1:], colours - len(found), axis=0)]).astype(np.uint8).tobytes()
    chart = Image.new("P", (1, 1))
    chart.putpalette(found.tobytes())

    def index(image: Image.Image) -> Image.Image:
        places = np.asarray(image.convert("RGB").quantize(palette=chart, dither=Image.Dither.NONE))
        if image.mode == "RGBA":
            places = np.where(np.asarray(image)[..., 3] < _OPAQUE, np.uint8(colours - 1), places)
        return _indexed(places, table)

    return table, index


def _sample(pixels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Up to `count` opaque pixels (n, 3), spread over a frame (H, W, 3 or 4)."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    if flat.shape[1] == 4:
        flat = flat[flat[:, 3] >= _OPAQUE] if (flat[:, 3] >= _OPAQUE).any() else flat[:1]
    # An odd stride that shares no factor with usual widths, so that columns are not taken again and again.
    return flat[:: max(1, len(flat) // count) | 1, :3]


def _indexed(places: npt.NDArray[np.uint8], palette: bytes) -> Image.Image:
    image = Image.fromarray(places)
    image.putpalette(palette)
    return image


def _write_webp(frames: Iterable[Image.Image], path: Path, fps: float, quality: int) -> None:
    coloured = (image if image.mode == "RGBA" else image.convert("RGB") for image in frames)
    _save_all(coloured, path, fps, quality=_WEBP_QUALITY[quality], method=4)


def _write_apng(frames: Iterable[Image.Image], path: Path, fps: float, quality: int) -> None:
    _save_all((_fewer_colours(image, quality) for image in frames), path, fps)


def _save_all(frames: Iterable[Image.Image], path: Path, fps: float, **options: Any) -> None:
    images = list(frames)
    durations = _durations(len(images), fps, 1)
    images[0].save(path, save_all=True, append_images=images[1:], loop=0, duration=durations, **options)


def _fewer_colours(image: Image.Image, quality: int) -> Image.Image:
    if quality == 0:
        return image
    bits = _BITS[quality]
    mask = bytes((value >> (8 - bits)) * 255 // (2**bits - 1) for value in range(256))
    return image.point(mask * len(image.getbands()))


def _write_folder(frames: Iterable[Image.Image], path: Path, fps: float, quality: int) -> None:
    path.mkdir(exist_ok=True)
    for place, image in enumerate(frames):
        _fewer_colours(image, quality).save(path / f"frame-{place:05d}.png")


def _write_mp4(frames: Iterable[Image.Image], path: Path, fps: float, quality: int) -> None:
    writer: Any = imageio.get_writer(
        path,
        format="FFMPEG",
        mode="I",
        fps=fps,
        codec="libx264",
        pixelformat="yuv420p",
        quality=None,
        macro_block_size=1,
        output_params=["-crf", str(_CRF[quality]), "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    try:
        for image in frames:
            writer.append_data(_even(image))
    finally:
        writer.close()  # its own `with` leaves ffmpeg running, and its file behind, where a frame fails
    if not path.exists():
        raise OSError("ffmpeg wrote no file")


def _even(image: Image.Image) -> Pictures:
    """RGB (H, W, 3) with even sides, as yuv420p needs: the last row and column again where they are odd."""
    pixels = over_white(np.asarray(image)) if image.mode == "RGBA" else np.asarray(image.convert("RGB"))
    return np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")


ENCODERS: Final[dict[str, Encoder]] = {
    ".gif": _write_gif,
    ".mp4": _write_mp4,
    ".webp": _write_webp,
    ".png": _write_apng,
    "": _write_folder,
}
"""What writes each extension; the empty one is a folder of numbered PNG files."""
