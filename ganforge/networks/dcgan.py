"""DCGAN: the paper's networks (Radford et al. 2016, arXiv 1511.06434), and those of a Keras article on MNIST."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.config import DCGANConfig
from ganforge.errors import ConfigError
from ganforge.networks.base import Discriminator, Generator, Verdict, class_vector, one_hot
from ganforge.networks.resampling import Grid, features, same_padding
from ganforge.networks.spectral import Conv2d, SpectralNorm, linear

LEAK = 0.2
DEVIATION = 0.02  # section 4: all weights ~ N(0, 0.02)
KERAS_LEAK = 0.3  # Keras' default slope
KERAS_MOMENTUM = 0.2  # 0.8 in Keras' sense
KERAS_EPSILON = 1e-3
KERAS_SIDE = 4  # the discriminator halves until the shorter side is no longer than this
KERAS_DROPOUT = (0.3, 0.4)  # after the second convolution, and after all later ones


class DCGANGenerator(Generator):
    """From latents to pictures in [-1, 1]. Classes: a one-hot vector beside the latents.

    `paper`: the latents projected to the base grid, then transposed convolutions that double, batch normalization and
    ReLU, tanh at the end (section 3, figure 1). `upsampling`: dense with batch normalization, then doubling and 5x5
    convolutions, batch normalization with Keras' numbers and leaky ReLU 0.3, one convolution more, tanh.
    """

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__(config)
        self.dcgan = config
        self.body = (_paper_generator if config.variant == "paper" else _keras_generator)(config)
        _initialise(self, config.variant)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent) to pictures (N, C, H, W) in [-1, 1]."""
        x = latents
        if self.dcgan.classes:
            if labels is None:
                raise ConfigError("a class-conditional generator needs labels")
            x = torch.cat([x, one_hot(labels, self.dcgan.classes).to(x.dtype)], dim=1)
        pictures: Tensor = self.body(x)
        return pictures


class DCGANDiscriminator(Discriminator):
    """From pictures to scores, as logits: the papers' sigmoid is part of the loss.

    `paper`: 4x4 convolutions of stride 2 with normalization (not in the first) and leaky ReLU 0.2 down to the base
    grid, then one layer over all of it. `upsampling`: 5x5 convolutions of stride 2 and a last one of stride 1, leaky
    ReLU 0.3, dropout, then one layer. Classes: each class has a last layer of its own, which is added to the common
    one (projection, Miyato & Koyama 2018, before the sum over places); for a pack of pictures the mean of theirs.
    """

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__(config)
        self.dcgan = config
        self.body, count = (_paper_discriminator if config.variant == "paper" else _keras_discriminator)(config)
        norm = config.discriminator_norm
        self.score = linear(count, 1, spectral=norm == "spectral", bias=norm != "batch")
        self.classes = nn.Parameter(torch.zeros(config.classes, count)) if config.classes else None
        _initialise(self, config.variant)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Pictures (N, C, H, W) to scores (N / pack,)."""
        rows = features(self.body(self.packed(images)))
        score: Tensor = self.score(rows)[:, 0]
        if self.classes is not None:
            if labels is None:
                raise ConfigError("a class-conditional discriminator needs labels")
            own = class_vector(self.classes, labels).reshape(len(score), -1, rows.shape[1]).mean(dim=1)
            score = score + (own * rows).sum(dim=1)
        return Verdict(score)


class StridedConv2d(nn.Conv2d):
    """A convolution of stride 1 or 2 whose output is ceil(size / stride), as Keras' "same"."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=bias)

    def kernel(self) -> Tensor:
        """The weight in use, (outputs, inputs, k, k)."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x.shape[2:], self.kernel_size[0], self.stride[0])
        if pads[0] == pads[1] and pads[2] == pads[3]:
            return F.conv2d(x, self.kernel(), self.bias, self.stride, (pads[2], pads[0]))
        return F.conv2d(F.pad(x, pads), self.kernel(), self.bias, self.stride)


class SpectralStridedConv2d(SpectralNorm, StridedConv2d):
    """`StridedConv2d` under spectral normalization."""


def _paper_generator(config: DCGANConfig) -> nn.Sequential:
    widths = config.generator_widths()
    layers: list[nn.Module] = [
        nn.Linear(config.latent + config.classes, widths[0] * math.prod(config.base), bias=False),
        Grid(config.base),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for inputs, outputs in pairwise(widths):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], config.channels, 4, 2, 1, bias=False), nn.Tanh())


def _keras_generator(config: DCGANConfig) -> nn.Sequential:
    """At 28x28: dense 7*7*64, then 5x5 convolutions 128 (14x14), 64 (28x28), 64, and the pictures' channels."""
    width = config.width_g
    layers: list[nn.Module] = [
        nn.Linear(config.latent + config.classes, width * math.prod(config.base)),
        nn.BatchNorm1d(width * math.prod(config.base), eps=KERAS_EPSILON, momentum=KERAS_MOMENTUM),
        Grid(config.base),
    ]
    for outputs, resample in [*((width, "up") for width in config.generator_widths()), (config.width_g, "none")]:
        layers += [
            Conv2d(width, outputs, 5, resample=resample, fused=True),
            nn.BatchNorm2d(outputs, eps=KERAS_EPSILON, momentum=KERAS_MOMENTUM),
            nn.LeakyReLU(KERAS_LEAK),
        ]
        width = outputs
    return nn.Sequential(*layers, Conv2d(width, config.channels, 5), nn.Tanh())


