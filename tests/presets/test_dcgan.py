"""Claims about the DCGAN presets: they are what their sources say."""

import pytest

from ganforge.config import DCGANConfig, RunConfig
from ganforge.networks import build_discriminator, build_generator
from ganforge.presets.dcgan import DCGAN_PRESETS, default_dcgan


def _network(config: RunConfig) -> DCGANConfig:
    assert isinstance(config.network, DCGANConfig)
    return config.network


def test_mnist_preset_has_the_articles_every_number() -> None:
    config = DCGAN_PRESETS["dcgan-mnist"]()
    network, (phase,) = _network(config), config.phases
    assert (network.variant, network.base, network.resolution, network.channels) == ("upsampling", (7, 7), 28, 1)
    assert (network.latent, network.width_g, network.width_d, network.classes) == (100, 64, 64, 0)
    assert (str(phase.length), phase.batch, phase.lr_g, phase.lr_d) == ("50000step", 64, 1e-4, 1e-4)
    assert config.optimizer.betas == (0.9, 0.999)
    assert (config.updates.split, config.updates.order, config.updates.d_per_g) == (True, "d-first", 1)
    assert config.objective.loss == "non-saturating"
    assert not config.ema.half_life
    assert not config.data.mirror


def test_paper_preset_has_figure_1s_widths_and_section_4s_numbers() -> None:
    config = DCGAN_PRESETS["dcgan-paper-64"]()
    network, (phase,) = _network(config), config.phases
    assert network.generator_widths() == [1024, 512, 256, 128]
    assert (network.variant, network.latent, network.discriminator_norm) == ("paper", 100, "batch")
    assert (phase.batch, phase.lr_g, phase.lr_d, config.optimizer.betas) == (128, 2e-4, 2e-4, (0.5, 0.999))


@pytest.mark.parametrize("name", DCGAN_PRESETS)
def test_each_says_its_name_survives_json_and_can_be_built(name: str) -> None:
    config = DCGAN_PRESETS[name]()
    assert config.preset == name
    assert RunConfig.parse(config.model_dump(mode="json")) == config
    assert config.phases[0].resolution == config.network.resolution
    build_generator(config.network)
    build_discriminator(config.network)


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(("base", "resolution"), [((7, 7), 28), ((4, 4), 32), ((3, 3), 96), ((4, 6), 64), ((4, 4), 8)])
def test_default_fits_the_pictures(base: tuple[int, int], resolution: int, gpu: bool) -> None:
    config = default_dcgan(base, resolution, 4, 5, 1000, gpu)
    network = _network(RunConfig.parse(config.model_dump(mode="json")))
    assert (network.base, network.resolution, network.classes, network.channels) == (base, resolution, 5, 4)
    assert config.data.mirror
    build_generator(network)
    build_discriminator(network)


def test_few_pictures_are_not_shown_more_than_500_times() -> None:
    for count, kimg in ((100, 50), (10, 20), (10**6, 500)):
        config = default_dcgan((4, 4), 32, 3, 0, count, False)
        assert str(config.phases[0].length) == f"{kimg}kimg"
