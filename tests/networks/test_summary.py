"""Claims about the summary of a network."""

import pytest
import torch

from ganforge.config import DCGANConfig, NetworkConfig, PGGANConfig, SAGANConfig
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.networks.summary import Row, summary
from ganforge.schedule import Stage

CONFIGS = [
    DCGANConfig(resolution=16, width_g=4, width_d=4, classes=3),
    DCGANConfig(base=(7, 7), resolution=28, channels=1, width_g=4, width_d=4, variant="upsampling", pack=2),
    SAGANConfig(base=(4, 6), resolution=16, width_g=8, width_d=8, classes=3),
    SAGANConfig(resolution=16, width_g=8, width_d=8, pack=2),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_rows_add_up_to_the_whole_network(config: NetworkConfig) -> None:
    for network in (build_generator(config), build_discriminator(config)):
        rows = summary(network)
        assert rows[-1].parameters == parameters(network)
        own = sum(parameter.numel() for parameter in network.parameters(recurse=False))
        assert sum(row.parameters for row in rows[:-1]) + own == parameters(network)
        assert len({row.layer for row in rows}) == len(rows)


def test_layers_of_the_articles_generator_stand_in_their_order() -> None:
    config = DCGANConfig(base=(7, 7), resolution=28, channels=1, variant="upsampling")
    rows = summary(build_generator(config))
    assert [(row.kind, row.shape) for row in rows if row.kind in ("Linear", "Grid", "Conv2d", "Tanh")] == [
        ("Linear", (3136,)),
        ("Grid", (64, 7, 7)),
        ("Conv2d", (128, 14, 14)),
        ("Conv2d", (64, 28, 28)),
        ("Conv2d", (64, 28, 28)),
        ("Conv2d", (1, 28, 28)),
        ("Tanh", (1, 28, 28)),
    ]
    assert rows[0] == Row("body.0", "Linear", (3136,), 316_736)
    assert rows[-1] == Row("", "DCGANGenerator", (1, 28, 28), 837_377)


def test_only_what_takes_part_at_a_stage_is_shown() -> None:
    config = PGGANConfig(resolution=16, fmap_max=8, fmap_base=64, latent=8)
    generator, discriminator = build_generator(config), build_discriminator(config)
    small, large = summary(generator, Stage(4)), summary(generator, Stage(16))
    assert small[-1].shape == (3, 4, 4)
    assert large[-1].shape == (3, 16, 16)
    assert small[-1].parameters < large[-1].parameters < parameters(generator)
    assert summary(discriminator, Stage(8))[-1].shape == ()


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed_and_nothing_random_is_drawn(training: bool) -> None:
    network = build_generator(CONFIGS[2]).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    summary(network)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(layer.training == training for layer in network.modules())
    assert not any(layer._forward_hooks for layer in network.modules())
