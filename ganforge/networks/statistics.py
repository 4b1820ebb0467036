"""Standing statistics: batch normalization's mean and variance, measured for sampling (Brock et al. 2019, sec. 2.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ganforge.networks.base import Generator

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def batch_normalized(network: nn.Module) -> bool:
    """Whether a network has batch normalization, and so running statistics."""
    return any(isinstance(layer, BATCH_NORMS) for layer in network.modules())


@torch.no_grad()
def standing_statistics(generator: Generator, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Replace the running mean and variance of all batch normalization by their plain average over `batches`.

    `batches` are (latents (N, latent), labels or None). The running average that training leaves behind is of weights
    that have changed since, and for averaged (EMA) weights of another network altogether. Everything but batch
    normalization works as in sampling (no dropout, no power iteration). Afterwards each layer is in the mode it was in.
    With no batch at all nothing is changed.
    """
    layers = [layer for layer in generator.modules() if isinstance(layer, BATCH_NORMS)]
    if not layers:
        return
    modes = [(module, module.training) for module in generator.modules()]
    momenta = [layer.momentum for layer in layers]
    generator.eval()
    started = False
    try:
        for latents, labels in batches:
            if not started:
                started = True
                for layer in layers:
                    layer.reset_running_stats()
                    layer.momentum = None  # torch's cumulative average
                    layer.train()
            generator(latents, labels)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes:
            module.training = training
