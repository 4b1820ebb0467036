from dataclasses import replace
from pathlib import Path

import pytest

from ganforge.cli.settings import Wishes, configure
from ganforge.data.dataset import Dataset
from ganforge.errors import ConfigError
from typed import typed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """30 of the built-in faces to 32x32, six classes."""
    folder = tmp_path_factory.mktemp("set") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        assert typed(patch, "prepare", "demo", "--count", "30", "--max-res", "32", "--out", str(folder)) == 0
    return Dataset.open(folder)


def test_phase_lengths_and_fades_have_shorthands(dataset: Dataset) -> None:
    config, _ = configure(Wishes(kimg_per_phase=40, fade=0.25), dataset, gpu=False)
    assert [(phase.resolution, str(phase.length), str(phase.fade)) for phase in config.phases] == [
        (4, "40kimg", "0kimg"),
        (8, "40kimg", "10kimg"),
        (16, "40kimg", "10kimg"),
        (32, "40kimg", "10kimg"),
    ]


def test_a_batch_holds_from_its_resolution_up(dataset: Dataset) -> None:
    config, _ = configure(Wishes(batch="4:128,16:64"), dataset, gpu=False)
    assert [phase.batch for phase in config.phases] == [128, 128, 64, 64]
    config, _ = configure(Wishes(batch="12"), dataset, gpu=False)
    assert [phase.batch for phase in config.phases] == [12, 12, 12, 12]


def test_rates_scale_with_the_batch_as_in_the_article(dataset: Dataset) -> None:
    """Its `lrscale0` is batch 64 with the rates of batch 256 divided by 4."""
    wishes = Wishes(preset="sagan-cifar10-case2", batch="64", lr_scale="linear")
    phase = configure(wishes, dataset, gpu=False)[0].phases[0]
    assert (phase.batch, phase.lr_g, phase.lr_d) == (64, 0.25e-4, 1e-4)
    plain = configure(Wishes(preset="sagan-cifar10-case2", batch="64"), dataset, gpu=False)[0].phases[0]
    assert (plain.lr_g, plain.lr_d) == (1e-4, 4e-4)


def test_augmentation_has_names(dataset: Dataset) -> None:
    config, _ = configure(Wishes(augment="diffaugment"), dataset, gpu=False)
    assert (config.augment.p, config.augment.target) == (1, None)
    config, _ = configure(Wishes(augment="none"), dataset, gpu=False)
    assert config.augment.policy == ()


@pytest.mark.parametrize(
    ("conditional", "arch", "classes"), [(None, "pggan", 0), (True, "pggan", 6), (False, "sagan", 0)]
)
def test_classes_are_used_where_asked(conditional: bool | None, arch: str, classes: int, dataset: Dataset) -> None:
    config, _ = configure(Wishes(arch=arch, conditional=conditional), dataset, gpu=False)
    assert config.network.classes == classes
    assert config.data.class_counts == (5, 5, 5, 5, 5, 5)


def test_a_size_beyond_the_dataset_is_its_largest_and_said(dataset: Dataset) -> None:
    config, reason = configure(Wishes(max_res=256), dataset, gpu=False)
    assert config.network.resolution == 32
    assert "--max-res 256" in reason


def test_a_preset_file_is_a_preset(dataset: Dataset, tmp_path: Path) -> None:
    whole, _ = configure(Wishes(preset="pggan-food101-256"), dataset, gpu=False)
    path = tmp_path / "mine.json"
    path.write_text(whole.model_dump_json())
    config, _ = configure(Wishes(preset=str(path)), dataset, gpu=False)
    assert config.phases == whole.phases
    path.write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        configure(Wishes(preset=str(path)), dataset, gpu=False)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(preset="pggan-small", arch="dcgan"), "leave --arch dcgan out"),
        (Wishes(fade=1.5), "from 0 to 1"),
        (Wishes(lr_scale="square"), "linear or none"),
        (Wishes(micro_batch="some"), "--micro-batch"),
        (Wishes(max_res=24), "its sizes are 4, 8, 16, 32"),
        (Wishes(augment="strong"), "known: ada, diffaugment, none"),
    ],
)
def test_wishes_that_cannot_be_met_are_one_line(wishes: Wishes, said: str, dataset: Dataset) -> None:
    with pytest.raises(ConfigError) as refused:
        configure(wishes, dataset, gpu=False)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("arch", ["dcgan", "sagan"])
def test_stacked_digits_are_neither_asked_for_by_class_nor_mirrored(arch: str, dataset: Dataset) -> None:
    stacked = replace(dataset, facts={**dataset.facts, "stack": {"channels": 3}})
    config, _ = configure(Wishes(arch=arch), stacked, gpu=False)
    assert (config.network.classes, config.data.mirror) == (0, False)
    assert configure(Wishes(arch=arch), dataset, gpu=False)[0].network.classes == 6
    asked, _ = configure(Wishes(arch=arch, conditional=True), stacked, gpu=False)
    assert asked.network.classes == 6
