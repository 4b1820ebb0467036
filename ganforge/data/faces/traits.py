"""Who a cartoon face is: every trait that is drawn, chosen by (seed, index) and by nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from ganforge.data.faces.brush import Colour

Choice = TypeVar("Choice")

HAIR: Final[Mapping[str, Colour]] = {
    "black": (54, 47, 60),
    "brown": (122, 70, 40),
    "blonde": (247, 204, 94),
    "red": (219, 82, 44),
    "blue": (72, 138, 228),
    "pink": (245, 132, 182),
}

SKINS: Final[tuple[Colour, ...]] = (
    (255, 226, 203),
    (253, 213, 180),
    (246, 198, 158),
    (232, 176, 132),
    (210, 150, 106),
    (184, 126, 88),
    (156, 102, 72),
    (130, 84, 60),
)

IRISES: Final[tuple[Colour, ...]] = (
    (92, 56, 38),
    (60, 40, 36),
    (58, 118, 190),
    (70, 150, 104),
    (134, 98, 52),
    (126, 84, 168),
    (92, 110, 126),
)

BACKDROPS: Final[tuple[Colour, ...]] = (
    (255, 221, 173),
    (253, 198, 178),
    (250, 190, 200),
    (222, 204, 240),
    (190, 214, 246),
    (172, 226, 228),
    (186, 230, 196),
    (226, 234, 172),
    (255, 236, 166),
    (240, 228, 214),
)

CLOTHES: Final[tuple[Colour, ...]] = (
    (232, 90, 80),
    (245, 158, 66),
    (244, 200, 78),
    (104, 178, 110),
    (62, 158, 166),
    (70, 112, 188),
    (132, 98, 184),
    (222, 112, 160),
    (246, 240, 228),
    (72, 76, 96),
)

STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "short": ("straight", "choppy", "swept", "curtain"),
    "crop": ("slick", "widow"),
    "spiky": ("choppy", "slick"),
    "quiff": ("slick",),
    "pixie": ("swept",),
    "curls": ("curly",),
    "afro": ("curly", "slick"),
    "bob": ("straight", "swept", "curtain"),
    "long": ("straight", "swept", "curtain", "choppy"),
    "wavy": ("swept", "curtain"),
    "bun": ("slick", "swept", "curtain", "straight"),
    "space buns": ("straight", "curtain", "choppy"),
    "twin tails": ("straight", "curtain", "choppy"),
    "ponytail": ("swept", "choppy", "slick"),
    "braids": ("curtain", "straight"),
    "mohawk": ("none",),
    "tufts": ("none",),
}
"""Hair styles, and the fringes that go with each."""

_STYLE_ODDS: Final[Mapping[str, float]] = {"crop": 0.8, "mohawk": 0.3, "tufts": 0.35, "afro": 0.8, "spiky": 1.2}
_ADORNED: Final = (
    "pixie",
    "curls",
    "afro",
    "bob",
    "long",
    "wavy",
    "bun",
    "space buns",
    "twin tails",
    "ponytail",
    "braids",
)
"""Styles that can wear something in the hair."""
_BEARDED: Final = ("short", "crop", "spiky", "quiff", "curls", "afro", "mohawk", "tufts")


@dataclass(frozen=True)
class Face:
    """One cartoon face. Names are keys of the tables that draw them; plain numbers are fractions or -1 to 1."""

    label: int
    hair_tone: float
    hair_lean: float
    style: str
    fringe: str
    flip: bool
    skin: Colour
    head: str
    width: float
    eyes: str
    iris: Colour
    eye_size: float
    look: tuple[float, float]
    lashes: bool
    brows: str
    nose: str
    mouth: str
    beard: str
    glasses: str
    glasses_colour: Colour
    blush: bool
    freckles: bool
    earrings: bool
    accessory: str
    accent: Colour
    clothes: str
    clothes_colour: Colour
    backdrop: str
    backdrop_colour: Colour
    tilt: float


class _Fate:
    """A row of uniform numbers, taken one by one. Every trait takes the same count whatever it becomes, so that one
    trait's odds can be changed without changing all the faces."""

    def __init__(self, seed: int, index: int) -> None:
        numbers: list[float] = np.random.default_rng((seed, index)).random(48).tolist()
        self._numbers = iter(numbers)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._numbers)

    def chance(self, odds: float) -> bool:
        return next(self._numbers) < odds

    def one_of(self, options: Sequence[Choice]) -> Choice:
        return options[int(next(self._numbers) * len(options))]

    def weighed(self, odds: Mapping[str, float]) -> str:
        left = next(self._numbers) * sum(odds.values())
        for name, weight in odds.items():
            left -= weight
            if left < 0:
                return name
        return name


