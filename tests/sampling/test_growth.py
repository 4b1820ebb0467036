from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.errors import CheckpointError
from ganforge.sampling.growth import HOLD_SECONDS, growth_frames


def test_grids_come_in_order_at_one_size_and_the_last_one_stays(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    for index, side in enumerate((8, 8, 16)):
        Image.new("RGB", (side, side), (index * 50, 0, 0)).save(samples / f"grid-{index * 1000:012d}.png")
    (samples / "grid-000000000500.png").write_bytes(b"half a picture")
    frames = growth_frames(tmp_path, fps=5)
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 50, 100] + [100] * HOLD_SECONDS * 5
    assert {np.shape(frame) for frame in frames} == {(16, 16, 3)}


def test_one_grid_is_no_growth(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="needs two"):
        growth_frames(tmp_path, fps=5)
