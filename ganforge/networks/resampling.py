"""Doubling and halving of feature maps, apart or folded into the convolution beside them; to and from dense layers."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


def double(x: Tensor) -> Tensor:
    """Nearest-neighbour doubling of (N, C, H, W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halve(x: Tensor) -> Tensor:
    """Mean over 2x2 of (N, C, H, W)."""
    return F.avg_pool2d(x, 2)


def spread(weight: Tensor) -> Tensor:
    """A kernel convolved with 2x2 ones: (O, I, k, k) to (O, I, k + 1, k + 1)."""
    wide = F.pad(weight, (1, 1, 1, 1))
    return wide[:, :, 1:, 1:] + wide[:, :, :-1, 1:] + wide[:, :, 1:, :-1] + wide[:, :, :-1, :-1]


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, resample: str = "none", *, fused: bool = False) -> Tensor:
    """ "Same" convolution with an odd kernel; `resample` doubles before it ("up") or halves after it ("down").

    The same numbers in three ways, which differ in cost. A 1x1 kernel always works at the lower resolution, since it
    commutes with both. A larger one with `fused` grows by one and gets stride 2: of 9 products a place 4 are left, of
    25 9.
    """
    size = weight.shape[-1]
    if resample == "none":
        return F.conv2d(x, weight, bias, padding=size // 2)
    if size == 1:
        return double(F.conv2d(x, weight, bias)) if resample == "up" else F.conv2d(halve(x), weight, bias)
    if fused and resample == "up":
        # Doubling is a transposed convolution with 2x2 ones, so both together are one with the spread kernel.
        return F.conv_transpose2d(x, spread(weight).flip(2, 3).transpose(0, 1), bias, stride=2, padding=size // 2)
    if fused:
        return F.conv2d(x, spread(weight) / 4, bias, stride=2, padding=size // 2)
    if resample == "up":
        return F.conv2d(double(x), weight, bias, padding=size // 2)
    return halve(F.conv2d(x, weight, bias, padding=size // 2))


def same_padding(size: Sequence[int], kernel: int, stride: int) -> list[int]:
    """Zeros (left, right, top, bottom) for a convolution of (H, W) to give ceil(size / stride), as Keras' "same".

    Where the zeros cannot be shared out evenly, the right and the bottom get one more.
    """
    pads = []
    for side in (size[1], size[0]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return pads


class Grid(nn.Module):
    """The output of a dense layer, (N, h * w * C), as feature maps (N, C, h, w), with channels last in memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.size, -1).permute(0, 3, 1, 2)


def features(x: Tensor) -> Tensor:
    """Feature maps (N, C, h, w) as the input of a dense layer, (N, h * w * C): no copy where channels are last."""
    return x.permute(0, 2, 3, 1).flatten(1)
