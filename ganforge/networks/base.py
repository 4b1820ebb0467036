"""What the engine knows of a network, whichever paper it comes from."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganforge.config import NetworkConfig
from ganforge.schedule import Stage


class Verdict(NamedTuple):
    """A discriminator's output: `score` (N,), higher is more real, and class `logits` (N, classes) of an AC-GAN."""

    score: Tensor
    logits: Tensor | None = None


class Generator(nn.Module):
    """From latents (N, latent), and labels where there are classes, to pictures (N, C, H, W) in about [-1, 1].

    Labels are int64 (N,), or float (N, classes) weights that blend classes.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    def set_stage(self, stage: Stage) -> None:
        """Tell the network resolution and alpha; networks that do not grow ignore it."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not define forward")


class Discriminator(nn.Module):
    """From pictures (N, C, H, W), and labels where there are classes, to a `Verdict`.

    With `config.pack` m > 1 the N pictures are judged in N / m packs of m, stacked along the channels, and the scores
    are (N / m,) (PacGAN, Lin et al. 2018, section 2): `packed` does the stacking.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    def set_stage(self, stage: Stage) -> None:
        """Tell the network resolution and alpha; networks that do not grow ignore it."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        raise TypeError(f"{type(self).__name__} does not define forward")

    def tied(self, batch: int) -> int:
        """How many consecutive pictures of a batch are judged together: batches are shared out along their borders."""
        return self.config.pack

    def input_side(self) -> list[nn.Module]:
        """The layers that learn, in order from the picture: what freezing begins with (FreezeD, Mo et al. 2020)."""
        layers = getattr(self, "blocks", None) or getattr(self, "body", None) or self
        return [layer for layer in layers.children() if any(True for _ in layer.parameters())]

    def packed(self, images: Tensor) -> Tensor:
        """(N, C, H, W) as (N / pack, pack * C, H, W)."""
        pack = self.config.pack
        return (
            images.reshape(images.shape[0] // pack, pack * images.shape[1], *images.shape[2:]) if pack > 1 else images
        )


def class_vector(table: Tensor, labels: Tensor) -> Tensor:
    """Rows of `table` (classes, features) for int64 labels (N,), or their blend for float weights (N, classes)."""
    if labels.is_floating_point():
        return labels.to(table.dtype) @ table
    return nn.functional.embedding(labels, table)


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels in either form as float weights (N, classes)."""
    return labels if labels.is_floating_point() else nn.functional.one_hot(labels, classes).to(torch.float32)
