"""Penalties on the discriminator's gradient and scores."""

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]


def input_gradients(score: Score, images: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N,) and the squared norm (N,) of each picture's gradient of its own score, differentiable once more."""
    images = images.detach().requires_grad_(True)
    scores = score(images)
    (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return scores, gradients.flatten(1).square().sum(dim=1)


def gradient_penalty(
    score: Score, reals: Tensor, fakes: Tensor, mix: Tensor, *, target: float = 1.0, epsilon: float = 0.0
) -> Tensor:
    """WGAN-GP: E[(|grad D(mix)| - target)^2] / target^2 (Gulrajani et al. 2017, eq. 3; Karras et al. 2018, appendix).

    `mix` (N,) in [0, 1] is the share of each fake in the mixture. `epsilon` stands inside the norm's root (article D).
    """
    share = mix.reshape(-1, 1, 1, 1)
    _, squares = input_gradients(score, torch.lerp(reals, fakes.detach(), share))
    # Without any epsilon the root's own gradient is infinite where the norm is 0.
    norms = torch.sqrt(squares + max(epsilon, 1e-12))
    return (norms - target).square().mean() / target**2


def drift(scores: Tensor) -> Tensor:
    """E[D(real)^2], which keeps WGAN scores from drifting away from 0 (Karras et al. 2018, appendix A.1)."""
    return scores.square().mean()
