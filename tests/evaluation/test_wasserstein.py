from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage
import torch
from numpy.typing import NDArray

from ganforge.errors import EvaluationError
from ganforge.evaluation import wasserstein
from ganforge.evaluation.pictures import ArraySource
from ganforge.evaluation.wasserstein import pyramid_level, pyramid_resolutions, sliced_wasserstein

Draw = Callable[..., ArraySource]


def noisy(source: ArraySource, deviation: float) -> ArraySource:
    pixels = source.take(np.arange(len(source)))
    noise = np.random.default_rng(9).normal(0, deviation, pixels.shape)
    return ArraySource(np.clip(pixels + noise, 0, 255).astype(np.uint8), name="noisy")


@pytest.mark.parametrize(
    ("size", "levels"),
    [((32, 32), [32, 16]), ((128, 128), [128, 64, 32, 16]), ((28, 28), [28, 14]), ((48, 72), [48, 24]), ((8, 8), [8])],
)
def test_levels_end_where_the_papers_do(size: tuple[int, int], levels: list[int]) -> None:
    assert pyramid_resolutions(*size) == levels


def test_pictures_smaller_than_a_patch_are_refused() -> None:
    with pytest.raises(EvaluationError, match="smaller than its 7x7 patches"):
        pyramid_resolutions(4, 4)


def test_pyramid_is_that_of_the_published_filters() -> None:
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 32)).astype(np.float32)
    line = np.array([1, 4, 6, 4, 1], np.float32) / 16
    kernel = np.outer(line, line)[None, None]

    def blurred(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(scipy.ndimage.convolve(x, kernel, mode="mirror"))

    half = blurred(pictures)[:, :, ::2, ::2]
    spread = np.zeros_like(pictures)
    spread[:, :, ::2, ::2] = half
    expected = pictures - 4 * blurred(spread)
    assert pyramid_level(torch.from_numpy(pictures), 0, last=False).numpy() == pytest.approx(expected, abs=1e-3)
    assert pyramid_level(torch.from_numpy(pictures), 1, last=True).numpy() == pytest.approx(half, abs=1e-3)


def test_set_is_at_no_distance_from_itself(draw: Draw) -> None:
    source = draw(20, 0)
    assert [level.value for level in sliced_wasserstein(source, source)] == [0.0, 0.0]


def test_noise_raises_the_finest_level_step_by_step(draw: Draw) -> None:
    reals, fakes = draw(64, 0), draw(64, 1)
    values = [sliced_wasserstein(reals, noisy(fakes, d))[0].value for d in (0, 4, 8, 16, 32)]
    assert values == sorted(values)
    assert values[-1] > 3 * values[0]


def test_brightness_and_contrast_of_a_whole_set_are_normalised_away(draw: Draw) -> None:
    source = draw(20, 0)
    pixels = source.take(np.arange(20))
    dimmed = ArraySource((pixels.astype(np.float32) / 2 + 20).astype(np.uint8), name="dimmed")
    assert sliced_wasserstein(source, dimmed)[-1].value < 5


def test_distance_is_that_of_the_whole_arrays_at_once(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = draw(70, 0, side=16), draw(70, 1, side=16)
    [found] = sliced_wasserstein(a, b, seed=3)

    def descriptors(source: ArraySource) -> NDArray[np.float64]:
        rows = []
        for number, batch in enumerate(source):
            level = torch.from_numpy(batch).float()
            rows.append(wasserstein._patches(level, (3, 0, number)).numpy().astype(np.float64))
        patches = np.concatenate(rows)
        patches -= patches.mean(axis=(0, 2, 3), keepdims=True)
        return (patches / patches.std(axis=(0, 2, 3), keepdims=True)).reshape(len(patches), -1)

    one, other, values = descriptors(a), descriptors(b), []
    for number in range(4):
        directions = np.random.default_rng((3, 0, number)).standard_normal((147, 128))
        directions /= np.linalg.norm(directions, axis=0)
        values.append(np.abs(np.sort(one @ directions, axis=0) - np.sort(other @ directions, axis=0)).mean())
    assert found.value == pytest.approx(1000 * np.mean(values), rel=1e-4)
    monkeypatch.setattr(wasserstein, "_MEMORY", 1)
    monkeypatch.setattr(wasserstein, "_BLOCK", 1000)
    assert sliced_wasserstein(a, b, seed=3)[0].value == pytest.approx(found.value, rel=1e-4)


def test_flat_pictures_give_a_number(draw: Draw) -> None:
    flat = ArraySource(np.full((4, 3, 16, 16), 7, np.uint8), name="flat")
    assert np.isfinite(sliced_wasserstein(flat, draw(4, 0, side=16))[0].value)
