"""Claims about spectral normalization."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganforge.networks.spectral import (
    Conv2d,
    Linear,
    SpectralNorm,
    Table,
    conv2d,
    initialise,
    linear,
    singular_values,
    table,
)


def _layers() -> list[tuple[Any, Tensor]]:
    torch.manual_seed(3)
    layers = [
        (conv2d(3, 8, 3, spectral=True), torch.randn(2, 3, 6, 6)),
        (linear(10, 6, spectral=True), torch.randn(4, 10)),
        (table(5, 7, spectral=True), torch.tensor([0, 3, 3, 4])),
    ]
    for layer, _ in layers:
        initialise(layer, "xavier")
    return layers


@pytest.mark.parametrize("which", [0, 1])
def test_training_steps_equal_torchs_own(which: int) -> None:
    """With one forward an update, ours and torch's parametrization go through the same numbers."""
    ours, x = _layers()[which]
    theirs = nn.Conv2d(3, 8, 3, padding=1) if which == 0 else nn.Linear(10, 6)
    theirs.load_state_dict({"weight": ours.weight.detach().clone(), "bias": ours.bias.detach().clone()})
    parametrizations.spectral_norm(theirs)
    theirs.parametrizations.weight[0]._u.copy_(ours.u)
    theirs.parametrizations.weight[0]._v.copy_(ours.v)
    ours.power_iteration()  # torch's makes one in its first forward; ours has seen this weight already
    optimizers = [torch.optim.Adam(layer.parameters(), 0.01) for layer in (ours, theirs)]
    for _ in range(5):
        outputs = [layer(x) for layer in (ours, theirs)]
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-6)
        for output, optimizer in zip(outputs, optimizers, strict=True):
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
    theirs.eval()
    ours.power_iteration()
    ours.eval()
    with torch.no_grad():
        theirs.train()
        theirs(x)
        theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)


def test_largest_singular_value_is_one_within_a_percent_of_svd() -> None:
    for layer, x in _layers():
        optimizer = torch.optim.SGD(layer.parameters(), 0.05)
        for _ in range(30):
            (gradient,) = torch.autograd.grad(layer(x).square().mean(), layer.weight)
            layer.weight.grad = gradient
            optimizer.step()
        layer(x)
        exact = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert layer.singular_value().item() == pytest.approx(exact.item(), rel=0.01)
        assert torch.linalg.svdvals(layer.kernel().detach().flatten(1))[0].item() == pytest.approx(1, rel=0.01)


def test_one_power_iteration_for_each_change_of_the_weight() -> None:
    layer, x = _layers()[1]
    layer(x)
    before = layer.u.clone()
    layer(x)
    with torch.no_grad():
        layer(x)
    assert torch.equal(layer.u, before)
    with torch.no_grad():
        layer.weight.add_(torch.randn_like(layer.weight))
    layer.eval()
    layer(x)
    assert torch.equal(layer.u, before)
    layer.train()
    layer(x)
    moved = layer.u.clone()
    assert not torch.equal(moved, before)
    layer(x)
    assert torch.equal(layer.u, moved)


@pytest.mark.parametrize("due", [False, True])
def test_a_loaded_layer_goes_on_as_the_saved_one(due: bool) -> None:
    layer, x = _layers()[0]
    with torch.no_grad():
        layer.weight.mul_(1.5).add_(0.1)
    if not due:
        layer(x)
    loaded, _ = _layers()[0]
    loaded.load_state_dict(copy.deepcopy(layer.state_dict()))
    assert torch.equal(layer(x), loaded(x))
    assert torch.equal(layer.u, loaded.u)
    assert torch.equal(layer.v, loaded.v)


def test_gradient_flows_through_the_singular_value() -> None:
    layer, x = _layers()[1]
    layer.double().eval()
    x = x.double()

    def output(weight: Tensor) -> Tensor:
        return x @ (weight / torch.linalg.svdvals(weight.detach())[0].clone()).t()

    for _ in range(200):
        layer.power_iteration()
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), layer.weight)
    weight = layer.weight.detach().requires_grad_()
    # Scaling the weight cannot change a normalized layer: its gradient is orthogonal to the weight.
    assert (gradient * weight).sum().item() == pytest.approx(0, abs=1e-9)
    assert abs((torch.autograd.grad(output(weight).square().sum(), weight)[0] * weight).sum().item()) > 0.1


def test_without_spectral_norm_the_weight_is_used_as_it_is() -> None:
    for layer in (conv2d(3, 8, 3, spectral=False), linear(10, 6, spectral=False), table(5, 7, spectral=False)):
        assert not isinstance(layer, SpectralNorm)
        assert layer.kernel() is layer.weight


@pytest.mark.parametrize("scheme", ["xavier", "orthogonal"])
def test_initialisation_is_the_named_one(scheme: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Conv2d(16, 32, 3), Linear(64, 32), Table(32, 64))
    initialise(network, scheme)
    for layer in network:
        matrix = layer.weight.detach().flatten(1)
        if scheme == "orthogonal":
            torch.testing.assert_close(matrix @ matrix.t(), torch.eye(32), rtol=0, atol=1e-5)
        else:
            fan = sum(nn.init._calculate_fan_in_and_fan_out(layer.weight))
            bound = (6 / fan) ** 0.5 * (2**0.5 if layer.weight.dim() == 4 else 1)
            assert 0.98 * bound < matrix.abs().max().item() <= bound
        if getattr(layer, "bias", None) is not None:
            assert not layer.bias.any()


def test_singular_values_are_those_of_the_weights_by_name() -> None:
    layers = [layer for layer, _ in _layers()]
    for layer in layers:
        for _ in range(300):
            layer.power_iteration()
    values = singular_values(nn.ModuleDict({"a": layers[0], "b": nn.ModuleList(layers[1:]), "c": nn.Linear(2, 2)}))
    assert list(values) == ["a", "b.0", "b.1"]
    for value, layer in zip(values.values(), layers, strict=True):
        exact = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        torch.testing.assert_close(value, exact, rtol=1e-3, atol=1e-3)
        assert not value.requires_grad
