import numpy as np
import pytest
import torch

from ganforge.config import PGGANConfig
from ganforge.errors import ConfigError
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.networks.equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    double,
    group_size,
    minibatch_statistic,
    pixel_norm,
)
from ganforge.networks.pggan import PGGANDiscriminator, PGGANGenerator
from ganforge.schedule import Stage

SMALL = PGGANConfig(resolution=32, fmap_max=8, fmap_base=128, latent=8)


def pair(config: PGGANConfig) -> tuple[PGGANGenerator, PGGANDiscriminator]:
    torch.manual_seed(0)
    return PGGANGenerator(config), PGGANDiscriminator(config)


@pytest.mark.parametrize("resolution", [8, 16, 32])
@pytest.mark.parametrize("fused", [False, True])
def test_alpha_0_is_the_doubled_previous_network(resolution: int, fused: bool) -> None:
    generator, discriminator = pair(SMALL.model_copy(update={"fused": fused}))
    latents = torch.randn(4, 8)
    for network in (generator, discriminator):
        network.set_stage(Stage(resolution // 2))
    below = generator(latents)
    pictures = torch.randn(4, 3, resolution, resolution)
    score_below = discriminator(torch.nn.functional.avg_pool2d(pictures, 2)).score
    for network in (generator, discriminator):
        network.set_stage(Stage(resolution, 0.0))
    assert torch.equal(generator(latents), double(below))
    assert torch.equal(discriminator(pictures).score, score_below)


def test_alpha_1_is_the_new_network_alone() -> None:
    generator, _ = pair(SMALL)
    latents = torch.randn(2, 8)
    generator.set_stage(Stage(32, 1 - 1e-9))
    nearly = generator(latents)
    generator.set_stage(Stage(32, 1.0))
    assert torch.allclose(generator(latents), nearly, atol=1e-6)


def test_the_1024_networks_have_the_papers_parameters() -> None:
    config = PGGANConfig(resolution=1024)
    generator, discriminator = build_generator(config), build_discriminator(config)
    assert f"{parameters(generator) / 1e6:.1f}" == "23.1"
    assert f"{parameters(discriminator) / 1e6:.1f}" == "23.1"


@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_resampling_gives_the_same_numbers(resample: str) -> None:
    torch.manual_seed(0)
    plain = EqualizedConv2d(3, 5, 3, resample=resample).double()
    fused = EqualizedConv2d(3, 5, 3, resample=resample, fused=True).double()
    fused.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    assert torch.allclose(plain(x), fused(x), atol=1e-12)


def test_equalized_rate_is_explicitly_scaled_weights() -> None:
    torch.manual_seed(0)
    linear, convolution = EqualizedLinear(6, 4), EqualizedConv2d(3, 5, 3)
    x, image = torch.randn(2, 6), torch.randn(2, 3, 4, 4)
    assert torch.allclose(linear(x), torch.nn.functional.linear(x, linear.weight * (2 / 6) ** 0.5, linear.bias))
    weight = convolution.weight * (2 / 27) ** 0.5
    expected = torch.nn.functional.conv2d(image, weight, convolution.bias, padding=1)
    assert torch.allclose(convolution(image), expected)


def test_equalized_rate_gives_every_weight_the_same_step() -> None:
    """Adam moves a weight by the learning rate whatever its scale: so here the effective step is rate times scale."""
    linear = EqualizedLinear(64, 8)
    before = linear.weight.detach().clone()
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.01, betas=(0.0, 0.99))
    linear(torch.randn(4, 64)).sum().backward()
    optimizer.step()
    assert torch.allclose((linear.weight - before).abs(), torch.full_like(before, 0.01), atol=1e-5)


@pytest.mark.parametrize("variance", [False, True])
@pytest.mark.parametrize(("batch", "group"), [(8, 4), (6, 4), (5, 4), (12, 0), (3, 8)])
def test_minibatch_statistic_is_a_loop_in_numpy(batch: int, group: int, variance: bool) -> None:
    x = torch.randn(batch, 3, 4, 2, dtype=torch.float64)
    size = group_size(batch, group)
    expected = np.empty(batch)
    for first in range(0, batch, size):
        members = x[first : first + size].numpy()
        total = 0.0
        for channel, row, column in np.ndindex(3, 4, 2):
            values = members[:, channel, row, column]
            spread = np.mean((values - values.mean()) ** 2)
            total += spread if variance else np.sqrt(spread + 1e-8)
        expected[first : first + size] = total / (3 * 4 * 2)
    result = minibatch_statistic(x, group, variance=variance)
    assert result.shape == (batch, 4, 4, 2)
    assert torch.equal(result[:, :3], x)
    assert np.allclose(result[:, 3].numpy(), expected[:, None, None], rtol=1e-5)


def test_groups_are_the_same_in_micro_batches() -> None:
    x = torch.randn(16, 3, 4, 4)
    whole = minibatch_statistic(x, 4)
    parts = torch.cat([minibatch_statistic(part, 4) for part in x.split(8)])
    assert torch.equal(whole, parts)


@pytest.mark.parametrize(
    ("batch", "group", "size"), [(16, 4, 4), (5, 4, 5), (14, 4, 7), (3, 4, 3), (1, 4, 1), (8, 0, 8)]
)
def test_a_group_never_is_one_picture_where_there_are_more(batch: int, group: int, size: int) -> None:
    assert group_size(batch, group) == size


def test_pixel_norm_makes_the_mean_square_1() -> None:
    x = pixel_norm(torch.randn(2, 7, 3, 3) * 9)
    assert torch.allclose(x.square().mean(dim=1), torch.ones(2, 3, 3), atol=1e-5)


@pytest.mark.parametrize("base", [(4, 4), (7, 7), (3, 3), (4, 6)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_base_grid_and_channels(base: tuple[int, int], channels: int) -> None:
    config = SMALL.model_copy(update={"base": base, "channels": channels, "resolution": min(base) * 4})
    generator, discriminator = pair(config)
    for level in range(3):
        stage = Stage(min(base) << level, 0.3)
        generator.set_stage(stage)
        discriminator.set_stage(stage)
        pictures = generator(torch.randn(4, 8))
        assert pictures.shape == (4, channels, base[0] << level, base[1] << level)
        assert discriminator(pictures).score.shape == (4,)


@pytest.mark.parametrize("conditioning", ["projection", "acgan"])
def test_classes_change_pictures_and_scores(conditioning: str) -> None:
    generator, discriminator = pair(SMALL.model_copy(update={"classes": 3, "conditioning": conditioning}))
    latents = torch.randn(1, 8).expand(3, 8)
    pictures = generator(latents, torch.arange(3))
    assert not torch.allclose(pictures[0], pictures[1])
    blend = generator(latents[:1], torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.allclose(blend, pictures[1:2], atol=1e-5)
    verdict = discriminator(pictures[:1].expand(3, -1, -1, -1), torch.arange(3))
    if conditioning == "acgan":
        assert verdict.logits is not None
        assert verdict.logits.shape == (3, 3)
    else:
        assert verdict.logits is None
        assert not torch.allclose(verdict.score[0], verdict.score[1])
    with pytest.raises(ConfigError, match="needs labels"):
        generator(latents)


def test_the_stage_travels_with_the_weights() -> None:
    generator, _ = pair(SMALL)
    generator.set_stage(Stage(16, 0.25))
    other, _ = pair(SMALL)
    other.load_state_dict(generator.state_dict())
    assert (other.level, other.alpha) == (2, 0.25)
    latents = torch.randn(2, 8)
    assert torch.equal(other(latents), generator(latents))


@pytest.mark.parametrize("resolution", [2, 12, 64])
def test_a_level_that_is_not_there_is_refused(resolution: int) -> None:
    generator, _ = pair(SMALL)
    with pytest.raises(ConfigError, match="not a level"):
        generator.set_stage(Stage(resolution))
