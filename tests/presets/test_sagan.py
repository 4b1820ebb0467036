"""Claims about the SAGAN and SNGAN presets: they are the tables of their sources."""

import inspect

import pytest

from ganforge.config import RunConfig, SAGANConfig
from ganforge.networks import build_discriminator, build_generator, parameters
from ganforge.presets import fit
from ganforge.presets.sagan import SAGAN_PRESETS, default_sagan

# case: conditional, TTUR, attention, gate, epochs, Inception Score
STUDY = {
    0: (True, False, False, False, 100, "4.371"),
    1: (True, True, False, False, 100, "5.559"),
    2: (True, True, True, False, 100, "6.530"),
    3: (True, False, False, True, 200, "6.372"),
    4: (True, True, False, True, 200, "6.525"),
    5: (True, True, True, True, 200, "6.241"),
    6: (False, True, True, False, 100, "5.673"),
    7: (False, True, True, True, 200, "6.423"),
}


def _network(config: RunConfig) -> SAGANConfig:
    assert isinstance(config.network, SAGANConfig)
    return config.network


@pytest.mark.parametrize("case", STUDY)
def test_cifar10_cases_are_the_studys_table(case: int) -> None:
    conditional, ttur, attention, gate, epochs, score = STUDY[case]
    name = f"sagan-cifar10-case{case}"
    config = SAGAN_PRESETS[name]()
    network, (phase,) = _network(config), config.phases
    assert network.classes == (10 if conditional else 0)
    assert (phase.lr_g, phase.lr_d) == ((1e-4, 4e-4) if ttur else (2e-4, 2e-4))
    assert network.attention("g") == network.attention("d") == ((8,) if attention else ())
    assert (config.updates.gate is not None) == gate
    if config.updates.gate:
        assert (config.updates.gate.limit, config.updates.gate.window, config.updates.gate.steps) == (0.5, 5, 4)
    assert (str(phase.length), phase.batch, phase.resolution) == (f"{epochs}epoch", 256, 32)
    assert (config.updates.order, config.updates.d_per_g) == ("g-first", 1)
    assert (config.optimizer.betas, config.objective.loss, network.latent) == ((0.0, 0.9), "hinge", 128)
    assert (network.norm_epsilon, network.initialization) == (1e-4, "xavier")
    assert network.generator_plan() == [(4, 256), (8, 256), (16, 256), (32, 256)]
    assert network.discriminator_plan() == [(16, 128, True), (8, 128, True), (8, 128, False), (8, 128, False)]
    assert score in (inspect.getdoc(SAGAN_PRESETS[name]) or "")


def test_case_2_has_the_parameters_of_two_independent_implementations() -> None:
    network = SAGAN_PRESETS["sagan-cifar10-case2"]().network
    assert parameters(build_generator(network)) == 4_386_308
    assert parameters(build_discriminator(network)) == 1_075_586


@pytest.mark.parametrize(
    ("case", "batch", "factor", "score"),
    [(0, 64, 0.25, "6.908"), (1, 128, 0.5, "6.835"), (2, 64, 1, "6.883"), (3, 128, 1, "6.602")],
)
def test_rate_scaling_changes_batch_and_rates_alone(case: int, batch: int, factor: float, score: str) -> None:
    name = f"sagan-cifar10-lrscale{case}"
    config, reference = SAGAN_PRESETS[name](), SAGAN_PRESETS["sagan-cifar10-case2"]()
    (phase,) = config.phases
    assert (phase.batch, phase.lr_g, phase.lr_d) == (batch, 1e-4 * factor, 4e-4 * factor)
    assert config.network == reference.network
    assert config.updates == reference.updates
    assert score in (inspect.getdoc(SAGAN_PRESETS[name]) or "")


@pytest.mark.parametrize(("case", "score"), [(0, "6.073"), (1, "6.122"), (2, "5.640")])
def test_stl10_cases(case: int, score: str) -> None:
    name = f"sagan-stl10-case{case}"
    config = SAGAN_PRESETS[name]()
    network, (phase,) = _network(config), config.phases
    assert network.generator_plan() == [(6, 512), (12, 256), (24, 128), (48, 64)]
    assert [block[:2] for block in network.discriminator_plan()] == [
        (24, 64), (12, 128), (6, 256), (3, 512), (3, 1024)
    ]  # fmt: skip
    assert network.attention("g") == network.attention("d") == ((12,) if case == 2 else ())
    assert (str(phase.length), phase.batch, phase.resolution) == ("400epoch", 256, 48)
    assert (phase.lr_g, phase.lr_d) == ((1e-4, 4e-4) if case else (2e-4, 2e-4))
    assert score in (inspect.getdoc(SAGAN_PRESETS[name]) or "")


