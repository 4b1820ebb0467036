"""Walks through the latents: evenness, seams, norms, and the cases that divide by zero elsewhere."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.sampling.walk import CURVES, EASINGS, class_walk, lerp, slerp, walk

LATENT = 64


def keys(count: int, seed: int = 0, latent: int = LATENT) -> Tensor:
    return torch.randn(count, latent, generator=torch.Generator().manual_seed(seed))


def steps(points: Tensor, loop: bool) -> Tensor:
    closed = torch.cat([points, points[:1]]) if loop else points
    return closed.double().diff(dim=0).norm(dim=1)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 7, 60])
def test_a_walk_has_as_many_frames_as_asked_for(curve: str, loop: bool, frames: int) -> None:
    points = walk(keys(5), frames, curve, loop)
    assert points.shape == (frames, LATENT)
    assert points.dtype == torch.float32
    assert points.isfinite().all()


@pytest.mark.parametrize("curve", CURVES)
def test_a_loop_has_no_seam_and_no_frame_twice(curve: str) -> None:
    lengths = steps(walk(keys(6), 120, curve, loop=True), loop=True)
    others = lengths[:-1]
    assert others.min() * 0.9 < lengths[-1] < others.max() * 1.1
    assert lengths.min() > 0.3 * lengths.max()


@pytest.mark.parametrize("curve", ["slerp", "lerp"])
@pytest.mark.parametrize("loop", [True, False])
def test_frames_are_even_along_the_whole_way(curve: str, loop: bool) -> None:
    """Keys at very different distances: the steps are as long in the long segments as in the short ones."""
    near, far = keys(1), keys(1, seed=1)
    lengths = steps(walk(torch.cat([near, near + 0.2 * far, far]), 200, curve, loop), loop)
    straight = lengths[lengths > 0.97 * lengths.median()]
    assert len(straight) >= len(lengths) - 3, "only steps round a key are shorter"
    assert straight.max() / straight.min() < 1.03


@pytest.mark.parametrize("curve", ["slerp", "lerp"])
def test_an_open_walk_starts_and_ends_at_its_keys_and_passes_the_others(curve: str) -> None:
    chosen = keys(3)
    points = walk(chosen, 401, curve, loop=False)
    torch.testing.assert_close(points[0], chosen[0])
    torch.testing.assert_close(points[-1], chosen[-1])
    assert torch.cdist(chosen, points).min(dim=1).values.max() < 0.1


def test_slerp_turns_evenly_and_changes_its_norm_linearly() -> None:
    ends = keys(2).double() * torch.tensor([[1.0], [3.0]])
    points = slerp(ends, torch.linspace(0, 1, 33, dtype=torch.float64))
    norms = points.norm(dim=1)
    torch.testing.assert_close(norms, torch.linspace(norms[0].item(), norms[-1].item(), 33, dtype=torch.float64))
    units = points / norms[:, None]
    angles = torch.acos((units[1:] * units[:-1]).sum(dim=1).clamp(-1, 1))
    torch.testing.assert_close(angles, angles.mean().expand_as(angles), rtol=1e-6, atol=1e-8)
    whole = torch.acos(torch.cosine_similarity(ends[0], ends[1], dim=0))
    torch.testing.assert_close(angles.sum(), whole)


@pytest.mark.parametrize(
    ("case", "pair"),
    [
        ("equal", lambda a, b: (a, a)),
        ("opposite", lambda a, b: (a, -a)),
        ("almost opposite", lambda a, b: (a, -a + 1e-9 * b)),
        ("almost equal", lambda a, b: (a, a + 1e-9 * b)),
        ("from zero", lambda a, b: (0 * a, b)),
        ("to zero", lambda a, b: (a, 0 * b)),
        ("both zero", lambda a, b: (0 * a, 0 * b)),
    ],
)
@pytest.mark.parametrize("latent", [1, 2, 64])
def test_degenerate_keys_give_finite_walks(case: str, pair: object, latent: int) -> None:
    a, b = keys(1, 0, latent), keys(1, 1, latent)
    ends = torch.cat(pair(a, b))  # type: ignore[operator]
    for curve in CURVES:
        for loop in (True, False):
            assert walk(ends, 11, curve, loop).isfinite().all(), (case, curve)
    if case in ("equal", "almost equal"):
        torch.testing.assert_close(walk(ends, 5, "slerp", False), a.expand(5, latent), rtol=1e-5, atol=1e-5)
    if "opposite" in case and latent > 1:
        norms = walk(ends, 9, "slerp", False).norm(dim=1)
        torch.testing.assert_close(norms, a.norm().expand(9), rtol=1e-5, atol=1e-5)


def test_a_corrected_lerp_keeps_the_variance_of_a_latent() -> None:
    many = torch.stack([keys(4000, 1), keys(4000, 2)]).double()
    for place in (0.0, 0.25, 0.5, 0.9):
        points = lerp(many.reshape(2, -1), torch.tensor([place], dtype=torch.float64))
        assert abs(points.std().item() - 1) < 0.01
    straight = torch.lerp(many[0], many[1], 0.5).std().item()
    assert straight < 0.72, "which is what the correction is for"


def test_noise_is_distributed_as_latents_are_wherever_one_looks() -> None:
    for loop in (True, False):
        points = torch.stack([walk(keys(8, seed), 6, "noise", loop) for seed in range(300)])
        for frame in range(6):
            values = points[:, frame].flatten().double()
            assert abs(values.mean().item()) < 0.03
            assert abs(values.std().item() - 1) < 0.02
            assert abs((values.abs() < 1).double().mean().item() - math.erf(math.sqrt(0.5))) < 0.015


def test_noise_is_smooth_and_chosen_by_its_keys() -> None:
    points = walk(keys(8), 240, "noise")
    assert (walk(keys(8), 240, "noise") == points).all()
    assert (walk(keys(8, 1), 240, "noise") - points).norm(dim=1).min() > 1
    bends = points.diff(dim=0).diff(dim=0).norm(dim=1)
    assert bends.max() < 0.2 * steps(points, True).min()
    assert walk(keys(1), 5, "noise").shape == (5, LATENT)


def test_noise_goes_about_as_far_as_slerp() -> None:
    for count in (4, 8, 32):
        for loop in (True, False):
            lengths = [steps(walk(keys(count), 2000, curve, loop), loop).sum() for curve in ("noise", "slerp")]
            assert 0.5 < lengths[0] / lengths[1] < 2


def test_smooth_easing_rests_at_the_keys() -> None:
    even, smooth = (steps(walk(keys(2), 101, "slerp", False, easing), False) for easing in EASINGS)
    assert smooth[0] < 0.1 * even[0]
    assert smooth[50] > 1.4 * even[50]
    torch.testing.assert_close(smooth.sum(), even.sum(), rtol=1e-3, atol=1e-3)


def test_a_walk_keeps_dtype() -> None:
    assert walk(keys(2).double(), 3).dtype == torch.float64
    assert walk(keys(2).bfloat16(), 3).dtype == torch.bfloat16


@pytest.mark.parametrize("loop", [True, False])
def test_class_weights_are_weights(loop: bool) -> None:
    weights = class_walk([2, 0, 5], 31, loop, total=6)
    assert weights.shape == (31, 6)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(31))
    assert weights.min() >= 0
    assert weights[:, [1, 3, 4]].max() == 0
    assert weights[0].argmax() == 2
    assert weights[0].max() == 1
    assert all((after - before).abs().max() < 0.11 for before, after in pairwise(weights))
    assert weights[-1].argmax() == (2 if loop else 5)
    assert (weights[-1].max() < 1) == loop, "a loop leaves out the frame that equals the first"


def test_one_class_alone_stays() -> None:
    for loop in (True, False):
        assert (class_walk([3], 4, loop, total=5) == torch.eye(5)[3]).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: walk(keys(3), 5, "slurp"), "did you mean slerp"),
        (lambda: walk(keys(3), 5, easing="bouncy"), "even, smooth"),
        (lambda: walk(keys(3), 0), "--frames"),
        (lambda: walk(keys(1), 5), "at least two seeds"),
        (lambda: class_walk([0, 6], 5, total=6), "from 0 to 5"),
        (lambda: class_walk([], 5, total=6), "from 0 to 5"),
    ],
)
def test_nonsense_is_refused_in_one_line(call: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        call()  # type: ignore[operator]
    assert "\n" not in str(refused.value)
