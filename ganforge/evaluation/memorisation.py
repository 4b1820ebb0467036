"""Memorisation audit: are generated pictures nearer to the training pictures than unseen real ones are?

Nearness is the distance to the nearest training picture over that picture's own distance to its nearest neighbour
(Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 4.3), so that pictures of a common kind are not taken
for copies. A generated picture counts as a copy where it is as near as the nearest few of the unseen reals are. The
test is of the order of the two sets of nearnesses (as in Meehan et al. 2020, "A Non-Parametric Test to Detect
Data-Copying in Generative Models", section 3), so no distribution of features is assumed.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ganforge.evaluation.distances import nearest
from ganforge.evaluation.pictures import PictureSource

Array = NDArray[np.float32]
# Of the unseen reals, the share of nearest ones that sets the limit; and what chance may do before an alarm.
QUANTILE = 0.01
CHANCE = 1e-3
PAIRS = 16


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    copies: share of generated pictures as near to a training picture as `limit`. unseen: the same share of real
    pictures outside training. chance: how often as many copies come about where nothing is copied. pairs: (generated,
    training) indices of the nearest pairs, nearest first. nearnesses: theirs; 0 is the very picture, 1 as near as the
    training picture's own neighbour.
    """

    copies: float
    unseen: float
    limit: float
    chance: float
    generated: int
    baseline: str
    pairs: tuple[tuple[int, int], ...]
    nearnesses: tuple[float, ...]

    @property
    def alarm(self) -> bool:
        """Whether copying is beyond chance."""
        return self.chance < CHANCE


def audit(generated: Array, training: Array, held_out: Array | None, device: torch.device) -> Audit:
    """Audit features (N, d) of generated pictures against those of the training pictures.

    The mark is set by the features of held-out reals, or, without them, by each training picture's distance to the
    nearest other one.
    """
    near_by, neighbours = nearest(training, training, device, count=2, self_excluded=True)
    # Equal pictures in the training set are at distance 0 of each other but for rounding; nothing is nearer than this.
    floor = 1e-3 * float(np.median(near_by[:, 0])) or 1e-6
    radii = np.maximum(near_by[:, 0], floor)
    if held_out is None:
        # A training picture that stands in for an unseen one is not its neighbour's neighbour.
        marked = neighbours[:, 0]
        back = neighbours[marked, 0] == np.arange(len(training))
        own = np.where(back, near_by[marked, 1], near_by[marked, 0])
        marks = near_by[:, 0] / np.maximum(own, floor)
        baseline = f"{len(training)} training pictures, each without itself"
    else:
        distances, indices = nearest(held_out, training, device)
        marks = distances[:, 0] / radii[indices[:, 0]]
        baseline = f"{len(held_out)} held-out pictures"
    distances, indices = nearest(generated, training, device)
    nearness = distances[:, 0] / radii[indices[:, 0]]
    rank = max(1, math.ceil(QUANTILE * len(marks)))
    limit = max(float(np.partition(marks, rank - 1)[rank - 1]), 1e-2)
    near, unseen = int((nearness <= limit).sum()), int((marks <= limit).sum())
    order = np.argsort(nearness, kind="stable")[:PAIRS]
    return Audit(
        copies=near / len(nearness),
        unseen=unseen / len(marks),
        limit=limit,
        chance=chance_of(near, len(nearness), max(unseen, 1), len(marks)),
        generated=len(nearness),
        baseline=baseline,
        pairs=tuple((int(i), int(indices[i, 0])) for i in order),
        nearnesses=tuple(float(nearness[i]) for i in order),
    )


def chance_of(near: int, generated: int, unseen: int, reals: int) -> float:
    """Chance that at least `near` of `generated` come before the `unseen`-th of `reals`, in a random order of all.

    That is: of the first near + unseen - 1 of all, fewer than `unseen` are reals (a hypergeometric tail).
    """
    if near == 0:
        return 1.0
    first, total = near + unseen - 1, generated + reals
    least = max(0, first - generated)

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    terms = [
        log_choose(reals, k) + log_choose(generated, first - k) - log_choose(total, first)
        for k in range(least, min(unseen - 1, reals, first) + 1)
    ]
    return min(1.0, sum(math.exp(term) for term in terms))


def gallery(found: Audit, generated: PictureSource, training: PictureSource, side: int = 96) -> Image.Image:
    """The nearest pairs as a picture: generated above, its nearest training picture below, their nearness beneath."""
    columns = min(8, len(found.pairs))
    rows = math.ceil(len(found.pairs) / columns)
    height, width = generated.shape[1:]
    scale = max(1, round(side / min(height, width)))
    cell_w, cell_h, gap, text = width * scale, height * scale, 8, 16
    font = ImageFont.load_default(size=11)
    step_w, step_h = cell_w + gap, 2 * cell_h + text + gap + 2
    sheet = Image.new("RGB", (columns * step_w + gap, rows * step_h + gap), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, ((made, real), nearness) in enumerate(zip(found.pairs, found.nearnesses, strict=True)):
        x, y = gap + number % columns * step_w, gap + number // columns * step_h
        for offset, source, index in ((0, generated, made), (cell_h + 2, training, real)):
            picture = source.take(np.array([index]))[0].transpose(1, 2, 0)
            image = Image.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])
            sheet.paste(image.convert("RGB").resize((cell_w, cell_h), Image.Resampling.NEAREST), (x, y + offset))
        mark = "copy" if nearness <= found.limit else ""
        colour = (190, 0, 0) if mark else (60, 60, 60)
        draw.text((x, y + 2 * cell_h + 4), f"{nearness:.2f} {mark}", fill=colour, font=font)
    return sheet
