"""Everything that can be wrong with a picture, in words for its owner: why it was left out, or what was done to it.

The keys stand in `left-out.csv` and `dataset.json`; each comes with the flag that would treat it.
"""

from dataclasses import dataclass
from enum import IntFlag


@dataclass(frozen=True)
class Problem:
    """What is the matter, and the remedy."""

    what: str
    remedy: str


class Rejected(Exception):  # noqa: N818  # it names what happened to a picture, no fault of a program
    """One picture cannot be taken: `reason` is a key of `REASONS`, `detail` says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


REASONS = {
    "empty": Problem("the file has no bytes", "get it again, or delete it"),
    "not-a-picture": Problem("not a picture that Pillow can read", "convert it to PNG, or leave it out"),
    "truncated": Problem("the file ends too early", "get it again"),
    "corrupt": Problem("the picture cannot be decoded", "get it again"),
    "decoder-died": Problem("decoding it ended the decoder", "convert it with another program, or leave it out"),
    "unreadable": Problem("the file cannot be opened", "see its permissions, or the link's target"),
    "not-a-file": Problem("neither a file nor a folder", "leave it out"),
    "too-many-pixels": Problem("more pixels than the limit", "--max-megapixels"),
    "too-many-bytes": Problem("unpacks to more bytes than the limit", "unpack the archive and give the folder"),
    "too-small": Problem("would have to be enlarged too much", "--min-side, or a smaller --max-res"),
    "outside-crop": Problem("does not hold the whole --crop", "--crop"),
    "odd-values": Problem("numbers outside what a picture holds", "scale them to 0-255 or 0-1"),
    "unsafe-path": Problem("absolute path or '..' in the archive", "pack it again with relative paths"),
    "encrypted": Problem("encrypted in the archive", "unpack the archive and give the folder"),
    "unknown-packing": Problem("packed by a method that is not read", "unpack the archive and give the folder"),
    "link": Problem("a link inside the archive", "unpack the archive and give the folder"),
    "litter": Problem("an operating system's own file", "nothing to do"),
    "label-file": Problem("read for the labels", "nothing to do"),
    "no-label": Problem("has no label", "--labels none takes every picture"),
    "not-asked-for": Problem("its class is not one of --only", "--only"),
    "duplicate": Problem("the same pixels as another picture", "--dedupe exact leaves them out"),
    "near-duplicate": Problem("nearly the same as another picture", "--dedupe near leaves them out, --near-distance"),
}

# What --on-error stop does not stop for: nothing is lost with these, or they were asked for.
HARMLESS = frozenset({"litter", "label-file", "not-asked-for", "duplicate", "near-duplicate"})


class Trait(IntFlag):
    """What was noticed about a picture that was taken."""

    TRANSPARENT = 1
    ROTATED = 2
    PROFILE = 4
    ANIMATED = 8
    ENLARGED = 16
    MISNAMED = 32
    DEEP = 64
    CMYK = 128
    GREY = 256
    CROPPED = 512


TRAITS = {
    Trait.TRANSPARENT: Problem("with transparency", "flattened on --background; --channels 4 keeps it"),
    Trait.ROTATED: Problem("turned upright by its EXIF orientation", "nothing to do"),
    Trait.PROFILE: Problem("converted from its colour profile to sRGB", "nothing to do"),
    Trait.ANIMATED: Problem("with several frames", "the first was taken"),
    Trait.ENLARGED: Problem("smaller than the largest level, so enlarged", "a smaller --max-res, or --min-side"),
    Trait.MISNAMED: Problem("named as another format than it is", "read as what it is"),
    Trait.DEEP: Problem("with more than 8 bits a value, so rounded", "nothing to do"),
    Trait.CMYK: Problem("converted from CMYK, LAB, HSV or YCbCr", "nothing to do"),
    Trait.CROPPED: Problem("of other proportions than the levels", "--fit crop, pad or stretch; --aspect"),
}