@pytest.mark.parametrize(
    ("name", "classes", "epochs"), [("sagan-animeface-96", 176, 250), ("sagan-flowers-96", 102, 400)]
)
def test_96_pixel_presets(name: str, classes: int, epochs: int) -> None:
    config = SAGAN_PRESETS[name]()
    network, (phase,) = _network(config), config.phases
    assert network.generator_plan() == [(3, 1024), (6, 1024), (12, 512), (24, 256), (48, 128), (96, 64)]
    assert network.discriminator_plan() == [
        (48, 64, True), (24, 128, True), (12, 256, True), (6, 512, True), (3, 1024, True), (3, 1024, False)
    ]  # fmt: skip
    assert network.attention("g") == network.attention("d") == (24,)
    assert (network.classes, network.spectral_picture, network.spectral_score) == (classes, False, False)
    assert (str(phase.length), phase.batch, phase.lr_g, phase.lr_d) == (f"{epochs}epoch", 128, 5e-5, 2e-4)


@pytest.mark.parametrize("name", [name for name in SAGAN_PRESETS if name.startswith("sngan")])
def test_sngan_is_without_attention_and_generator_norm_at_five_to_one(name: str) -> None:
    config = SAGAN_PRESETS[name]()
    network, (phase,) = _network(config), config.phases
    assert network.attention("g") == network.attention("d") == ()
    assert not network.spectral_g
    assert (config.updates.order, config.updates.d_per_g) == ("d-first", 5)
    assert (phase.lr_g, phase.lr_d, phase.batch) == (2e-4, 2e-4, 64)


def test_papers_128_networks() -> None:
    network = _network(SAGAN_PRESETS["sagan-paper-128"]())
    assert [width for _, width in network.generator_plan()] == [1024, 1024, 512, 256, 128, 64]
    assert [block[1] for block in network.discriminator_plan()] == [64, 128, 256, 512, 1024, 1024]
    assert network.attention("g") == network.attention("d") == (32,)


@pytest.mark.parametrize("name", SAGAN_PRESETS)
def test_each_says_its_name_and_survives_json(name: str) -> None:
    config = SAGAN_PRESETS[name]()
    assert config.preset == name
    assert RunConfig.parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(
    ("base", "resolution"), [((7, 7), 28), ((4, 4), 32), ((3, 3), 96), ((4, 6), 64), ((4, 4), 8), ((4, 4), 4)]
)
def test_default_fits_the_pictures(base: tuple[int, int], resolution: int, gpu: bool) -> None:
    config = default_sagan(base, resolution, 1, 5, 1000, gpu)
    network = _network(RunConfig.parse(config.model_dump(mode="json")))
    assert network.size(network.resolution) == network.size(resolution)
    assert (network.classes, network.channels, config.data.mirror) == (5, 1, False)
    build_generator(network)
    build_discriminator(network)
    if resolution >= 28:
        assert network.attention("g")
        assert network.attention("d")


def test_few_pictures_are_not_shown_more_than_500_times() -> None:
    for count, kimg in ((100, 50), (10, 20), (10**6, 300)):
        config = default_sagan((4, 4), 32, 3, 0, count, False)
        assert str(config.phases[0].length) == f"{kimg}kimg"


@pytest.mark.parametrize("name", [name for name in SAGAN_PRESETS if "stl10" not in name])
@pytest.mark.parametrize(("base", "resolution"), [((7, 7), 28), ((4, 6), 64)])
def test_presets_fit_other_pictures(name: str, base: tuple[int, int], resolution: int) -> None:
    facts = {"base": base, "resolution": resolution, "channels": 1, "classes": 2}
    network = _network(fit(SAGAN_PRESETS[name](), **facts))  # type: ignore[arg-type]
    had = _network(SAGAN_PRESETS[name]()).attention("g")
    assert network.attention("g") == network.attention("d") == ((resolution // 4,) if had else ())
    assert network.discriminator_plan()
