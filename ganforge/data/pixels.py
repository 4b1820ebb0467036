"""One picture: from a file of any format and mode to upright sRGB pixels of the size of the largest level."""

import contextlib
import functools
import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, NamedTuple, cast

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from ganforge.data.dataset import Pixels
from ganforge.data.problems import Rejected, Trait

Picture = Image.Image

# A JPEG may be decoded at a half, a quarter or an eighth of its size, which is many times faster, as long as it stays
# this many times larger than the largest level: then LANCZOS still does the last reduction, and photographs differ by
# 0.25 of 255 in the mean and by 8 at most (benchmarks/prepare_speed.py measures it).
DRAFT_MARGIN = 3.0

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = frozenset({5, 6, 7, 8})  # orientations that exchange width and height
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
TURNED_BY_PILLOW = frozenset({"TIFF"})
GREY_MODES = DEEP_MODES | {"1", "L"}
PLAIN = {"1": "L", "P": "RGB", "RGBX": "RGB"}
OTHER_SPACES = frozenset({"CMYK", "YCbCr", "HSV", "LAB"})
SEVERAL_VIEWS = frozenset({"MPO", "ICO", "ICNS"})  # more than one picture inside, but no animation

SAME_FILES = {"MPO": "JPEG", "DIB": "BMP"}
SHORT_WORDS = ("truncated", "unexpected end", "not enough", "premature", "incomplete", "eof")

SIGNATURES = (
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file, perhaps an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"%pdf", "a PDF document"),
    (b"pk\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1ae\xdf\xa3", "a WebM or Matroska video"),
    (b"%!ps", "PostScript, which is not run"),
)
BRANDS = {b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"mif1": "a HEIF picture"}


@dataclass(frozen=True)
class Look:
    """What every picture is made into.

    Attributes:
        size: (height, width) of the largest level.
        channels: 1, 3 or 4.
        fit: `crop` cuts the middle out, `pad` adds background, `stretch` distorts.
        crop: (x, y, width, height) cut out of every upright picture first, or None.
        background: sRGB, under transparent and padded pixels.
        min_side: what would reach fewer pixels than this along the level's shorter side is rejected.
    """

    size: tuple[int, int]
    channels: int
    fit: str
    crop: tuple[int, int, int, int] | None
    background: tuple[int, int, int]
    min_side: int


class Seen(NamedTuple):
    """What a picture's header says: its upright size, and whether it can only hold opaque grey values."""

    height: int
    width: int
    grey: bool


def survey(stream: IO[bytes] | Picture, max_pixels: int) -> Seen:
    """Read the header of a picture.

    Raises:
        Rejected: it is no picture, or has more than `max_pixels` pixels.
    """
    with _opened(stream, max_pixels) as image:
        # Asking a PNG for EXIF data that it does not announce would decode all of it.
        turned = (image.format != "PNG" or "exif" in image.info) and _orientation(image) in TURNED
        width, height = image.size[::-1] if turned else image.size
        return Seen(height, width, image.mode in GREY_MODES and not image.has_transparency_data)


def convert(stream: IO[bytes] | Picture, look: Look, max_pixels: int, suffix: str = "") -> tuple[Pixels, Trait]:
    """Read a picture and make it what `look` says.

    Args:
        stream: the file, at its start; or a picture in memory.
        suffix: the name's ending, to notice a wrong one.

    Returns:
        uint8 (channels, height, width), and what was noticed on the way.

    Raises:
        Rejected: it cannot be taken.
    """
    with _opened(stream, max_pixels) as image:
        traits = Trait.MISNAMED if _misnamed(image, suffix) else Trait(0)
        if image.format not in SEVERAL_VIEWS and getattr(image, "is_animated", False):
            traits |= Trait.ANIMATED
        full = image.size
        if image.format in TURNED_BY_PILLOW and _exif_orientation(image) in UPRIGHT:
            traits |= Trait.ROTATED
        reduction = _decode_reduced(image, look) if image.format in ("JPEG", "MPO") else 1.0
        image.load()
        orientation = _orientation(image)
        picture, found = _srgb(image, look)
        traits |= found
        if orientation in UPRIGHT:
            picture = picture.transpose(UPRIGHT[orientation])
            full = full[::-1] if orientation in TURNED else full
            traits |= Trait.ROTATED
        picture, found = _fitted(picture, full, reduction, look)
        return _as_array(picture, look), traits | found


