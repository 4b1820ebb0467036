"""Layers of Karras et al. 2018 (arXiv 1710.10196): equalized learning rate, pixel norm, minibatch statistic."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2


class EqualizedLinear(nn.Module):
    """Dense layer with weights ~ N(0, 1), scaled at run time by He's constant (section 4.1)."""

    def __init__(self, inputs: int, outputs: int, gain: float = math.sqrt(2), bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualizedConv2d(nn.Module):
    """Convolution with weights ~ N(0, 1), scaled at run time by He's constant (section 4.1); "same" padding.

    `resample` doubles before the convolution (nearest neighbour) or halves after it (2x2 mean). With `fused` the
    resampling is folded into a 4x4 kernel of stride 2: the same numbers, another cost.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = math.sqrt(2),
        resample: str = "none",
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel * kernel)
        self.padding = kernel // 2
        self.resample, self.fused = resample, fused

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if self.fused and self.resample == "up":
            # Doubling is a transposed convolution with 2x2 ones, so both together are one with a 4x4 kernel.
            return F.conv_transpose2d(x, _spread(weight).flip(2, 3).transpose(0, 1), self.bias, stride=2, padding=1)
        if self.fused and self.resample == "down":
            return F.conv2d(x, _spread(weight) / 4, self.bias, stride=2, padding=1)
        if self.resample == "up":
            x = double(x)
        if self.resample == "down":
            # The mean of a convolution plus a bias: pooling first and adding the bias after is the same.
            return F.avg_pool2d(F.conv2d(x, weight, self.bias, padding=self.padding), 2)
        return F.conv2d(x, weight, self.bias, padding=self.padding)


def _spread(weight: Tensor) -> Tensor:
    """A 3x3 kernel convolved with 2x2 ones: (O, I, 3, 3) to (O, I, 4, 4)."""
    wide = F.pad(weight, (1, 1, 1, 1))
    return wide[:, :, 1:, 1:] + wide[:, :, :-1, 1:] + wide[:, :, 1:, :-1] + wide[:, :, :-1, :-1]


def double(x: Tensor) -> Tensor:
    """Nearest-neighbour doubling of (N, C, H, W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def pixel_norm(x: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Each pixel's (or latent's) feature vector divided by its root mean square (section 4.2)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + epsilon)


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


def group_size(batch: int, group: int) -> int:
    """The group of the minibatch statistic: the smallest divisor of the batch that is at least `group`.

    `group` 0 is the whole batch. A batch of 5 with groups of 4 is one group of 5: a group of 1 would say nothing.
    """
    wanted = min(group or batch, batch)
    return next(size for size in range(wanted, batch + 1) if batch % size == 0)


def minibatch_statistic(x: Tensor, group: int, *, variance: bool = False) -> Tensor:
    """One more feature map: how much the pictures of a group differ (section 3, appendix A.1).

    Over each group of consecutive pictures: the (population) standard deviation of each feature and place, or with
    `variance` its square (article D), averaged to one number, repeated over the map. (N, C, H, W) to (N, C + 1, H, W).
    Groups are consecutive so that micro-batches and ranks whose size is a multiple of the group have the same ones.
    """
    batch, _, height, width = x.shape
    size = group_size(batch, group)
    grouped = x.float().reshape(batch // size, size, -1)
    spread = grouped.var(dim=1, unbiased=False) if size > 1 else torch.zeros_like(grouped[:, 0])
    if not variance:
        spread = torch.sqrt(spread + 1e-8)
    statistic = spread.mean(dim=1).to(x.dtype)
    plane = statistic.repeat_interleave(size).reshape(batch, 1, 1, 1).expand(batch, 1, height, width)
    return torch.cat([x, plane], dim=1)
