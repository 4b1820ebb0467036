import pytest

from ganforge.config import PGGANConfig, RunConfig
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.presets import default_for, find_preset, fit
from ganforge.presets.pggan import PGGAN_PRESETS
from ganforge.schedule import Schedule


def resolved(name: str, dataset_size: int = 4077) -> Schedule:
    return Schedule.resolve(find_preset(name).phases, dataset_size=dataset_size)


@pytest.mark.parametrize("name", PGGAN_PRESETS)
def test_every_preset_is_whole_and_says_where_it_comes_from(name: str) -> None:
    config = find_preset(name)
    assert config.preset == name
    assert RunConfig.parse(config.model_dump(mode="json")) == config
    assert config.network.resolution == config.phases[-1].resolution
    assert len(PGGAN_PRESETS[name].__doc__ or "") > 100
    assert resolved(name).images > 0


def test_the_paper_preset_is_12000_kimg_with_the_official_batches_and_rates() -> None:
    schedule = resolved("pggan-paper-1gpu")
    assert schedule.images == 12_000_000
    table = {row.phase.resolution: (row.phase.batch, row.phase.lr_g) for row in schedule.rows}
    assert table == {
        4: (128, 1e-3),
        8: (128, 1e-3),
        16: (128, 1e-3),
        32: (64, 1e-3),
        64: (32, 1e-3),
        128: (16, 1.5e-3),
        256: (8, 2e-3),
        512: (4, 3e-3),
        1024: (4, 3e-3),
    }


def test_the_cifar_preset_is_20000_kimg_with_target_750() -> None:
    config = find_preset("pggan-paper-cifar10")
    assert resolved("pggan-paper-cifar10").images == 20_000_000
    assert (config.objective.gradient_target, config.network.latent) == (750, 128)
    assert isinstance(config.network, PGGANConfig)
    assert {config.network.width(level) for level in range(4)} == {128}


def test_the_food_preset_takes_the_articles_steps() -> None:
    steps = {
        row.phase.resolution: (row.end - row.start) / row.phase.batch for row in resolved("pggan-food101-256").rows
    }
    assert steps == {4: 1000, 8: 2000, 16: 2000, 32: 2000, 64: 2000, 128: 4000, 256: 8000}


def test_the_anime_preset_fades_for_half_of_each_size() -> None:
    for row in resolved("pggan-animeface-256").rows[1:]:
        assert row.fade * 2 == row.end - row.start


def test_the_character_preset_fades_for_20000_steps() -> None:
    for row in resolved("pggan-character-256").rows[1:]:
        assert row.fade / row.phase.batch == pytest.approx(20_000, rel=1e-3)


def test_a_preset_is_fitted_to_another_base_size_colour_and_classes() -> None:
    config = fit(find_preset("pggan-food101-256"), base=(7, 7), resolution=28, channels=1, classes=10)
    assert config.network.size(config.network.resolution) == (28, 28)
    assert [phase.resolution for phase in config.phases] == [7, 14, 28]
    assert (config.network.channels, config.network.classes) == (1, 0)
    build_generator(config.network)


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(("base", "resolution"), [((4, 4), 4), ((4, 4), 64), ((7, 7), 28), ((4, 6), 32), ((3, 3), 96)])
def test_the_default_fits_any_pictures(gpu: bool, base: tuple[int, int], resolution: int) -> None:
    config = default_for("pggan", base=base, resolution=resolution, channels=3, classes=0, count=5000, gpu=gpu)
    assert RunConfig.parse(config.model_dump(mode="json")) == config
    assert config.phases[-1].resolution == config.network.resolution == resolution
    assert parameters(build_discriminator(config.network)) > 0
    assert Schedule.resolve(config.phases, dataset_size=5000).images > 0
