"""MS-SSIM between pairs of one set: how alike its pictures are. Lower is more varied; the reals' own value is the mark.

Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", section 4.2; Karras et al. 2018,
section 5. The measure is torchmetrics'; five scales of an 11 pixel window need 176 pixels, so smaller pictures have a
smaller window (its deviation in proportion) or fewer scales (their weights scaled to sum to 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ganforge.errors import EvaluationError
from ganforge.evaluation.pictures import PictureSource

# Wang et al. 2003, section 3.2.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# From this shorter side on: (window, scales).
WINDOWS = ((176, 11, 5), (112, 7, 5), (64, 7, 3), (28, 7, 2), (14, 7, 1), (8, 3, 1))


@dataclass(frozen=True)
class Window:
    """What the size of the pictures allows. size: pixels. weights: one a scale."""

    size: int
    weights: tuple[float, ...]

    @property
    def deviation(self) -> float:
        """Of the Gaussian, in pixels: 1.5 for 11."""
        return 1.5 * self.size / 11


def window_for(height: int, width: int) -> Window:
    """Window and scales for pictures of this size. Raises EvaluationError below 8 pixels."""
    for side, size, scales in WINDOWS:
        if min(height, width) >= side:
            used = WEIGHTS[:scales]
            return Window(size, tuple(weight / sum(used) for weight in used) if scales < 5 else used)
    raise EvaluationError(f"ms-ssim: pictures of {height}x{width} are too small for it; it needs 8 pixels")


def pair_similarities(source: PictureSource, *, advance: Callable[[int], None] = lambda n: None) -> NDArray[np.float64]:
    """MS-SSIM of pictures 0 and 1, 2 and 3, ... of a source in random order: (N // 2,).

    Raises EvaluationError where there are fewer than two pictures, or too small ones.
    """
    window = window_for(*source.shape[1:])
    if len(source) < 2:
        raise EvaluationError(f"ms-ssim: {source.name} has {len(source)} pictures; it compares pairs")
    values = []
    for batch in source:
        even = len(batch) - len(batch) % 2
        if even == 0:
            continue
        pictures = torch.from_numpy(batch[:even]).float()
        value = multiscale_structural_similarity_index_measure(
            pictures[0::2],
            pictures[1::2],
            sigma=window.deviation,
            kernel_size=window.size,
            reduction="none",
            data_range=255.0,
            betas=window.weights,
        )
        values.append(value.double().numpy().reshape(-1))
        advance(len(batch))
    return np.concatenate(values)