def hair_class(seed: int, index: int) -> int:
    """The label of one face: each six faces in a row (0-5, 6-11, ...) hold every hair colour once."""
    block, place = divmod(index, len(HAIR))
    numbers = np.random.default_rng((seed, block, 0x6A1E)).random(len(HAIR))
    return int(np.argsort(numbers)[place])


def choose(seed: int, index: int) -> Face:
    """The face of (seed, index), both at least 0."""
    fate = _Fate(seed, index)
    style = fate.weighed({name: _STYLE_ODDS.get(name, 1.0) for name in STYLES})
    fringe = fate.one_of(STYLES[style])
    beard = fate.weighed({"none": 6, "full": 1, "moustache": 1, "goatee": 0.6})
    beard = beard if style in _BEARDED else "none"
    bearded = beard != "none"
    accessory = fate.weighed({"none": 4, "bow": 0.5, "flower": 0.5, "band": 0.5, "clip": 0.5})
    if bearded or style not in _ADORNED:
        accessory = "none"
    return Face(
        label=hair_class(seed, index),
        hair_tone=fate.between(-1, 1),
        hair_lean=fate.between(-1, 1),
        style=style,
        fringe=fringe,
        flip=fate.chance(0.5),
        skin=fate.one_of(SKINS),
        head=fate.weighed({"round": 1.2, "oval": 1, "square": 0.7, "heart": 1, "full": 0.8}),
        width=fate.between(0.955, 1.035),
        eyes=fate.weighed(
            {"round": 1.5, "tall": 1.4, "almond": 1, "lidded": 0.5, "dot": 0.7, "happy": 0.3, "wink": 0.15}
        ),
        iris=fate.one_of(IRISES),
        eye_size=fate.between(0.92, 1.1),
        look=(fate.between(-1, 1), fate.between(-0.6, 0.6)),
        lashes=fate.chance(0.62) and not bearded,
        brows=fate.weighed({"arched": 1.4, "flat": 1, "raised": 0.7, "stern": 0.5, "worried": 0.4, "thick": 0.6}),
        nose=fate.weighed({"hook": 1, "dot": 1, "button": 1, "wedge": 0.8}),
        mouth=fate.weighed(
            {
                "smile": 2,
                "open": 1.6,
                "grin": 1,
                "smirk": 0.7,
                "small": 0.5,
                "cat": 0.5,
                "surprised": 0.4,
                "tongue": 0.3,
            }
        ),
        beard=beard,
        glasses=fate.weighed({"none": 3.6, "round": 0.55, "square": 0.4, "cat": 0.2, "shades": 0.1}),
        glasses_colour=fate.one_of(((56, 48, 60), (170, 60, 56), (196, 144, 58), (60, 88, 140))),
        blush=fate.chance(0.6),
        freckles=fate.chance(0.14),
        earrings=fate.chance(0.3) and not bearded,
        accessory=accessory,
        accent=fate.one_of(CLOTHES[:8]),
        clothes=fate.weighed(
            {"tee": 1.3, "v-neck": 0.8, "turtleneck": 0.8, "shirt": 0.8, "hoodie": 0.8, "stripes": 0.8}
        ),
        clothes_colour=fate.one_of(CLOTHES),
        backdrop=fate.weighed({"plain": 2, "halo": 2, "gradient": 1.5, "dots": 0.45, "stripes": 0.4, "rays": 0.45}),
        backdrop_colour=fate.one_of(BACKDROPS),
        tilt=fate.between(-0.055, 0.055),
    )
