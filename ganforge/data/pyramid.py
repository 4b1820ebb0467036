"""The levels of a picture: each lower one is the rounded 2x2 mean of the level above it.

So the fade between two levels of real pictures is exact (Karras et al. 2018, "Progressive Growing of GANs for Improved
Quality, Stability, and Variation", section 2; the authors' dataset tool makes its levels in this way).
"""

import numpy as np

from ganforge.data.dataset import Pixels


def halved(pictures: Pixels) -> Pixels:
    """The rounded means of 2x2 blocks, halves to the even value.

    Args:
        pictures: uint8 (N, C, H, W), H and W even.

    Returns:
        uint8 (N, C, H / 2, W / 2).
    """
    rows = pictures[:, :, 0::2].astype(np.uint16)
    rows += pictures[:, :, 1::2]
    total = rows[..., 0::2] + rows[..., 1::2]
    # With total = 4q + r, adding 1, and 1 more when q is odd, carries into q exactly when rounding half to even does.
    total += ((total >> 2) & 1) + np.uint16(1)
    return (total >> 2).astype(np.uint8)


def pyramid(pictures: Pixels, levels: int) -> list[Pixels]:
    """`levels` arrays, the smallest first and `pictures`, uint8 (N, C, H, W), the last."""
    made = [pictures]
    while len(made) < levels:
        made.insert(0, halved(made[0]))
    return made
