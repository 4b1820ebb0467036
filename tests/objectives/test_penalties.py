import pytest
import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.objectives import LOSSES, drift, find_loss, gradient_penalty, input_gradients


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(16, 1), torch.nn.Flatten(0)
    ).double()


def finite_difference_norms(score: torch.nn.Module, images: Tensor) -> Tensor:
    step, squares = 1e-6, torch.zeros(len(images), dtype=torch.float64)
    for index in range(images[0].numel()):
        shift = torch.zeros_like(images).flatten(1)
        shift[:, index] = step
        shift = shift.reshape(images.shape)
        squares += ((score(images + shift) - score(images - shift)) / (2 * step)).square()
    return squares.sqrt()


@pytest.mark.parametrize("target", [1.0, 750.0])
def test_gradient_penalty_is_its_finite_difference_estimate(target: float) -> None:
    score = network()
    reals, fakes, mix = torch.randn(3, 2, 4, 4).double(), torch.randn(3, 2, 4, 4).double(), torch.rand(3).double()
    share = mix.reshape(-1, 1, 1, 1)
    with torch.no_grad():
        norms = finite_difference_norms(score, reals * (1 - share) + fakes * share)
    expected = ((norms - target) ** 2).mean() / target**2
    assert torch.allclose(gradient_penalty(score, reals, fakes, mix, target=target), expected, rtol=1e-6)


def test_the_penalty_can_be_differentiated_once_more() -> None:
    score = network()
    images = torch.randn(3, 2, 4, 4).double()
    _, squares = input_gradients(score, images)
    gradients = torch.autograd.grad(squares.mean(), list(score.parameters()), allow_unused=True)
    weight = next(iter(score.parameters()))
    direction, step = torch.randn_like(weight), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step * direction
        values.append(input_gradients(score, images)[1].mean().item())
        with torch.no_grad():
            weight -= sign * step * direction
    assert gradients[0] is not None
    assert float((gradients[0] * direction).sum()) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_a_flat_discriminator_gives_a_finite_penalty_and_gradient() -> None:
    weight = torch.zeros(4, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: x.flatten(1) @ weight, torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2), torch.rand(2)
    )
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert penalty.item() == pytest.approx(1.0, abs=1e-4)
    assert torch.isfinite(gradient).all()


def test_drift_is_the_mean_square_score() -> None:
    assert float(drift(torch.tensor([1.0, -3.0]))) == 5.0


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_wants_real_scores_up_and_fake_scores_down(name: str) -> None:
    loss, scores = find_loss(name), torch.zeros(4, requires_grad=True)
    real, fake, generator = (
        torch.autograd.grad(part(scores), scores)[0] for part in (loss.real, loss.fake, loss.generator)
    )
    assert (real < 0).all()
    assert (fake >= 0).all()
    assert (generator < 0).all()


def test_non_saturating_is_binary_cross_entropy() -> None:
    scores = torch.randn(16)
    loss = LOSSES["non-saturating"]
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    assert torch.allclose(loss.real(scores), bce(scores, torch.ones(16)))
    assert torch.allclose(loss.fake(scores), bce(scores, torch.zeros(16)))


def test_hinge_stops_caring_beyond_its_margin() -> None:
    assert float(LOSSES["hinge"].real(torch.tensor([1.5]))) == 0
    assert float(LOSSES["hinge"].fake(torch.tensor([-1.5]))) == 0


def test_an_unknown_loss_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"did you mean hinge.*known: hinge"):
        find_loss("hing")
