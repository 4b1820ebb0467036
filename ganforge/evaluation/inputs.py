"""From what was typed to pictures: a run, a checkpoint, an exported generator, a dataset, an array file, a folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganforge.data.dataset import FACTS, Dataset, find_dataset
from ganforge.errors import DataError, EvaluationError
from ganforge.evaluation.pictures import (
    ArraySource,
    FolderSource,
    GeneratorSource,
    PictureSource,
    Renderer,
    Shape,
)
from ganforge.sampling.generator import Generator

CACHE = "GANFORGE_CACHE"
RUN = "run.json"


@dataclass(frozen=True)
class Reals:
    """The real side of a score: pictures, those held out of training, where features are kept, and which split."""

    pictures: PictureSource
    held_out: PictureSource | None
    cache: Path
    split: str


def is_pictures(what: str | None) -> bool:
    """Whether `what` names pictures (a dataset, a folder of pictures, an array file) and not a generator."""
    if what is None:
        return False
    path = Path(what)
    if path.is_dir():
        return not (path / RUN).exists() and not (path / "checkpoints").is_dir()
    return path.suffix in (".npz", ".npy")


def dataset_source(dataset: Dataset, resolution: int | None = None) -> ArraySource:
    """A level of a dataset (the largest by default) as pictures."""
    resolution = resolution or dataset.resolution
    return ArraySource(
        dataset.level(resolution),
        name=str(dataset.path),
        labels=dataset.labels,
        classes=dataset.classes,
        digest=f"{dataset.digest}@{resolution}",
    )


def open_pictures(what: str, shape: Shape | None) -> PictureSource:
    """Pictures that `what` names, at `shape` where a folder is to be resized to it.

    Raises EvaluationError or DataError, one line, where there are none.
    """
    path = Path(what)
    if not path.exists():
        raise EvaluationError(f"{what}: no such folder or file; give a folder of pictures, a dataset or a run")
    if (path / FACTS).exists():
        return _level_of(Dataset.open(path), shape)
    if path.is_dir():
        return FolderSource(path, shape)
    if path.suffix in (".npz", ".npy"):
        return _array_file(path)
    raise EvaluationError(f"{what}: neither a folder of pictures nor an .npz or .npy array of them")


def open_reals(data: str | None, shape: Shape | None, *, split: str = "training", trained_on: str = "") -> Reals:
    """The reals: `data`, else the dataset that a generator was `trained_on`, else the newest below datasets/.

    split: "training", or "holdout" for the pictures that `prepare --holdout` kept apart.
    """
    if data is not None and not (Path(data) / FACTS).exists() and Path(data).exists():
        if split != "training":
            raise EvaluationError(f"--split {split}: {data} is no dataset and has no splits; leave --split out")
        source = open_pictures(data, shape)
        return Reals(source, None, user_cache() / source.digest[:16], "all")
    if data is None and trained_on and (Path(trained_on) / FACTS).exists():
        data = trained_on
    dataset, _ = find_dataset(data)
    held_out = dataset.holdout
    cache = _beside(dataset)
    if split == "training":
        source = _level_of(dataset, shape)
        other = None if held_out is None else _level_of(held_out, shape)
        return Reals(source, other, cache, "training" if held_out is not None else "all")
    if split != "holdout":
        raise EvaluationError(f"--split {split}: write training or holdout")
    if held_out is None:
        raise EvaluationError(
            f"--split holdout: {dataset.path} has no held-out pictures; prepare it with --holdout 0.1"
        )
    return Reals(_level_of(held_out, shape), None, cache, split)


def _level_of(dataset: Dataset, shape: Shape | None) -> ArraySource:
    if shape is None:
        return dataset_source(dataset)
    for resolution in dataset.resolutions:
        if (dataset.channels, *dataset.size(resolution)) == shape:
            return dataset_source(dataset, resolution)
    sizes = ", ".join("{}x{}".format(*dataset.size(resolution)) for resolution in dataset.resolutions)
    raise DataError(
        f"dataset {dataset.path} has {dataset.channels} channels at {sizes}, not {shape[0]} at {shape[1]}x{shape[2]};"
        " score against reals of the same size (--data)"
    )


def _array_file(path: Path) -> ArraySource:
    """An .npy of pictures, or an .npz with them as `images` or `arr_0` and perhaps `labels`: (N, H, W, C) or NCHW."""
    labels: NDArray[np.int64] | None = None
    try:
        loaded = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            array = loaded
        else:
            name = next((name for name in ("images", "arr_0") if name in loaded), None)
            if name is None:
                raise EvaluationError(f"{path}: holds no array `images` or `arr_0`, only {', '.join(loaded.files)}")
            array = loaded[name]
            if "labels" in loaded and len(loaded["labels"]) == len(array):
                labels = loaded["labels"].astype(np.int64)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: not an array file that can be read ({error}); make it again") from error
    if array.ndim == 4 and array.shape[1] not in (1, 3, 4) and array.shape[3] in (1, 3, 4):
        array = array.transpose(0, 3, 1, 2)
    classes = () if labels is None else tuple(str(index) for index in range(int(labels.max()) + 1))
    return ArraySource(array, name=str(path), labels=labels, classes=classes)


def generator_source(
    generator: Renderer, count: int, *, name: str, reals: PictureSource, truncation: float | None, digest: str = ""
) -> GeneratorSource:
    """A generator's pictures; a conditional one draws its classes as often as the reals have them."""
    proportions = None
    if generator.classes and reals.labels is not None and generator.classes == reals.classes:
        proportions = np.bincount(reals.labels, minlength=len(reals.classes)).astype(np.float64)
    return GeneratorSource(
        generator,
        count,
        name=name,
        truncation=truncation,
        proportions=proportions,
        digest=digest or None,
        height=reals.shape[1],
    )


def generator_shape(generator: Generator) -> Shape:
    """(C, H, W) of what a generator draws once it is grown."""
    network = generator.config.network
    return (network.channels, *network.size(network.resolution))


def user_cache() -> Path:
    """Where features of picture folders are kept: $GANFORGE_CACHE, else the user's cache folder."""
    if given := os.environ.get(CACHE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganforge"


def _beside(dataset: Dataset) -> Path:
    """`evaluation/` in the dataset's own folder, or the user's cache where that cannot be written."""
    return dataset.path / "evaluation" if os.access(dataset.path, os.W_OK) else user_cache() / dataset.digest[:16]
