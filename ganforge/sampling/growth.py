"""The time-lapse of a run: its grids, all of the same latents, one after the other."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganforge.errors import CheckpointError
from ganforge.images import Pictures

HOLD_SECONDS = 2  # how long the last grid stays


def growth_frames(run: Path, fps: float) -> list[Pictures]:
    """The frames uint8 (H, W, C): every grid in order, enlarged to the size of the largest; the last one held.

    Raises CheckpointError for a run with fewer than two grids.
    """
    grids = []
    for path in sorted((run / "samples").glob("grid-*.png")):
        try:
            with Image.open(path) as image:
                grids.append(image.convert("RGB"))
        except (OSError, UnidentifiedImageError):
            continue  # half-copied or damaged: the others still tell the story
    if len(grids) < 2:
        raise CheckpointError(f"{run}: {len(grids)} grids in its samples folder, a time-lapse needs two; train on")
    size = max((grid.size for grid in grids), key=lambda size: size[0] * size[1])
    frames = [np.asarray(grid.resize(size, Image.Resampling.NEAREST)) for grid in grids]
    return frames + frames[-1:] * round(HOLD_SECONDS * fps)
