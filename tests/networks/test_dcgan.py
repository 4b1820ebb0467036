"""Claims about the DCGAN networks, the paper's and the article's."""

from typing import Any

import pytest
import torch
from torch import nn

from ganforge.config import DCGANConfig
from ganforge.errors import ConfigError
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.networks.base import one_hot
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.spectral import SpectralNorm

VARIANTS = ["paper", "upsampling"]


def _pair(**changes: Any) -> tuple[DCGANGenerator, DCGANDiscriminator]:
    torch.manual_seed(0)
    config = DCGANConfig(**{"resolution": 16, "width_g": 4, "width_d": 4, "latent": 6, **changes})
    return DCGANGenerator(config), DCGANDiscriminator(config)


def test_64_pixel_networks_have_the_parameters_of_pytorchs_example() -> None:
    config = DCGANConfig(resolution=64)
    assert parameters(build_generator(config)) == 3_576_704
    assert parameters(build_discriminator(config)) == 2_765_568


@pytest.mark.parametrize(
    ("base", "resolution"),
    [((7, 7), 28), ((4, 4), 32), ((3, 3), 48), ((4, 4), 64), ((3, 3), 96), ((4, 4), 128), ((4, 6), 32), ((5, 3), 6)],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_base_grid_and_channels(base: tuple[int, int], resolution: int, channels: int, variant: str) -> None:
    generator, discriminator = _pair(
        base=base, resolution=resolution, channels=channels, variant=variant, max_width_g=8, max_width_d=8
    )
    pictures = generator(torch.randn(2, 6))
    assert pictures.shape == (2, channels, *generator.config.size(resolution))
    assert pictures.abs().max() <= 1
    assert discriminator(pictures).score.shape == (2,)


def test_articles_networks_have_its_numbers() -> None:
    """Article A's table, layer by layer, at 28x28 in one channel."""
    generator, discriminator = _pair(
        base=(7, 7), resolution=28, channels=1, variant="upsampling", width_g=64, width_d=64, latent=100
    )
    assert parameters(generator) == (
        (100 * 3136 + 3136) + 2 * 3136  # dense 7*7*64 and its batch norm
        + (64 * 128 * 25 + 128) + 2 * 128
        + (128 * 64 * 25 + 64) + 2 * 64
        + (64 * 64 * 25 + 64) + 2 * 64
        + (64 * 25 + 1)
    )  # fmt: skip
    assert parameters(discriminator) == (
        (25 * 64 + 64) + (64 * 64 * 25 + 64) + (64 * 128 * 25 + 128) + (128 * 128 * 25 + 128) + (4 * 4 * 128 + 1)
    )
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [(norm.num_features, norm.momentum, norm.eps) for norm in norms] == [
        (3136, 0.2, 1e-3), (128, 0.2, 1e-3), (64, 0.2, 1e-3), (64, 0.2, 1e-3)
    ]  # fmt: skip
    assert [layer.p for layer in discriminator.modules() if isinstance(layer, nn.Dropout)] == [0.3, 0.4, 0.4]
    strides = [layer.stride[0] for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert strides == [2, 2, 2, 1]
    for network in (generator, discriminator):
        assert {layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)} == {0.3}
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules())


def test_paper_weights_start_from_a_normal_of_deviation_002() -> None:
    generator, discriminator = _pair(resolution=64, width_g=16, width_d=16)
    for network in (generator, discriminator):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and layer.weight.numel() > 5000:
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.05)
                assert layer.weight.std() > 0


def test_paper_networks_have_no_dense_hidden_layer_and_no_bias() -> None:
    generator, discriminator = _pair(resolution=64)
    assert sum(isinstance(layer, nn.ConvTranspose2d) for layer in generator.modules()) == 4
    assert sum(isinstance(layer, nn.Conv2d) for layer in discriminator.modules()) == 4
    assert sum(isinstance(layer, nn.Linear) for layer in generator.modules()) == 1
    biases = [name for name, _ in discriminator.named_parameters() if name.endswith("bias")]
    norms = {name for name, layer in discriminator.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    assert {name.removesuffix(".bias") for name in biases} == norms
    assert len(norms) == 3  # none after the first layer


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_discriminators_normalization_is_the_chosen_one(norm: str, variant: str) -> None:
    _, discriminator = _pair(norm_d=norm, variant=variant)
    kinds = [type(layer) for layer in discriminator.modules()]
    assert (nn.BatchNorm2d in kinds) == (norm == "batch")
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(isinstance(layer, SpectralNorm) == (norm == "spectral") for layer in layers)
    assert discriminator(torch.randn(4, 3, 16, 16)).score.shape == (4,)


@pytest.mark.parametrize("variant", VARIANTS)
def test_classes_change_picture_and_score(variant: str) -> None:
    generator, discriminator = (network.eval() for network in _pair(classes=3, variant=variant))
    nn.init.normal_(discriminator.classes)
    latents, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 1])
    pictures = generator(latents, labels)
    score = discriminator(pictures, labels).score
    torch.testing.assert_close(generator(latents, one_hot(labels, 3)), pictures)
    torch.testing.assert_close(discriminator(pictures, one_hot(labels, 3)).score, score)
    assert not torch.allclose(generator(latents, labels.flip(0)), pictures)
    assert not torch.allclose(discriminator(pictures, labels.flip(0)).score, score)
    with pytest.raises(ConfigError, match="needs labels"):
        generator(latents)
    with pytest.raises(ConfigError, match="needs labels"):
        discriminator(pictures)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("classes", [0, 3])
def test_a_pack_is_judged_as_one(variant: str, classes: int) -> None:
    _, discriminator = _pair(pack=2, classes=classes, variant=variant)
    discriminator.eval()
    pictures, labels = torch.randn(6, 3, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2]) if classes else None
    score = discriminator(pictures, labels).score
    assert score.shape == (3,)
    changed = pictures.clone()
    changed[1] += 1
    other = discriminator(changed, labels).score
    assert not torch.isclose(other[0], score[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(other[1:], score[1:])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
def test_gradient_penalty_reaches_every_weight(variant: str, norm: str) -> None:
    _, discriminator = _pair(variant=variant, norm_d=norm, classes=3)
    pictures, labels = torch.randn(4, 3, 16, 16, requires_grad=True), torch.tensor([0, 1, 2, 1])
    (inner,) = torch.autograd.grad(discriminator(pictures, labels).score.sum(), pictures, create_graph=True)
    names, rows = zip(*discriminator.named_parameters(), strict=True)
    gradients = torch.autograd.grad(inner.square().sum(), rows, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        assert name.endswith("bias") or (gradient is not None and gradient.abs().sum() > 0), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_generator_can_be_derived_twice(variant: str) -> None:
    generator, _ = _pair(variant=variant)
    latents = torch.randn(4, 6, requires_grad=True)
    (inner,) = torch.autograd.grad(generator(latents).square().sum(), latents, create_graph=True)
    gradients = torch.autograd.grad(inner.square().sum(), generator.parameters(), allow_unused=True)
    assert sum(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients) > 5


def test_base_grid_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="is the base grid itself"):
        _pair(resolution=4)
