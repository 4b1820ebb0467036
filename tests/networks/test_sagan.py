"""Claims about the SN-ResNet networks of SAGAN and SNGAN."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.config import SAGANConfig
from ganforge.errors import ConfigError
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.networks.base import one_hot
from ganforge.networks.sagan import ClassNorm2d, SAGANDiscriminator, SAGANGenerator
from ganforge.networks.spectral import SpectralNorm

SMALL = SAGANConfig(resolution=16, width_g=8, max_width_g=16, width_d=8, latent=6, classes=3)
MIMICRY = SAGANConfig(
    resolution=32, width_g=256, max_width_g=256, width_d=128, max_width_d=128, smallest=8, flat=2, classes=10
)


def _pair(config: SAGANConfig) -> tuple[SAGANGenerator, SAGANDiscriminator]:
    torch.manual_seed(0)
    return SAGANGenerator(config), SAGANDiscriminator(config)


def _open(*networks: torch.nn.Module) -> None:
    """Let attention take part: its gamma starts at 0."""
    for network in networks:
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                torch.nn.init.constant_(parameter, 0.7)


def test_32_pixel_networks_have_the_parameters_of_two_independent_ones() -> None:
    assert parameters(build_generator(MIMICRY)) == 4_386_308
    assert parameters(build_discriminator(MIMICRY)) == 1_075_586


def test_sngan_64_has_the_parameters_of_another_implementation() -> None:
    config = SAGANConfig(
        resolution=64, max_width_g=1024, max_width_d=1024, attention_g=(), attention_d=(), spectral_g=False
    )
    assert parameters(build_generator(config)) == 12_220_675
    assert parameters(build_discriminator(config)) == 10_141_441


@pytest.mark.parametrize(
    ("base", "resolution"),
    [((4, 4), 32), ((7, 7), 28), ((3, 3), 48), ((4, 4), 64), ((3, 3), 96), ((4, 6), 32), ((4, 4), 128), ((4, 4), 4)],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_base_grid_and_channels(base: tuple[int, int], resolution: int, channels: int) -> None:
    config = SAGANConfig(
        base=base, resolution=resolution, channels=channels, width_g=2, max_width_g=4, width_d=2, max_width_d=4
    )
    generator, discriminator = _pair(config)
    pictures = generator(torch.randn(2, config.latent))
    assert pictures.shape == (2, channels, *config.size(resolution))
    assert pictures.abs().max() <= 1
    assert discriminator(pictures).score.shape == (2,)


def test_articles_stl_networks() -> None:
    """Dense 6x6x512, blocks 256-128-64, attention at 12; D 64 (24), 128 (12), 256 (6), 512 (3), 1024 flat."""
    config = SAGANConfig(base=(3, 3), resolution=48, dense=6, max_width_g=512, max_width_d=1024, smallest=3, flat=1)
    assert config.generator_plan() == [(6, 512), (12, 256), (24, 128), (48, 64)]
    assert config.discriminator_plan() == [
        (24, 64, True), (12, 128, True), (6, 256, True), (3, 512, True), (3, 1024, False),
    ]  # fmt: skip
    assert config.attention("g") == config.attention("d") == (12,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dense": 5}, "network.dense: 5 doubled never gives 16"),
        ({"attention_g": (5,)}, "network.attention_g: 5 is not one of its resolutions, 4, 8, 16"),
        ({"attention_d": (16,)}, "network.attention_d: 16 is not one of its resolutions, 8, 4"),
        ({"widths_g": (8, 8)}, "network.widths_g: 2 widths, but 16 pixels need 3"),
        ({"widths_d": (8,)}, "network.widths_d: 1 widths, but 16 pixels need 3"),
        ({"smallest": 16, "flat": 0}, "network.smallest: at 16 pixels the discriminator has no block"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    config = SMALL.model_copy(update=changes)
    build = build_discriminator if set(changes) & {"attention_d", "widths_d", "smallest"} else build_generator
    with pytest.raises(ConfigError, match=message) as caught:
        build(config)
    assert "\n" not in str(caught.value)


def test_given_widths_are_used() -> None:
    config = SMALL.model_copy(update={"widths_g": (5, 6, 7), "widths_d": (3, 4, 5), "classes": 0})
    generator, discriminator = _pair(config)
    assert [block.conv2.out_channels for block in generator.blocks] == [6, 7]
    assert [block.conv2.out_channels for block in discriminator.blocks] == [3, 4, 5]


def test_conditional_batch_norm_equals_a_per_class_affine() -> None:
    torch.manual_seed(0)
    layer = ClassNorm2d(4, 3, 1e-4)
    torch.nn.init.normal_(layer.affine)
    x, labels = torch.randn(6, 4, 5, 5) * 2 + 1, torch.tensor([0, 1, 2, 2, 1, 0])
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    plain = (x - mean) / torch.sqrt(variance + 1e-4)
    for row, label in enumerate(labels.tolist()):
        gamma, beta = layer.affine[label, :4].reshape(4, 1, 1), layer.affine[label, 4:].reshape(4, 1, 1)
        torch.testing.assert_close(layer(x, labels)[row], plain[row] * (1 + gamma) + beta, rtol=1e-5, atol=1e-5)


def test_projection_is_the_inner_product_of_summed_features_and_class_vector() -> None:
    _, discriminator = _pair(SMALL)
    discriminator.eval()
    features: list[Tensor] = []
    hook = discriminator.score.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    pictures = torch.randn(6, 3, 16, 16)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    score = discriminator(pictures, labels).score
    hook.remove()
    vectors = discriminator.classes.weight / torch.linalg.svdvals(discriminator.classes.weight)[0]
    expected = discriminator.score(features[0])[:, 0] + torch.stack(
        [torch.dot(features[0][row], vectors[label]) for row, label in enumerate(labels)]
    )
    torch.testing.assert_close(score, expected, rtol=1e-3, atol=1e-3)


def test_float_weights_of_one_class_are_that_class() -> None:
    generator, discriminator = (network.eval() for network in _pair(SMALL))
    _open(generator, discriminator)
    latents, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 1])
    pictures = generator(latents, labels)
    torch.testing.assert_close(generator(latents, one_hot(labels, 3)), pictures)
    torch.testing.assert_close(discriminator(pictures, one_hot(labels, 3)).score, discriminator(pictures, labels).score)
    assert not torch.allclose(generator(latents, labels.flip(0)), pictures)


def test_labels_are_asked_for() -> None:
    generator, discriminator = _pair(SMALL)
    with pytest.raises(ConfigError, match="needs labels"):
        generator(torch.randn(2, 6))
    with pytest.raises(ConfigError, match="needs labels"):
        discriminator(torch.randn(2, 3, 16, 16))


def test_a_pack_is_judged_as_one() -> None:
    _, discriminator = _pair(SMALL.model_copy(update={"pack": 2}))
    discriminator.eval()
    pictures, labels = torch.randn(6, 3, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2])
    score = discriminator(pictures, labels).score
    assert score.shape == (3,)
    changed = pictures.clone()
    changed[1] += 1
    other = discriminator(changed, labels).score
    assert not torch.isclose(other[0], score[0])
    torch.testing.assert_close(other[1:], score[1:])


@pytest.mark.parametrize("classes", [0, 3])
def test_gradient_penalty_reaches_every_parameter(classes: int) -> None:
    """Double backward through residual blocks, attention, projection and spectral norm."""
    _, discriminator = _pair(SMALL.model_copy(update={"classes": classes}))
    _open(discriminator)
    pictures = torch.randn(4, 3, 16, 16, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 1]) if classes else None
    (inner,) = torch.autograd.grad(discriminator(pictures, labels).score.sum(), pictures, create_graph=True)
    names, rows = zip(*discriminator.named_parameters(), strict=True)
    gradients = torch.autograd.grad(inner.square().sum(), rows, allow_unused=True)
    # Only biases behind which nothing bends any more have no part in the gradient with respect to the picture.
    for name, gradient in zip(names, gradients, strict=True):
        assert name.endswith("bias") or (gradient is not None and gradient.abs().sum() > 0), name


def test_generator_can_be_derived_twice() -> None:
    generator, _ = _pair(SMALL)
    _open(generator)
    latents = torch.randn(4, 6, requires_grad=True)
    out = generator(latents, torch.tensor([0, 1, 2, 1]))
    (inner,) = torch.autograd.grad(out.square().sum(), latents, create_graph=True)
    gradients = torch.autograd.grad(inner.square().sum(), generator.parameters(), allow_unused=True)
    assert sum(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients) > 20


def test_folded_sampling_gives_the_same_numbers() -> None:
    plain, fused = (_pair(SMALL.model_copy(update={"fused": fused})) for fused in (False, True))
    latents, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 1])
    for networks in (plain, fused):
        for network in networks:
            network.double().eval()
    pictures = [networks[0](latents.double(), labels) for networks in (plain, fused)]
    torch.testing.assert_close(*pictures, rtol=0, atol=1e-12)
    scores = [networks[1](pictures[0], labels).score for networks in (plain, fused)]
    torch.testing.assert_close(*scores, rtol=0, atol=1e-11)


def test_where_spectral_norm_is_and_is_not() -> None:
    def spectral(network: torch.nn.Module) -> set[str]:
        return {name for name, layer in network.named_modules() if isinstance(layer, SpectralNorm)}

    generator, discriminator = _pair(SMALL)
    assert {"dense", "picture", "blocks.0.conv1", "attention.4.query"} <= spectral(generator)
    assert {"score", "classes", "blocks.0.shortcut", "attention.1.out"} <= spectral(discriminator)
    article = SMALL.model_copy(update={"spectral_picture": False, "spectral_score": False})
    generator, discriminator = _pair(article)
    assert "picture" not in spectral(generator)
    assert "dense" in spectral(generator)
    assert "score" not in spectral(discriminator)
    assert "classes" in spectral(discriminator)
    generator, discriminator = _pair(SMALL.model_copy(update={"spectral_g": False}))
    assert not spectral(generator)
    assert "score" in spectral(discriminator)


def test_attention_maps_are_given_for_each_resolution_that_has_it() -> None:
    generator, _ = _pair(SMALL.model_copy(update={"attention_g": (4, 8)}))
    generator.eval()
    maps = generator.attention_maps(torch.randn(2, 6), torch.tensor([0, 1]))
    assert {side: tuple(weights.shape) for side, weights in maps.items()} == {4: (2, 16, 2, 2), 8: (2, 64, 4, 4)}


def test_training_goes_on_from_the_state_bit_by_bit() -> None:
    """Between two steps weights and singular vectors are all there is: a copy by state goes the same way."""
    pictures, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 1])

    def step(networks: tuple[SAGANGenerator, SAGANDiscriminator], number: int) -> None:
        torch.manual_seed(number)
        generator, discriminator = networks
        latents = torch.randn(4, 6)
        with torch.no_grad():
            fakes = generator(latents, labels)
        loss = discriminator(fakes, labels).score.mean() - discriminator(pictures, labels).score.mean()
        _descend(discriminator, loss)
        _descend(generator, -discriminator(generator(latents, labels), labels).score.mean())

    straight = _pair(SMALL)
    for number in range(3):
        step(straight, number)
    resumed = _pair(SMALL)
    for mine, theirs in zip(resumed, straight, strict=True):
        mine.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for number in range(3, 6):
        step(straight, number)
        step(resumed, number)
    for mine, theirs in zip(resumed, straight, strict=True):
        for (name, value), other in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(value, other), name


def _descend(network: torch.nn.Module, loss: Tensor) -> None:
    rows = list(network.parameters())
    with torch.no_grad():
        for row, gradient in zip(rows, torch.autograd.grad(loss, rows, allow_unused=True), strict=True):
            if gradient is not None:
                row.sub_(0.01 * gradient)