def fingerprint(pixels: Pixels) -> bytes:
    """16 bytes that are equal for equal pixels, and for no others."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


@contextmanager
def _opened(stream: IO[bytes] | Picture, max_pixels: int) -> Iterator[Picture]:
    """The picture, its header read; whatever goes wrong with it inside the block becomes `Rejected`."""
    pillows_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit replaces it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they tell of oddities that are either handled here or harmless
        try:
            with stream if isinstance(stream, Image.Image) else _identified(stream) as image:
                if image.width < 1 or image.height < 1:
                    raise Rejected("corrupt", "it has no pixels")
                if image.width * image.height > max_pixels:
                    raise Rejected("too-many-pixels", f"{image.height}x{image.width}")
                yield image
        except Rejected:
            raise
        except MemoryError as error:
            raise Rejected("too-many-pixels", "not enough memory for it") from error
        except Exception as error:  # decoders raise anything on damaged files, SyntaxError and struct.error included
            raise _rejection(error) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillows_limit


def _identified(stream: IO[bytes]) -> Picture:
    head = stream.read(64)
    if not head:
        raise Rejected("empty")
    stream.seek(0)
    if head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):  # Pillow would start Ghostscript on it
        raise Rejected("not-a-picture", "PostScript, which is not run")
    try:
        return Image.open(stream)
    except UnidentifiedImageError as error:
        raise Rejected("not-a-picture", _guess(head)) from error


def _guess(head: bytes) -> str:
    """What a file that is no picture might be, from its first bytes."""
    if not head.strip(b"\0"):
        return "only zeros"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "a video")
    low = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for signature, what in SIGNATURES:
        if low.startswith(signature):
            return what
    with contextlib.suppress(UnicodeDecodeError):
        if "".join(head.decode().split()).isprintable():
            return "a text file"
    return ""


def _rejection(error: Exception) -> Rejected:
    """The reason behind a decoder's error."""
    detail = " ".join(str(error).split())[:200]
    if isinstance(error, OSError) and error.errno is not None:
        return Rejected("unreadable", error.strerror or detail)
    short = isinstance(error, EOFError) or any(word in detail.lower() for word in SHORT_WORDS)
    return Rejected("truncated" if short else "corrupt", detail or type(error).__name__)


def _misnamed(image: Picture, suffix: str) -> bool:
    """Whether the name ends like that of another format than the picture has."""
    named = Image.registered_extensions().get(suffix.lower())
    return image.format is not None and named not in {None, image.format, SAME_FILES.get(image.format)}


def _orientation(image: Picture) -> int:
    """The EXIF orientation that is ours to obey, 1 to 8."""
    return 1 if image.format in TURNED_BY_PILLOW else _exif_orientation(image)


def _exif_orientation(image: Picture) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or where the EXIF data is damaged."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data raises anything; the pixels are still good
        return 1
    return value if isinstance(value, int) else 1


def _decode_reduced(image: Picture, look: Look) -> float:
    """Have a JPEG decoded at the smallest size that stays `DRAFT_MARGIN` times larger than what is made of it.

    Returns:
        How many times smaller than the file's size it will be: 1, 2, 4 or 8.
    """
    turned = _orientation(image) in TURNED
    stored = image.size
    full = stored[::-1] if turned else stored
    box = _region(full, look)
    width, height = _scaled(box, look)
    wanted = (
        int(DRAFT_MARGIN * width * full[0] / (box[2] - box[0])) + 1,
        int(DRAFT_MARGIN * height * full[1] / (box[3] - box[1])) + 1,
    )
    drafted = image.draft(None, wanted[::-1] if turned else wanted)  # None keeps the mode
    return 1.0 if drafted is None else stored[0] / drafted[1][2]


def _srgb(image: Picture, look: Look) -> tuple[Picture, Trait]:
    """The picture in mode L, RGB or, when four channels are wanted, RGBA: sRGB, 8 bits, flattened unless RGBA."""
    traits = Trait(0)
    profile = image.info.get("icc_profile")
    if image.mode in DEEP_MODES:
        image, traits = _eight_bits(image), Trait.DEEP
    elif image.mode in OTHER_SPACES:
        traits = Trait.CMYK
    if image.has_transparency_data and image.mode not in OTHER_SPACES:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
    elif image.mode in PLAIN:
        image = image.convert(PLAIN[image.mode])
    if profile and (converted := _from_profile(image, profile)):
        image, traits = converted, traits | Trait.PROFILE
    elif image.mode == "LAB":
        image = _from_profile(image, _lab_profile()) or image
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")
    if image.mode == "RGBA" and cast(tuple[int, int], image.getchannel("A").getextrema())[0] < 255:
        traits |= Trait.TRANSPARENT
        if look.channels != 4:
            flat = Image.new("RGB", image.size, look.background)
            flat.paste(image, mask=image)
            image = flat
    elif image.mode == "RGBA" and look.channels != 4:
        image = image.convert("RGB")
    wanted = {1: "L", 3: image.mode, 4: "RGBA"}[look.channels]
    return image if image.mode == wanted else image.convert(wanted), traits


