"""Memorisation audit: are generated pictures nearer to the training pictures than unseen real ones are?

A generated picture counts as a copy where it is as near to a training picture as the nearest few of the unseen reals
are. Compare Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models", section 3: the
test is of the order of the two sets of distances, so no distribution of features is assumed.
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

    copies: share of generated pictures within `limit` of a training picture. unseen: the same share of real pictures
    outside training. chance: how often as many copies come about where nothing is copied. pairs: (generated, training)
    indices of the nearest pairs, nearest first. distances: theirs.
    """

    copies: float
    unseen: float
    limit: float
    chance: float
    generated: int
    baseline: str
    pairs: tuple[tuple[int, int], ...]
    distances: tuple[float, ...]

    @property
    def alarm(self) -> bool:
        """Whether copying is beyond chance."""
        return self.chance < CHANCE


def audit(generated: Array, training: Array, held_out: Array | None, device: torch.device) -> Audit:
    """Audit features (N, d) of generated pictures against those of the training pictures.

    The mark is set by the features of held-out reals, or, without them, by each training picture's distance to the
    nearest other one.
    """
    distances, indices = nearest(generated, training, device)
    if held_out is None:
        marks, _ = nearest(training, training, device, self_excluded=True)
        baseline = f"{len(training)} training pictures, each to the nearest other one"
    else:
        marks, _ = nearest(held_out, training, device)
        baseline = f"{len(held_out)} held-out pictures"
    # The least distance that rounding leaves of 0 is a copy's too.
    floor = 1e-4 * float(np.median(marks))
    marks = np.sort(np.maximum(marks, floor))
    rank = max(1, math.ceil(QUANTILE * len(marks)))
    limit = float(marks[rank - 1])
    near = int((distances <= limit).sum())
    unseen = int((marks <= limit).sum())
    order = np.argsort(distances, kind="stable")[:PAIRS]
    return Audit(
        copies=near / len(distances),
        unseen=unseen / len(marks),
        limit=limit,
        chance=chance_of(near, len(distances), unseen, len(marks)),
        generated=len(distances),
        baseline=baseline,
        pairs=tuple((int(i), int(indices[i])) for i in order),
        distances=tuple(float(distances[i]) for i in order),
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
    """The nearest pairs as a picture: generated above, its nearest training picture below, their distance beneath."""
    columns = min(8, len(found.pairs))
    rows = math.ceil(len(found.pairs) / columns)
    height, width = generated.shape[1:]
    scale = max(1, round(side / min(height, width)))
    cell_w, cell_h, gap, text = width * scale, height * scale, 8, 16
    font = ImageFont.load_default(size=11)
    step_w, step_h = cell_w + gap, 2 * cell_h + text + gap + 2
    sheet = Image.new("RGB", (columns * step_w + gap, rows * step_h + gap), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, ((made, real), distance) in enumerate(zip(found.pairs, found.distances, strict=True)):
        x, y = gap + number % columns * step_w, gap + number // columns * step_h
        for offset, source, index in ((0, generated, made), (cell_h + 2, training, real)):
            picture = source.take(np.array([index]))[0].transpose(1, 2, 0)
            image = Image.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])
            sheet.paste(image.convert("RGB").resize((cell_w, cell_h), Image.Resampling.NEAREST), (x, y + offset))
        mark = "copy" if distance <= found.limit else ""
        colour = (190, 0, 0) if mark else (60, 60, 60)
        draw.text((x, y + 2 * cell_h + 4), f"{distance:.3g} {mark}", fill=colour, font=font)
    return sheet
