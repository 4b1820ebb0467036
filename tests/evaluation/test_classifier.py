from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.errors import EvaluationError
from ganforge.evaluation import classifier
from ganforge.evaluation.classifier import stacked, trained_classifier
from ganforge.evaluation.pictures import ArraySource

Draw = Callable[..., ArraySource]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "WIDTHS", (8, 16, 32))
    monkeypatch.setattr(classifier, "BATCH", 32)
    monkeypatch.setattr(classifier, "LEAST_STEPS", 40)
    monkeypatch.setattr(classifier, "STEPS", 40)


def test_classifier_learns_the_classes(draw: Draw, cpu: torch.device) -> None:
    judge = trained_classifier(draw(400, 0), None, cpu)
    assert judge.accuracy > 0.9
    other = draw(200, 1)
    _, logits = judge(torch.from_numpy(other.take(np.arange(200))))
    assert other.labels is not None
    assert (logits.argmax(dim=1).numpy() == other.labels).mean() > 0.9


def test_classifier_is_trained_once_for_a_dataset(draw: Draw, cpu: torch.device, tmp_path: Path) -> None:
    steps: list[int] = []
    first = trained_classifier(draw(100, 0), tmp_path, cpu, advance=lambda done, total: steps.append(done))
    assert len(steps) == 40
    again = trained_classifier(draw(100, 0), tmp_path, cpu, advance=lambda done, total: steps.append(done))
    assert len(steps) == 40
    assert (again.digest, again.accuracy) == (first.digest, first.accuracy)
    trained_classifier(draw(100, 1), tmp_path, cpu, advance=lambda done, total: steps.append(done))
    assert len(steps) == 80


def test_damaged_classifier_is_trained_again(draw: Draw, cpu: torch.device, tmp_path: Path) -> None:
    first = trained_classifier(draw(100, 0), tmp_path, cpu)
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert trained_classifier(draw(100, 0), tmp_path, cpu).digest == first.digest


def test_training_leaves_the_random_state(draw: Draw, cpu: torch.device) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained_classifier(draw(60, 0), None, cpu)
    assert torch.equal(torch.rand(1), expected)


def test_pictures_without_classes_are_refused(cpu: torch.device) -> None:
    with pytest.raises(EvaluationError, match="has no classes"):
        trained_classifier(ArraySource(np.zeros((4, 1, 8, 8), np.uint8), name="plain"), None, cpu)


def stack(count: int, seed: int) -> ArraySource:
    """Two channels, each a bright upper or lower half: four classes, 00 to 11."""
    random = np.random.default_rng(seed)
    digits = random.integers(0, 2, (count, 2))
    pictures = random.integers(0, 60, (count, 2, 16, 16), np.uint8)
    for row, column in product(range(count), range(2)):
        half = slice(0, 8) if digits[row, column] == 0 else slice(8, 16)
        pictures[row, column, half] += 150
    classes = tuple("".join(word) for word in product("01", repeat=2))
    return ArraySource(pictures, name="stack", labels=digits @ np.array([2, 1]), classes=classes)


def test_stacked_classes_are_known_by_their_names(draw: Draw) -> None:
    assert stacked(stack(4, 0)) == 2
    assert stacked(draw(4, 0)) == 1


def test_stacked_channels_are_judged_alone_and_put_together(cpu: torch.device) -> None:
    judge = trained_classifier(stack(200, 0), None, cpu)
    assert judge.accuracy > 0.9
    other = stack(100, 1)
    features, logits = judge(torch.from_numpy(other.take(np.arange(100))))
    assert features.shape == (100, 2 * 32)
    assert logits.exp().sum(dim=1).numpy() == pytest.approx(np.ones(100), abs=1e-4)
    assert other.labels is not None
    assert (logits.argmax(dim=1).numpy() == other.labels).mean() > 0.9