def _eight_bits(image: Picture) -> Picture:
    """A picture of 16-bit, 32-bit or floating-point values as mode L.

    Integers are taken as 16 bits. Floating-point values up to 1 are shares of white, up to 255 as 8 bits, up to 65535
    as 16 bits.
    """
    values = np.asarray(image)
    least, most = values.min(), values.max()
    if not (np.isfinite(least) and np.isfinite(most)) or least < 0 or most > 65535:
        raise Rejected("odd-values", f"{least:g} to {most:g}")
    white = 65535.0 if image.mode != "F" or most > 255 else 255.0 if most > 1 else 1.0
    return Image.fromarray(np.rint(values * np.float32(255.0 / white)).astype(np.uint8))


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a colour profile to sRGB; None when there is nothing to convert, or the profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _from_profile(image: Picture, profile: bytes) -> Picture | None:
    """The picture converted to sRGB, or None when it needs no conversion or its profile does not fit it."""
    transform = _transform(profile, image.mode)
    if transform is None:
        return None
    converted = transform.apply(image)
    return converted.convert("L") if image.mode == "L" else converted


@functools.cache
def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _region(full: tuple[int, int], look: Look) -> tuple[int, int, int, int]:
    """What is taken of an upright picture of size `full` (width, height): left, top, right, bottom.

    Raises:
        Rejected: it does not hold the whole `look.crop`.
    """
    left, top, width, height = 0, 0, *full
    if look.crop is not None:
        left, top, width, height = look.crop
        if left + width > full[0] or top + height > full[1]:
            raise Rejected("outside-crop", f"{full[1]}x{full[0]}")
    if look.fit == "crop":
        rows, columns = look.size
        if width * rows > height * columns:
            cut = max(1, round(height * columns / rows))
            left, width = left + (width - cut) // 2, cut
        else:
            cut = max(1, round(width * rows / columns))
            top, height = top + (height - cut) // 2, cut
    return left, top, left + width, top + height


def _scaled(box: tuple[int, int, int, int], look: Look) -> tuple[int, int]:
    """(width, height) in pixels that the region becomes."""
    rows, columns = look.size
    if look.fit != "pad":
        return columns, rows
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(columns / width, rows / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fitted(image: Picture, full: tuple[int, int], reduction: float, look: Look) -> tuple[Picture, Trait]:
    """The picture, decoded `reduction` times smaller than its size `full`, at the size of the largest level."""
    rows, columns = look.size
    box = _region(full, look)
    width, height = box[2] - box[0], box[3] - box[1]
    scales = (width / columns, height / rows)
    reach = min(rows, columns) * (max(scales) if look.fit == "pad" else min(scales))
    if reach < look.min_side:
        raise Rejected("too-small", f"{full[1]}x{full[0]}")
    traits = Trait.ENLARGED if reach < min(rows, columns) else Trait(0)
    given = look.crop[2:] if look.crop else full
    if abs(given[0] * rows / (given[1] * columns) - 1) > 0.01:
        traits |= Trait.CROPPED
    scaled = _scaled(box, look)
    if reduction != 1 or box != (0, 0, *scaled) or full != scaled:
        part = (box[0] / reduction, box[1] / reduction, box[2] / reduction, box[3] / reduction)
        image = image.resize(scaled, Image.Resampling.LANCZOS, box=part)
    if scaled != (columns, rows):
        blank = (*look.background, 0) if image.mode == "RGBA" else look.background
        canvas = Image.new("RGB", (columns, rows), blank).convert(image.mode) if len(blank) == 3 else None
        canvas = canvas or Image.new("RGBA", (columns, rows), blank)
        canvas.paste(image, ((columns - scaled[0]) // 2, (rows - scaled[1]) // 2))
        image = canvas
    return image, traits


def _as_array(image: Picture, look: Look) -> Pixels:
    """uint8 (channels, height, width); where all is transparent, the colour is the background."""
    if look.channels == 3 and image.mode != "RGB":
        image = image.convert("RGB")
    pixels = np.array(image, dtype=np.uint8)
    if look.channels == 4:
        pixels[pixels[..., 3] == 0, :3] = look.background
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
