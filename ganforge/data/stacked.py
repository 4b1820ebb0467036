"""Stacked sets: three grey pictures of labelled classes as the R, G and B of one, so that 10 classes make 1,000.

The usual measure of how many modes a generator reaches (Metz et al. 2017, "Unrolled Generative Adversarial Networks",
section 3.3.1; Lin et al. 2018, "PacGAN: The power of two samples in generative adversarial networks", section 4.2).
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from ganforge.data.dataset import Dataset, Labels
from ganforge.data.writing import BLOCK, DatasetWriter
from ganforge.errors import DataError

CHANNELS = 3
LEAST_CLASSES, MOST_CLASSES = 2, 10  # a digit names one
COUNT = 128_000  # stacks, unless --count says otherwise: as many as Lin et al. train on
DRAWS = {"training": 3, "holdout": 4}  # the purposes that random numbers are drawn for, a part of their seed

Indices = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]


def check_classes(classes: Sequence[str]) -> None:
    """Refuse classes that cannot be stacked.

    Raises:
        DataError: there are no labels, a single class, or more classes than a digit can name.
    """
    if not classes:
        raise DataError(
            "--stack 3 counts modes by class, and these pictures have no labels; give class sub-folders, or --labels"
        )
    if not LEAST_CLASSES <= len(classes) <= MOST_CLASSES:
        raise DataError(
            f"--stack 3 takes {LEAST_CLASSES} to {MOST_CLASSES} classes, one a digit, not {len(classes)}; "
            f"choose some with --only a,b,c"
        )


def class_names(classes: int) -> list[str]:
    """Names of the stacks' classes, a digit a channel: "000" to "999" for 10 grey classes; label i has name i."""
    return ["".join(word) for word in product("0123456789"[:classes], repeat=CHANNELS)]


def draw(pictures: int, stacks: int, seed: int, part: str = "training") -> Indices:
    """Which grey picture is which channel of each stack: int64 (stacks, 3), each drawn evenly from all `pictures`.

    Args:
        pictures: of the grey set, at least 1.
        stacks: how many to draw.
        seed: chooses them; 0 or more.
        part: "training" or "holdout", which are drawn apart.
    """
    return np.random.default_rng([seed, DRAWS[part]]).integers(0, pictures, (stacks, CHANNELS))


def stack_labels(labels: Labels, classes: int) -> Labels:
    """Classes of stacks from the grey classes of their channels, int64 (N, 3): for ten 100 a + 10 b + c."""
    places = classes ** np.arange(CHANNELS - 1, -1, -1, dtype=np.int64)
    return labels @ places


def write_stacks(grey: Dataset, indices: Indices, writer: DatasetWriter, progress: Progress) -> None:
    """Write the stacks that `draw` chose at every level, some megabytes at a time.

    A level of stacks is made of the same level of grey pictures: halving is done channel by channel, so this is what
    halving the stacks would give.
    """
    assert grey.labels is not None
    levels = [grey.level(resolution) for resolution in grey.resolutions]
    step = max(1, BLOCK // (CHANNELS * levels[-1][0].nbytes))
    for start in range(0, len(indices), step):
        chosen = indices[start : start + step]
        stacks = [np.take(level[:, 0], chosen, axis=0) for level in levels]
        writer.append(stacks, stack_labels(grey.labels[chosen], len(grey.classes)).tolist())
        progress("stacking", start + len(chosen), len(indices))
