from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.data.dataset import Dataset
from ganforge.errors import DataError, EvaluationError
from ganforge.evaluation.inputs import (
    dataset_source,
    generator_source,
    is_pictures,
    open_pictures,
    open_reals,
    user_cache,
)
from ganforge.evaluation.pictures import ArraySource

FolderOf = Callable[..., Path]


@pytest.fixture
def dataset(folder_of: FolderOf, tmp_path: Path) -> Path:
    """A prepared dataset of 40 pictures, a quarter of them held out."""
    from typer.testing import CliRunner

    from ganforge.cli import app

    source, out = folder_of("images", 40, 0), tmp_path / "set"
    result = CliRunner().invoke(app, ["prepare", str(source), "--out", str(out), "--holdout", "0.25", "--workers", "1"])
    assert result.exit_code == 0, result.output
    return out


def test_dataset_is_scored_against_with_its_classes_and_digest(dataset: Path) -> None:
    reals = open_reals(str(dataset), None)
    opened = Dataset.open(dataset)
    assert reals.held_out is not None
    assert len(reals.pictures) == opened.count == 40 - len(reals.held_out)
    assert reals.split == "training"
    assert reals.cache == dataset / "evaluation"
    assert reals.pictures.digest == f"{opened.digest}@32"
    assert reals.pictures.classes == tuple("abcd")


def test_held_out_split_is_taken_when_asked(dataset: Path) -> None:
    reals = open_reals(str(dataset), None, split="holdout")
    assert reals.split == "holdout"
    assert 0 < len(reals.pictures) == 40 - Dataset.open(dataset).count


def test_level_of_the_generators_size_is_taken(dataset: Path) -> None:
    reals = open_reals(str(dataset), (3, 16, 16))
    assert reals.pictures.shape == (3, 16, 16)
    assert reals.pictures.digest.endswith("@16")


def test_size_that_the_dataset_lacks_is_refused_with_those_it_has(dataset: Path) -> None:
    with pytest.raises(DataError, match="32x32, not 3 at 24x24"):
        open_reals(str(dataset), (3, 24, 24))


def test_dataset_that_was_trained_on_is_found(dataset: Path) -> None:
    assert open_reals(None, None, trained_on=str(dataset)).pictures.name == str(dataset)


def test_no_split_of_a_folder(folder_of: FolderOf) -> None:
    with pytest.raises(EvaluationError, match="has no splits"):
        open_reals(str(folder_of("f", 4, 0)), None, split="holdout")


def test_unknown_split_is_refused(dataset: Path) -> None:
    with pytest.raises(EvaluationError, match="write training or holdout"):
        open_reals(str(dataset), None, split="test")


def test_dataset_without_held_out_pictures_says_how_to_get_them(dataset: Path) -> None:
    with pytest.raises(EvaluationError, match="prepare it with --holdout"):
        open_reals(str(dataset / "holdout"), None, split="holdout")


def test_folder_keeps_its_features_in_the_users_cache(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "kept"))
    assert user_cache() == tmp_path / "kept"
    reals = open_reals(str(folder_of("f", 4, 0)), None)
    assert reals.cache.parent == tmp_path / "kept"
    assert reals.split == "all"


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_array_files_of_either_layout_are_pictures(tmp_path: Path, layout: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), np.uint8)
    stored = pictures if layout == "NCHW" else pictures.transpose(0, 2, 3, 1)
    np.savez(tmp_path / "x.npz", images=stored, labels=np.array([0, 1, 2, 1, 0]))
    source = open_pictures(str(tmp_path / "x.npz"), None)
    assert np.array_equal(source.take(np.arange(5)), pictures)
    assert source.classes == ("0", "1", "2")
    np.save(tmp_path / "y.npy", stored)
    assert np.array_equal(open_pictures(str(tmp_path / "y.npy"), None).take(np.arange(5)), pictures)


def test_array_file_without_pictures_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", other=np.zeros(3))
    with pytest.raises(EvaluationError, match="only other"):
        open_pictures(str(tmp_path / "x.npz"), None)
    (tmp_path / "y.npz").write_bytes(b"no archive")
    with pytest.raises(EvaluationError, match="not an array file"):
        open_pictures(str(tmp_path / "y.npz"), None)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no such folder or file"):
        open_pictures(str(tmp_path / "no"), None)


def test_runs_are_not_folders_of_pictures(tmp_path: Path, folder_of: FolderOf) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    assert not is_pictures(str(tmp_path / "run"))
    assert not is_pictures(None)
    assert not is_pictures("0001")
    assert is_pictures(str(folder_of("f", 4, 0)))
    assert is_pictures("x.npz")


def test_conditional_generator_draws_classes_as_the_reals_have_them(dataset: Path) -> None:
    class Painter:
        images, ema, standing, device, classes = 0, True, False, torch.device("cpu"), tuple("abcd")

        def latents(self, seeds: list[int], truncation: float | None = None) -> object:
            return seeds

        def render(self, latents: list[int], labels: object = None, batch: int = 64) -> np.ndarray:
            return np.zeros((len(latents), 32, 32, 3), np.uint8)

    reals = ArraySource(
        np.zeros((10, 3, 32, 32), np.uint8), name="r", labels=np.array([0] * 9 + [3]), classes=tuple("abcd")
    )
    source = generator_source(Painter(), 500, name="g", reals=reals, truncation=None)  # type: ignore[arg-type]
    assert source.labels is not None
    assert set(source.labels.tolist()) == {0, 3}
    assert source.facts["classes drawn"] == "as the reals"
    assert dataset_source(Dataset.open(dataset)).shape == (3, 32, 32)
