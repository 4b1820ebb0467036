"""The work of one worker process on a few pictures at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ganforge.data import pixels
from ganforge.data.dataset import Pixels
from ganforge.data.duplicates import Impression, impression
from ganforge.data.problems import Rejected, Trait
from ganforge.data.pyramid import pyramid
from ganforge.data.sources import Entry, LeftOut, Reader


@dataclass(frozen=True)
class Headers:
    """Reads the headers of pictures; a function that can be sent to a worker."""

    reader: Reader
    max_pixels: int

    def __call__(self, entries: Sequence[Entry]) -> list[pixels.Seen | LeftOut]:
        return [self._one(entry) for entry in entries]

    def _one(self, entry: Entry) -> pixels.Seen | LeftOut:
        try:
            with self.reader.read(entry) as stream:
                return pixels.survey(stream, self.max_pixels)
        except Rejected as error:
            return LeftOut(entry.name, error.reason, error.detail)


@dataclass
class Batch:
    """Pictures that one task gave.

    Attributes:
        left_out: those that could not be taken, by their place in the task.
        kept: the places of the others.
        traits: what was noticed about each that is kept.
        prints: a fingerprint of each that is kept.
        impressions: what each that is kept looks like from afar, when they are asked for.
        levels: uint8 (kept, C, H, W) of each level, the smallest first; empty when nothing is to be written.
    """

    left_out: dict[int, LeftOut] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    traits: list[Trait] = field(default_factory=list)
    prints: list[bytes] = field(default_factory=list)
    impressions: list[Impression] = field(default_factory=list)
    levels: list[Pixels] = field(default_factory=list)


@dataclass(frozen=True)
class Pictures:
    """Makes pictures into levels; a function that can be sent to a worker."""

    reader: Reader
    look: pixels.Look
    max_pixels: int
    levels: int
    impressions: bool

    def __call__(self, entries: Sequence[Entry]) -> Batch:
        batch = Batch()
        made: list[Pixels] = []
        for place, entry in enumerate(entries):
            try:
                with self.reader.read(entry) as stream:
                    picture, traits = pixels.convert(
                        stream, self.look, self.max_pixels, PurePosixPath(entry.name).suffix
                    )
            except Rejected as error:
                batch.left_out[place] = LeftOut(entry.name, error.reason, error.detail)
                continue
            made.append(picture)
            batch.kept.append(place)
            batch.traits.append(traits)
        if not made:
            return batch
        stacked = np.stack(made)
        if self.look.channels == 3:
            grey = (stacked == stacked[:, :1]).all(axis=(1, 2, 3))
            batch.traits = [t | Trait.GREY if g else t for t, g in zip(batch.traits, grey.tolist(), strict=True)]
        batch.prints = [pixels.fingerprint(picture) for picture in made]
        if self.impressions:
            batch.impressions = [impression(picture) for picture in made]
        if self.levels:
            batch.levels = pyramid(stacked, self.levels)
        return batch
