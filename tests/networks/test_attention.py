"""Claims about self-attention."""

import pytest
import torch
from torch import Tensor

from ganforge.networks.attention import SelfAttention, attend, explicit_attention
from ganforge.networks.spectral import initialise


def _rows(queries: int = 36, keys: int = 9, size: int = 4, values: int = 16) -> list[Tensor]:
    torch.manual_seed(1)
    shapes = [(3, queries, size), (3, keys, size), (3, keys, values)]
    return [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(("size", "values"), [(4, 16), (4, 4), (6, 3)])
def test_attention_equals_the_explicit_softmax(size: int, values: int) -> None:
    """Forward, backward, and the gradient of a penalty on the gradient."""
    rows = _rows(size=size, values=values)
    found = []
    for form in (attend, explicit_attention):
        out = form(*rows)
        first = torch.autograd.grad(out.sin().sum(), rows, retain_graph=True)
        inner = torch.autograd.grad(out.sin().sum(), rows, create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in inner), rows)
        found.append((out, *first, *inner, *second))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_first_and_second_derivatives_pass_gradcheck() -> None:
    rows = _rows(queries=4, keys=3, size=2, values=3)
    assert torch.autograd.gradcheck(attend, rows)
    assert torch.autograd.gradgradcheck(attend, rows)


def test_attention_starts_as_the_identity_and_then_looks_at_all_places() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16, spectral=True)
    initialise(layer, "xavier")
    x = torch.randn(2, 16, 6, 4)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.gamma.fill_(1.0)
    changed = x.clone()
    changed[:, :, 0, 0] += 3
    assert (layer(changed) - layer(x))[:, :, -1, -1].abs().max() > 1e-4


def test_maps_are_the_weights_that_forward_uses() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16, spectral=True)
    initialise(layer, "xavier")
    with torch.no_grad():
        layer.gamma.fill_(0.5)
    layer.eval()
    x = torch.randn(2, 16, 6, 4)
    maps = layer.maps(x)
    assert maps.shape == (2, 24, 3, 2)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(2, 24))
    _, _, value = layer.project(x)
    seen = maps.flatten(2) @ value
    torch.testing.assert_close(layer(x), x + 0.5 * layer.out(seen.transpose(1, 2).reshape(2, 8, 6, 4)))


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_few_channels_are_enough(channels: int) -> None:
    layer = SelfAttention(channels, spectral=False)
    x = torch.randn(1, channels, 5, 1)
    assert layer(x).shape == x.shape
    assert layer.maps(x).shape == (1, 5, 5, 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_nothing_is_kept_that_grows_with_queries_times_keys(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16, spectral=True)
    initialise(layer, "xavier")
    x = torch.randn(1, 16, 48, 48).to(memory_format=layout).requires_grad_()
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = layer(x)
    assert max(sizes) <= 2 * x.numel() < 48 * 48 * 24 * 24
    torch.autograd.grad(out.sum(), x)