def _paper_discriminator(config: DCGANConfig) -> tuple[nn.Sequential, int]:
    """The layers before the last one, and the count of their features."""
    norm, inputs = config.discriminator_norm, config.channels * config.pack
    layers: list[nn.Module] = []
    for outputs in config.discriminator_widths():
        layers += _strided(inputs, outputs, 4, 2, norm, first=not layers)
        layers.append(nn.LeakyReLU(LEAK))
        inputs = outputs
    return nn.Sequential(*layers), inputs * math.prod(config.base)


def _keras_discriminator(config: DCGANConfig) -> tuple[nn.Sequential, int]:
    """At 28x28: 5x5 convolutions 64 (14x14), 64 (7x7), 128 (4x4), 128; dropout 0.3, 0.4, 0.4 from the second on."""
    norm, inputs, size = config.discriminator_norm, config.channels * config.pack, config.size(config.resolution)
    strides = []
    while min(size) > KERAS_SIDE:
        size = (size[0] + 1) // 2, (size[1] + 1) // 2
        strides.append(2)
    layers: list[nn.Module] = []
    for index, stride in enumerate([*strides, 1]):
        doublings = min(max(index - 1, 0), len(strides) - 2) if len(strides) > 1 else 0
        outputs = min(config.width_d << doublings, config.max_width_d)
        layers += _strided(inputs, outputs, 5, stride, norm, first=not layers)
        layers.append(nn.LeakyReLU(KERAS_LEAK))
        if index:
            layers.append(nn.Dropout(KERAS_DROPOUT[min(index, 2) - 1]))
        inputs = outputs
    return nn.Sequential(*layers), inputs * math.prod(size)


def _strided(inputs: int, outputs: int, kernel: int, stride: int, norm: str, *, first: bool) -> list[nn.Module]:
    """A strided convolution and its normalization, which the paper leaves out of the first (section 3)."""
    kind = SpectralStridedConv2d if norm == "spectral" else StridedConv2d
    layers: list[nn.Module] = [kind(inputs, outputs, kernel, stride, bias=norm != "batch")]
    return layers if norm != "batch" or first else [*layers, nn.BatchNorm2d(outputs)]


def _initialise(network: nn.Module, variant: str) -> None:
    """N(0, 0.02) for weights and N(1, 0.02) for the gains of batch normalization (section 4); or Keras' Glorot
    uniform. Biases 0 and, for `upsampling`, gains 1, as both frameworks do."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if variant == "paper":
                nn.init.normal_(layer.weight, 0.0, DEVIATION)
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and variant == "paper":
            nn.init.normal_(layer.weight, 1.0, DEVIATION)
        if isinstance(layer, SpectralNorm):
            layer.init_spectral()
