"""Progressive growing of GANs (Karras et al. 2018, arXiv 1710.10196): table 2 and appendix A.

All levels exist from the start; the stage says which of them take part and how far the newest one is faded in. It is
part of the networks' state, so a checkpoint or an exported generator draws at the level and alpha it was saved with.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.config import PGGANConfig
from ganforge.errors import ConfigError
from ganforge.networks.base import Discriminator, Generator, Verdict, class_vector, one_hot
from ganforge.networks.equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    double,
    group_size,
    leaky,
    minibatch_statistic,
    pixel_norm,
)
from ganforge.schedule import Stage


class _Growing(nn.Module):
    """The stage as a buffer (for the state) and as a plain value (for the forward pass, which must not wait for it)."""

    stage_state: Tensor

    def _init_stage(self, config: PGGANConfig) -> None:
        self.levels = config.levels
        self.shorter = min(config.base)
        self.register_buffer("stage_state", torch.zeros(2, dtype=torch.float64))
        self.set_stage(Stage(config.resolution))

    def set_stage(self, stage: Stage) -> None:
        """Work at this resolution, its level faded in by alpha. Raises ConfigError for a level that is not there."""
        factor = stage.resolution // self.shorter
        level = factor.bit_length() - 1
        if self.shorter * factor != stage.resolution or 1 << max(level, 0) != factor or level > self.levels:
            raise ConfigError(f"resolution {stage.resolution} is not a level of this network")
        self.level, self.alpha = level, stage.alpha if level else 1.0
        self.stage_state.copy_(torch.tensor([stage.resolution, stage.alpha], dtype=torch.float64))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        resolution, alpha = self.stage_state.tolist()
        self.set_stage(Stage(int(resolution), alpha))


class _Up(nn.Module):
    """A generator's level: doubled, then two convolutions, each with leaky ReLU and pixel norm."""

    def __init__(self, inputs: int, outputs: int, fused: bool) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, outputs, 3, resample="up", fused=fused)
        self.second = EqualizedConv2d(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(leaky(self.second(pixel_norm(leaky(self.first(x))))))


class _Down(nn.Module):
    """A discriminator's level: two convolutions, the second one halving before its leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, fused: bool) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, inputs, 3)
        self.second = EqualizedConv2d(inputs, outputs, 3, resample="down", fused=fused)

    def forward(self, x: Tensor) -> Tensor:
        return leaky(self.second(leaky(self.first(x))))


class PGGANGenerator(_Growing, Generator):
    """Table 2's generator: dense to the base grid, then doubling and two 3x3 convolutions a level, 1x1 to pictures.

    Leaky ReLU 0.2 and pixel norm after every layer; linear output. Classes: a one-hot vector beside the latents
    (official code) for an AC-GAN, a learned vector of the latents' size for projection.
    """

    def __init__(self, config: PGGANConfig) -> None:
        super().__init__(config)
        self.pggan = config
        widths = [config.width(level) for level in range(config.levels + 1)]
        inputs = config.latent
        self.classes: nn.Parameter | None = None
        if config.classes:
            inputs += config.classes if config.conditioning == "acgan" else config.latent
            if config.conditioning == "projection":
                self.classes = nn.Parameter(torch.randn(config.classes, config.latent))
        # The official code's gain, so that the dense layer matches the original Theano implementation.
        self.dense = EqualizedLinear(inputs, widths[0] * math.prod(config.base), gain=math.sqrt(2) / 4, bias=False)
        self.dense_bias = nn.Parameter(torch.zeros(widths[0]))
        self.first = EqualizedConv2d(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            _Up(widths[level - 1], widths[level], config.fused) for level in range(1, config.levels + 1)
        )
        self.to_picture = nn.ModuleList(EqualizedConv2d(width, config.channels, 1, gain=1) for width in widths)
        self._init_stage(config)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent) to pictures (N, C, H, W) at the stage's size, linear, about [-1, 1]."""
        config = self.pggan
        x = pixel_norm(latents) if config.normalize_latent else latents
        if config.classes:
            if labels is None:
                raise ConfigError("a class-conditional generator needs labels")
            if self.classes is not None:
                x = torch.cat([x, pixel_norm(class_vector(self.classes, labels))], dim=1)
            else:
                x = torch.cat([x, one_hot(labels, config.classes).to(x.dtype)], dim=1)
        x = self.dense(x).reshape(x.shape[0], -1, *config.base) + self.dense_bias.reshape(1, -1, 1, 1)
        x = pixel_norm(leaky(x))
        x = pixel_norm(leaky(self.first(x)))
        previous = x
        for block in self.blocks[: self.level]:
            previous = x
            x = block(x)
        pictures: Tensor = self.to_picture[self.level](x)
        if self.alpha < 1:
            pictures = torch.lerp(double(self.to_picture[self.level - 1](previous)), pictures, self.alpha)
        return pictures


class PGGANDiscriminator(_Growing, Discriminator):
    """Table 2's discriminator, the generator mirrored: two 3x3 convolutions and halving a level, the minibatch
    statistic before the last convolution, a linear score.

    Halving comes before the second convolution's activation, as in the official code, so that it can be fused.
    Classes: projection (Miyato & Koyama 2018) on the last hidden layer, or the class logits of an AC-GAN.
    """

    def __init__(self, config: PGGANConfig) -> None:
        super().__init__(config)
        self.pggan = config
        widths = [config.width(level) for level in range(config.levels + 1)]
        self.from_picture = nn.ModuleList(EqualizedConv2d(config.channels * config.pack, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            _Down(widths[level], widths[level - 1], config.fused) for level in range(1, config.levels + 1)
        )
        extra = 0 if config.minibatch_statistic == "none" else 1
        # The official nf(0), one doubling beyond the base grid.
        hidden = widths[0] if config.widths is not None else min(config.fmap_base, config.fmap_max)
        self.last = EqualizedConv2d(widths[0] + extra, widths[0], 3)
        self.dense = EqualizedLinear(widths[0] * math.prod(config.base), hidden)
        acgan = config.conditioning == "acgan"
        self.score = EqualizedLinear(hidden, 1 + (config.classes if acgan else 0), gain=1)
        self.classes = nn.Parameter(torch.randn(config.classes, hidden)) if config.classes and not acgan else None
        self._init_stage(config)

    def tied(self, batch: int) -> int:
        """A pack, or with the minibatch statistic a group of packs."""
        packs = (
            1 if self.pggan.minibatch_statistic == "none" else group_size(batch // self.config.pack, self.pggan.group)
        )
        return packs * self.config.pack

    def input_side(self) -> list[nn.Module]:
        """1x1 from pictures, then the levels from the largest down."""
        return [self.from_picture, *reversed(self.blocks), self.last]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Pictures (N, C, H, W) at the stage's size to scores (N / pack,)."""
        config = self.pggan
        images = self.packed(images)
        x = leaky(self.from_picture[self.level](images))
        for level in range(self.level, 0, -1):
            x = self.blocks[level - 1](x)
            if level == self.level and self.alpha < 1:
                x = torch.lerp(leaky(self.from_picture[level - 1](F.avg_pool2d(images, 2))), x, self.alpha)
        if config.minibatch_statistic != "none":
            x = minibatch_statistic(x, config.group, variance=config.minibatch_statistic == "variance")
        x = leaky(self.last(x))
        hidden = leaky(self.dense(x.flatten(1)))
        output = self.score(hidden)
        score = output[:, 0]
        if self.classes is not None:
            if labels is None:
                raise ConfigError("a class-conditional discriminator needs labels")
            vector = class_vector(self.classes, labels[:: config.pack])
            score = score + (vector * hidden).sum(dim=1) / math.sqrt(hidden.shape[1])
        return Verdict(score, output[:, 1:] if output.shape[1] > 1 else None)
