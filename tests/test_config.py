import pytest

from ganforge.config import PGGANConfig, RunConfig, parse_assignments
from ganforge.errors import ConfigError
from ganforge.schedule import Phase


@pytest.fixture
def config() -> RunConfig:
    return RunConfig(
        network=PGGANConfig(), phases=(Phase(resolution=32, length="10kimg", batch=16, lr_g=1e-3, lr_d=1e-3),)
    )


def test_json_and_back_is_the_same(config: RunConfig) -> None:
    assert RunConfig.parse(config.model_dump(mode="json")) == config


def test_dotted_keys_change_a_copy(config: RunConfig) -> None:
    changed = config.changed(parse_assignments(["objective.r1=10", "phases.0.batch=32", "precision=bf16"]))
    assert (changed.objective.r1, changed.phases[0].batch, changed.precision) == (10, 32, "bf16")
    assert config.objective.r1 == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sed=1", "did you mean seed"),
        ("objective.r3=1", "known: acgan"),
        ("network.fmap=1", "did you mean fmap_max"),
        ("phases.0.batch=0", "phases.0.batch"),
        ("phases.4.batch=1", "phases.4"),
        ("objective.r1=much", "objective.r1"),
        ("seed", "key=value"),
    ],
)
def test_a_change_that_cannot_be_is_one_line_with_the_remedy(config: RunConfig, change: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.changed(parse_assignments([change]))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_resolution_that_is_no_doubling_of_the_base_is_refused() -> None:
    with pytest.raises(ConfigError, match="power of two"):
        _ = PGGANConfig(resolution=100).levels


@pytest.mark.parametrize(
    ("base", "resolution", "size"), [((4, 4), 32, (32, 32)), ((4, 6), 256, (256, 384)), ((7, 7), 28, (28, 28))]
)
def test_sizes_are_the_base_grid_times_a_power_of_two(
    base: tuple[int, int], resolution: int, size: tuple[int, int]
) -> None:
    assert PGGANConfig(base=base, resolution=resolution).size(resolution) == size
