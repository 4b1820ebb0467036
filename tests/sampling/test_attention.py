"""Claims about the pictures of where a generator looks."""

import numpy as np
import pytest
import torch

from ganforge.config import DCGANConfig, NetworkConfig, RunConfig, SAGANConfig
from ganforge.errors import ConfigError
from ganforge.networks import build_generator
from ganforge.sampling.attention import COLOURS, attention_maps, attention_sheet
from ganforge.sampling.generator import Generator
from ganforge.schedule import Phase, Span

SAGAN = SAGANConfig(base=(4, 6), resolution=32, width_g=8, width_d=8, latent=6, classes=3, attention_g=(8, 16))


def _loaded(network: NetworkConfig) -> Generator:
    torch.manual_seed(0)
    phase = Phase(resolution=network.resolution, length=Span(1, "kimg"), batch=4, lr_g=1e-4, lr_d=1e-4)
    config = RunConfig(network=network, phases=(phase,))  # type: ignore[arg-type]
    return Generator(build_generator(network), config, 0, False, torch.device("cpu"))


@pytest.mark.parametrize(("resolution", "side"), [(None, 16), (16, 16), (8, 8)])
def test_each_places_map_sums_to_one_over_the_pooled_grid(resolution: int | None, side: int) -> None:
    generator = _loaded(SAGAN)
    maps = attention_maps(generator, generator.latents([0, 1]), torch.tensor([0, 2]), resolution)
    assert maps.shape == (2, side, side * 3 // 2, side // 2, side * 3 // 4)
    np.testing.assert_allclose(maps.sum(axis=(3, 4)), 1, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("points", [1, 5, 6])
def test_sheet_has_a_row_a_picture_and_a_column_a_point(channels: int, points: int) -> None:
    generator = _loaded(SAGAN.model_copy(update={"channels": channels}))
    sheet = attention_sheet(generator, generator.latents([0, 1, 2]), points=points)
    assert sheet.mode == "RGB"
    assert sheet.size == ((points + 1) * (144 + 2) - 2, 3 * (96 + 2) - 2)
    assert generator.network.training


def test_a_point_is_lit_where_its_place_looks() -> None:
    generator = _loaded(SAGAN.model_copy(update={"attention_g": (8,)}))
    maps = np.full((1, 8, 12, 4, 6), 1e-6, dtype=np.float32)
    maps[:, :, :, 0, 5] = 1  # every place looks at the upper right corner
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganforge.sampling.attention.attention_maps", lambda *_: maps)
        sheet = np.asarray(attention_sheet(generator, generator.latents([0]), points=1))
    look = sheet[:, 146:]
    assert tuple(look[2, -3]) == COLOURS[0]
    assert look[-3, 2].max() < 0.4 * 255


def test_points_differ_in_where_they_look() -> None:
    generator = _loaded(SAGAN)
    maps = np.zeros((1, 16, 24, 8, 12), dtype=np.float32)
    maps[:, :, :, 0, 0] = 1
    maps[:, 3, 4] = np.roll(maps[:, 3, 4], 5, axis=-1)  # one place alone looks elsewhere
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganforge.sampling.attention.attention_maps", lambda *_: maps)
        sheet = np.asarray(attention_sheet(generator, generator.latents([0]), points=2))
    # The second point is the odd one out: its dot stands at row 3, column 4 of the 16 x 24 grid.
    assert tuple(sheet[3 * 6 + 3, 4 * 6 + 3]) == COLOURS[1]


def test_without_attention_it_is_refused() -> None:
    none = SAGAN.model_copy(update={"attention_g": ()})
    for network in (none, DCGANConfig(resolution=8, width_g=4, width_d=4)):
        generator = _loaded(network)
        with pytest.raises(ConfigError, match="has no self-attention"):
            attention_sheet(generator, generator.latents([0]))
    generator = _loaded(SAGAN)
    with pytest.raises(ConfigError, match="this generator attends at 8, 16"):
        attention_maps(generator, generator.latents([0]), torch.tensor([0]), 4)
    with pytest.raises(ConfigError, match="choose 1 to 6"):
        attention_sheet(generator, generator.latents([0]), points=7)
