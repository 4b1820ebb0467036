"""Pictures to score: drawn discs, whose colour, place and size vary; and an extractor that needs no weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ganforge.evaluation.allocation import keep_freed_memory
from ganforge.evaluation.extractors import EXTRACTORS, Extractor, ExtractorKind, to_rgb
from ganforge.evaluation.pictures import ArraySource

SIDE = 32
COLOURS = np.array([[220, 40, 40], [40, 200, 60], [50, 60, 220], [230, 200, 40]], np.float64)

Draw = Callable[..., ArraySource]

keep_freed_memory()


def discs(count: int, seed: int, *, classes: int = 4, side: int = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Discs on grey, uint8 (N, 3, side, side); the class is the colour."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    y, x = np.mgrid[:side, :side]
    centre = random.uniform(0.3, 0.7, (2, count, 1, 1)) * side
    radius = random.uniform(0.12, 0.3, (count, 1, 1)) * side
    inside = np.clip(radius - np.hypot(y - centre[0], x - centre[1]) + 0.5, 0, 1)[:, None]
    colour = COLOURS[labels][:, :, None, None] + random.normal(0, 12, (count, 3, 1, 1))
    ground = random.uniform(90, 170, (count, 1, 1, 1)) + random.normal(0, 4, (count, 1, side, side))
    pictures = inside * colour + (1 - inside) * ground
    return np.clip(pictures, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture
def draw() -> Draw:
    """draw(count, seed) as a labelled source."""

    def make(count: int, seed: int, *, classes: int = 4, side: int = SIDE) -> ArraySource:
        pictures, labels = discs(count, seed, classes=classes, side=side)
        return ArraySource(pictures, name=f"discs-{seed}", labels=labels, classes=tuple("abcd"))

    return make


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """folder_of(name, count, seed): a folder of PNG in class sub-folders."""

    def make(name: str, count: int, seed: int) -> Path:
        pictures, labels = discs(count, seed)
        for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            place = tmp_path / name / "abcd"[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.transpose(1, 2, 0)).save(place / f"{index:04d}.png")
        return tmp_path / name

    return make


class Tiny(Extractor):
    """The picture itself, pooled to 4x4: 48 features."""

    name, digest, prepares, features, classes = "tiny", "0" * 64, "mean to 4x4", 48, 5
    calls = 0

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        Tiny.calls += len(pictures)
        features = functional.adaptive_avg_pool2d(to_rgb(pictures).float() / 32, 4).flatten(1)
        return features, features[:, :5]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> type[Tiny]:
    """The extractor `tiny`, in the registry; it counts the pictures it sees."""
    monkeypatch.setitem(EXTRACTORS, "tiny", ExtractorKind("for tests", lambda _, device: Tiny()))
    Tiny.calls = 0
    return Tiny


@pytest.fixture
def cpu() -> torch.device:
    return torch.device("cpu")
