"""Claims about doubling and halving: folded into a convolution or apart, the numbers are the same."""

import pytest
import torch
from torch.nn import functional as F

from ganforge.networks.resampling import convolve, double, halve, same_padding


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("resample", ["up", "down"])
@pytest.mark.parametrize("fused", [False, True])
def test_every_way_equals_the_plain_one(kernel: int, resample: str, fused: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64)
    plain = F.conv2d(double(x) if resample == "up" else x, weight, bias, padding=kernel // 2)
    plain = halve(plain) if resample == "down" else plain
    ours = convolve(x, weight, bias, resample, fused=fused)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)
    toward = torch.randn_like(plain)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (x, weight), toward), torch.autograd.grad(plain, (x, weight), toward), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("side", [4, 7, 14, 28, 33])
@pytest.mark.parametrize("kernel", [4, 5])
def test_same_padding_gives_the_size_over_the_stride_rounded_up(side: int, kernel: int) -> None:
    pads = same_padding((side, side + 1), kernel, 2)
    out = F.conv2d(F.pad(torch.zeros(1, 1, side, side + 1), pads), torch.zeros(1, 1, kernel, kernel), stride=2)
    assert out.shape[2:] == (-(-side // 2), -(-(side + 1) // 2))
    assert all(0 <= after - before <= 1 for before, after in (pads[:2], pads[2:]))
