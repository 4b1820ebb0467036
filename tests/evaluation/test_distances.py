"""Every distance against the library that the field calls directly, on the same features."""

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganforge.evaluation import distances
from ganforge.evaluation.distances import (
    frechet_distance,
    frechet_spread,
    inception_score,
    kernel_distance,
    manifolds,
    nearest,
)

Array = NDArray[np.float32]


def features(count: int, width: int, seed: int, shift: float = 0.0) -> Array:
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((width, width)) / width**0.5
    return (random.standard_normal((count, width)) @ mix + shift).astype(np.float32)


def by_scipy(a: Array, b: Array) -> float:
    one, other = np.cov(a.astype(np.float64), rowvar=False), np.cov(b.astype(np.float64), rowvar=False)
    root = scipy.linalg.sqrtm(one @ other)
    difference = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    return float(difference @ difference + np.trace(one) + np.trace(other) - 2 * np.trace(root).real)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
def test_frechet_distance_is_that_of_the_matrix_root(shift: float) -> None:
    a, b = features(300, 24, 0), features(200, 24, 1, shift)
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), abs=1e-8)


def test_frechet_distance_with_fewer_pictures_than_features_is_torch_fidelitys() -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = features(40, 64, 0), features(50, 64, 1, 0.2)
    statistics = [fid_features_to_statistics(torch.from_numpy(x).double()) for x in (b, a)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-5)


def test_both_forms_of_the_frechet_distance_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(33, 32, 0), features(60, 32, 1, 0.2)
    eigen = frechet_distance(a, b)
    assert frechet_distance(a[:32], b) == pytest.approx(eigen, rel=0.2)
    x, y = distances._centred(a), distances._centred(b)
    nuclear = torch.linalg.svdvals(x @ y.T).sum()
    difference = np.square(a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)).sum()
    assert float(difference + x.square().sum() + y.square().sum() - 2 * nuclear) == pytest.approx(eigen, abs=1e-8)


def test_frechet_distance_is_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(nn.Module):
        num_features = 16

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    a, b = features(200, 16, 0), features(100, 16, 1, 0.3)
    metric = FrechetInceptionDistance(feature=Given(), normalize=False, input_img_size=(1, 4, 4))
    metric.set_dtype(torch.float64)
    metric.update(torch.from_numpy(a).double().reshape(-1, 1, 4, 4), real=True)
    metric.update(torch.from_numpy(b).double().reshape(-1, 1, 4, 4), real=False)
    assert frechet_distance(a, b) == pytest.approx(metric.compute().item(), rel=1e-6)


@pytest.mark.parametrize("count", [20, 100])
def test_equal_sets_have_no_frechet_distance(count: int) -> None:
    a = features(count, 48, 0)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_spread_falls_with_the_number_of_pictures() -> None:
    a = features(2000, 8, 0)
    assert frechet_spread(a, features(2000, 8, 1, 0.3), 0) < frechet_spread(a, features(100, 8, 1, 0.3), 0)


@pytest.mark.parametrize(("reals", "generated"), [(300, 200), (110, 105), (90, 90)])
def test_kernel_distance_is_torch_fidelitys(reals: int, generated: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    monkeypatch.setattr(distances, "KID_SUBSET", 100)
    a, b = features(reals, 16, 0), features(generated, 16, 1, 0.2)
    expected = kid_features_to_metric(
        torch.from_numpy(b).double(),
        torch.from_numpy(a).double(),
        kid_subset_size=min(100, reals, generated),
        verbose=False,
    )
    value, spread = kernel_distance(a, b)
    assert value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    assert spread == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-6, abs=1e-12)


def test_inception_score_is_torch_fidelitys() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * features(505, 12, 0)
    expected = isc_features_to_metric(torch.from_numpy(logits))
    value, spread = inception_score(logits)
    assert value == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert spread == pytest.approx(expected["inception_score_std"], rel=1e-9)


def test_inception_score_of_few_pictures_is_a_number() -> None:
    assert inception_score(features(3, 12, 0))[0] >= 1


def test_precision_and_recall_are_torch_fidelitys(cpu: torch.device) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    a, b = features(300, 6, 0), features(250, 6, 1, 0.4)
    expected = prc_features_to_metric(torch.from_numpy(b).double(), torch.from_numpy(a).double(), verbose=False)
    found = manifolds(a, b, cpu)
    assert (found.precision, found.recall) == pytest.approx((expected["precision"], expected["recall"]), abs=1e-6)
    assert 0.05 < found.recall < 0.95


def test_density_and_coverage_are_those_of_prdc(cpu: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    from prdc import compute_prdc

    a, b = features(300, 6, 0), features(250, 6, 1, 0.4)
    expected = compute_prdc(a.astype(np.float64), b.astype(np.float64), nearest_k=5)
    found = manifolds(a, b, cpu)
    assert (found.density, found.coverage) == pytest.approx((expected["density"], expected["coverage"]), rel=1e-9)


def test_blocks_do_not_change_the_manifolds(cpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(120, 6, 0), features(90, 6, 1, 0.4)
    whole = manifolds(a, b, cpu)
    monkeypatch.setattr(distances, "_BLOCK", 700)
    assert manifolds(a, b, cpu) == whole


def test_one_picture_repeated_has_next_to_no_recall_and_coverage(cpu: torch.device) -> None:
    a = features(400, 6, 0)
    found = manifolds(a, np.repeat(a[:1], 400, axis=0), cpu)
    assert found.precision == 1
    assert found.recall <= 1 / 400
    assert found.coverage < 0.05


def test_nearest_leaves_itself_out_when_told(cpu: torch.device) -> None:
    a = features(50, 6, 0)
    own, index = nearest(a, a, cpu)
    assert own[:, 0] == pytest.approx(np.zeros(50), abs=1e-5)
    assert index[:, 0].tolist() == list(range(50))
    other, index = nearest(a, a, cpu, count=2, self_excluded=True)
    full = np.linalg.norm(a[:, None].astype(np.float64) - a[None], axis=2)
    np.fill_diagonal(full, np.inf)
    assert other == pytest.approx(np.sort(full, axis=1)[:, :2], rel=1e-5)
    assert np.array_equal(index, np.argsort(full, axis=1)[:, :2])
