"""What holds when: the schedule is a pure function of the count of real images shown.

Nothing here knows torch. The clock is *images shown*: kimg, epochs and steps exist only in `Span`, the length in the
unit that its source states, and are turned into images once, by `Schedule.resolve`.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from ganforge.errors import ConfigError

UNITS = ("img", "kimg", "epoch", "step")


@dataclass(frozen=True)
class Span:
    """A length of training in the unit its source states: `600kimg`, `101epoch`, `20000step` or `16img`."""

    value: float
    unit: str

    @classmethod
    def parse(cls, text: "str | Span") -> "Span":
        """Read `"600kimg"`. Raises ConfigError when the text is not a number followed by one of `UNITS`."""
        if isinstance(text, Span):
            return text
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", str(text))
        if not match or match[2] not in UNITS:
            raise ConfigError(
                f"{str(text)!r} is not a length: write a number and one of {', '.join(UNITS)}, as 600kimg"
            )
        return cls(float(match[1]), match[2])

    def images(self, *, batch: int, dataset_size: int, images_per_step: int | None = None) -> int:
        """The length in real images shown, for a batch size and a dataset of `dataset_size` pictures.

        `images_per_step` is what one step shows: the batch, times the discriminator updates a step makes.
        """
        per_unit = {
            "img": 1,
            "kimg": 1000,
            "epoch": dataset_size,
            "step": batch if images_per_step is None else images_per_step,
        }
        return round(self.value * per_unit[self.unit])

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


SpanField = Annotated[Span, BeforeValidator(Span.parse), PlainSerializer(str, return_type=str)]


@dataclass(frozen=True)
class Stage:
    """All that a network is told of the schedule: the resolution (shorter side, pixels) and alpha in [0, 1]."""

    resolution: int
    alpha: float = 1.0


class Phase(BaseModel):
    """One row of a schedule: what holds for a length of training.

    The first `fade` of its `length` fades the resolution in (Karras et al. 2018, section 2); the rest is stable.
    `lr_ramp` lets both learning rates rise linearly from 0 over that much of the phase's beginning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: int = Field(ge=3)
    length: SpanField
    fade: SpanField = Span(0, "img")
    batch: int = Field(ge=1)
    lr_g: float = Field(gt=0)
    lr_d: float = Field(gt=0)
    lr_ramp: SpanField = Span(0, "img")
    reset_optimizers: bool = False

    @model_validator(mode="before")
    @classmethod
    def _positive_length(cls, values: Any) -> Any:
        if isinstance(values, dict) and "length" in values and Span.parse(values["length"]).value <= 0:
            raise ConfigError(f"phase at {values.get('resolution')}: its length must be over 0")
        return values


@dataclass(frozen=True)
class Position:
    """Where a run stands at a count of images: the phase (its index and row), alpha, and the learning rates."""

    index: int
    phase: Phase
    alpha: float
    start: int
    end: int
    lr_g: float
    lr_d: float

    @property
    def stage(self) -> Stage:
        return Stage(self.phase.resolution, self.alpha)

    @property
    def fading(self) -> bool:
        return self.alpha < 1


@dataclass(frozen=True)
class _Row:
    phase: Phase
    start: int
    end: int
    fade: int
    ramp: int


@dataclass(frozen=True)
class Schedule:
    """Phases with their borders in images: a pure function `at(images) -> Position`."""

    rows: tuple[_Row, ...]

    @classmethod
    def resolve(
        cls, phases: Sequence[Phase], *, dataset_size: int, images_per_batch: int = 1, kimg: float | None = None
    ) -> "Schedule":
        """Turn rows into images; `kimg` scales all lengths in proportion to that total.

        `images_per_batch` is the count of batches one step shows (discriminator updates a step). Raises ConfigError
        for no phases, a fade longer than its phase, or resolutions that shrink.
        """
        if not phases:
            raise ConfigError("a schedule needs at least one phase")
        lengths, fades, ramps = [], [], []
        below = None
        for phase in phases:
            if phase.fade.value and (below is None or phase.resolution <= below):
                raise ConfigError(f"phase at {phase.resolution}: nothing to fade in from; its fade must be 0")
            below = phase.resolution
            measure = {
                "batch": phase.batch,
                "dataset_size": dataset_size,
                "images_per_step": phase.batch * images_per_batch,
            }
            lengths.append(phase.length.images(**measure))
            fades.append(phase.fade.images(**measure))
            ramps.append(phase.lr_ramp.images(**measure))
            if fades[-1] > lengths[-1]:
                raise ConfigError(
                    f"phase at {phase.resolution}: a fade of {phase.fade} is longer than the phase, {phase.length}; "
                    "shorten the fade or lengthen the phase"
                )
        if any(after.resolution < before.resolution for before, after in pairwise(phases)):
            raise ConfigError("phases: the resolution may only grow from row to row")
        factor = 1.0 if kimg is None else kimg * 1000 / sum(lengths)
        if factor <= 0:
            raise ConfigError(f"--kimg {kimg:g}: the length of a run must be over 0")
        rows, done = [], 0.0
        for phase, length, fade, ramp in zip(phases, lengths, fades, ramps, strict=True):
            start, done = round(done), done + length * factor
            rows.append(_Row(phase, start, max(round(done), start + 1), round(fade * factor), round(ramp * factor)))
        return cls(tuple(rows))

    @property
    def images(self) -> int:
        """The length of the whole run in images."""
        return self.rows[-1].end

    def lengthened(self, shown: int, total: int) -> tuple[Phase, ...]:
        """The phases, lengths in images, of this run made `total` images long after `shown` of them.

        What has been is left as it was: no phase that is over comes back. What is left, the rest of this phase and the
        later ones, is stretched in proportion; of a run at its end the last phase goes on. Raises ConfigError when
        `total` is not beyond `shown`.
        """
        if total <= shown:
            raise ConfigError(
                f"--kimg {total / 1000:g}: {shown / 1000:g} kimg are shown already; name a greater length"
            )
        factor = (total - shown) / (self.images - shown) if shown < self.images else 1.0
        phases, end = [], 0
        for row in self.rows:
            begun = row.start <= shown
            stop = row.end if row.end <= shown else shown + round((row.end - shown) * factor)
            if row is self.rows[-1]:
                stop = total
            fade = row.fade if begun else round(row.fade * factor)
            ramp = row.ramp if begun else round(row.ramp * factor)
            lengths = {
                "length": Span(stop - end, "img"),
                "fade": Span(min(fade, stop - end), "img"),
                "lr_ramp": Span(ramp, "img"),
            }
            phases.append(row.phase.model_copy(update=lengths))
            end = stop
        return tuple(phases)

    def at(self, images: int) -> Position:
        """The position after `images` real images; beyond the end, that of the end."""
        index = max(bisect_right([row.start for row in self.rows], images) - 1, 0)
        row = self.rows[index]
        into = images - row.start
        alpha = min(into / row.fade, 1.0) if row.fade else 1.0
        ramp = min(into / row.ramp, 1.0) if row.ramp else 1.0
        return Position(index, row.phase, alpha, row.start, row.end, row.phase.lr_g * ramp, row.phase.lr_d * ramp)
