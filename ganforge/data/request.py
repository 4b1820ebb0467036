"""What is asked of `prepare`, and whether it makes sense."""

from dataclasses import dataclass
from pathlib import Path

from PIL import ImageColor

from ganforge.data import stacked
from ganforge.data.duplicates import BITS, NEAR
from ganforge.data.sizes import check_resolution, parse_aspect
from ganforge.errors import DataError, unknown

DEMO_COUNT = 5000  # pictures of the built-in set, unless --count says otherwise
CHOICES = {
    "fit": ("crop", "pad", "stretch"),
    "channels": ("auto", "1", "3", "4"),
    "on_error": ("skip", "stop"),
    "dedupe": ("none", "exact", "near"),
    "split": ("auto", "all", "train", "validation", "test"),
}


@dataclass(frozen=True)
class Request:
    """What is asked of `prepare`; the fields are the command's options.

    `max_res`, `min_side`, `count` and `workers` are None to have them chosen; `out` None writes
    `datasets/<source name>`; `workers` 0 does the work in this process. With `stack` 3 each picture is made of three
    grey ones, and `count` is how many are made; without, how many are drawn of the built-in set.
    """

    source: str
    out: Path | None = None
    max_res: int | None = None
    aspect: str = "auto"
    fit: str = "crop"
    crop: tuple[int, int, int, int] | None = None
    mirror: bool = False
    labels: str = "auto"
    only: tuple[str, ...] = ()
    channels: str = "auto"
    background: str = "white"
    min_side: int | None = None
    max_megapixels: float = 90.0
    on_error: str = "skip"
    dedupe: str = "none"
    near_distance: int = NEAR
    holdout: float = 0.0
    split: str = "auto"
    root: Path = Path("~/.cache/ganforge")
    stack: int = 1
    count: int | None = None
    seed: int = 0
    workers: int | None = None
    force: bool = False
    check: bool = False

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1e6)

    @property
    def stacked(self) -> bool:
        """Whether stacks of grey pictures are to be made."""
        return self.stack != 1

    @property
    def demo_count(self) -> int:
        """How many pictures of the built-in set are drawn."""
        return DEMO_COUNT if self.stacked or self.count is None else self.count

    @property
    def stacks(self) -> tuple[int, int]:
        """How many stacks are made: for training, and held out."""
        count = stacked.COUNT if self.count is None else self.count
        held = int(count * self.holdout + 1e-9)
        return count - held, held


def check_request(request: Request) -> None:
    """Refuse options that make no sense, before anything is read.

    Raises:
        DataError: says which, and what would do.
    """
    for name, choices in CHOICES.items():
        value = getattr(request, name)
        if value not in choices:
            raise DataError(unknown(f"value of --{name.replace('_', '-')}", value, choices))
    if request.max_res is not None:
        check_resolution(request.max_res)
    parse_aspect(request.aspect)
    background_colour(request.background)
    if request.crop is not None and (min(request.crop[:2]) < 0 or min(request.crop[2:]) < 1):
        raise DataError(
            f"--crop {','.join(map(str, request.crop))}: x,y,width,height are pixels, x and y from 0, the others from 1"
        )
    ranges = (
        ("max-megapixels", request.max_megapixels, 0.001, 2000),
        ("near-distance", request.near_distance, 0, BITS // 2),
        ("holdout", request.holdout, 0, 0.9),
        ("workers", request.workers or 0, 0, 1024),
        ("count", 1 if request.count is None else request.count, 1, 10_000_000),
        ("seed", request.seed, 0, 2**63 - 1),
        ("min-side", request.min_side or 0, 0, 100_000),
    )
    for name, number, least, most in ranges:
        if not least <= number <= most:
            raise DataError(f"--{name} {number:g} is not between {least:g} and {most:g}")
    if request.stack not in (1, stacked.CHANNELS):
        raise DataError(f"--stack {request.stack} is neither 1 nor 3: write 3 to stack grey pictures as R, G and B")
    if request.stacked and request.channels not in ("auto", "1"):
        raise DataError(f"--stack 3 makes every channel of a grey picture; leave --channels {request.channels} out")


def background_colour(text: str) -> tuple[int, int, int]:
    """A colour name or `#rrggbb` as sRGB values.

    Raises:
        DataError: it is no colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise DataError(f"--background {text!r} is no colour; write a name such as white, or #rrggbb") from None
    return red, green, blue
