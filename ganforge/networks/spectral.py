"""Layers whose weight may be divided by its largest singular value (Miyato et al. 2018, arXiv 1802.05957).

`conv2d`, `linear` and `table` build a layer with or without spectral normalization; both kinds give the weight they
work with as `kernel()`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.networks.base import class_vector
from ganforge.networks.resampling import convolve

WARM_UP = 15  # as torch.nn.utils.parametrizations.spectral_norm


class Conv2d(nn.Conv2d):
    """ "Same" convolution of stride 1 with an odd kernel, with doubling before or halving after it (`convolve`)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        bias: bool = True,
        resample: str = "none",
        fused: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.resample, self.fused = resample, fused

    def kernel(self) -> Tensor:
        """The weight in use, (outputs, inputs, k, k)."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.kernel(), self.bias, self.resample, fused=self.fused)


class Linear(nn.Linear):
    """Dense layer."""

    def kernel(self) -> Tensor:
        """The weight in use, (outputs, inputs)."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.kernel(), self.bias)


class Table(nn.Module):
    """One learned vector a class."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.weight: Tensor = nn.Parameter(torch.randn(classes, features))

    def kernel(self) -> Tensor:
        """The weight in use, (classes, features)."""
        return self.weight

    def forward(self, labels: Tensor) -> Tensor:
        """Vectors (N, features) of labels int64 (N,), or their blend for float weights (N, classes)."""
        return class_vector(self.kernel(), labels)


class SpectralNorm(nn.Module):
    """A layer whose `kernel()` is its weight divided by an estimate of the largest singular value.

    The estimate is u^T W v of one power iteration for each change of the weight, made by the first training forward
    after it (algorithm 1). So all forwards between two updates (real, fake, penalty, micro-batches, the other network's
    update) are the same function, and the singular vectors move once an update, not once a forward. Whether the
    iteration is still due is a part of the state, beside u and v: a resumed run makes no iteration more or less.
    """

    weight: Tensor
    u: Tensor
    v: Tensor

    def init_spectral(self) -> None:
        """Random singular vectors, drawn near by `WARM_UP` iterations. Call again after initialising the weight."""
        matrix = self.weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(WARM_UP):
            self.power_iteration()

    @torch.no_grad()
    def power_iteration(self) -> None:
        """Move u and v once towards the singular vectors of the largest singular value."""
        with torch.autocast(self.weight.device.type, enabled=False):
            matrix = self.weight.flatten(1)
            F.normalize(torch.mv(matrix, self.v), dim=0, out=self.u)
            F.normalize(torch.mv(matrix.t(), self.u), dim=0, out=self.v)
        self.seen = self.weight._version

    def singular_value(self) -> Tensor:
        """The estimate of the largest singular value, differentiable in the weight."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.dot(self.u, torch.mv(self.weight.flatten(1), self.v))

    def kernel(self) -> Tensor:
        """The weight in use: of largest singular value 1."""
        if self.training and self.weight._version != self.seen:
            self.power_iteration()
        return self.weight / self.singular_value()

    def get_extra_state(self) -> Tensor:
        """Whether the weight has changed since the last power iteration."""
        return torch.tensor(self.weight._version != self.seen)

    def set_extra_state(self, state: Tensor) -> None:
        self.seen = -1 if bool(state) else self.weight._version


class SpectralConv2d(SpectralNorm, Conv2d):
    """`Conv2d` under spectral normalization of its weight as (outputs, inputs * k * k)."""


class SpectralLinear(SpectralNorm, Linear):
    """`Linear` under spectral normalization."""


class SpectralTable(SpectralNorm, Table):
    """`Table` under spectral normalization (the SN embedding of projection discriminators)."""


def conv2d(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    spectral: bool,
    bias: bool = True,
    resample: str = "none",
    fused: bool = False,
) -> Conv2d:
    """A convolution with or without spectral normalization; initialise with `initialise`."""
    kind = SpectralConv2d if spectral else Conv2d
    return kind(inputs, outputs, kernel, bias=bias, resample=resample, fused=fused)


def linear(inputs: int, outputs: int, *, spectral: bool, bias: bool = True) -> Linear:
    """A dense layer with or without spectral normalization; initialise with `initialise`."""
    return (SpectralLinear if spectral else Linear)(inputs, outputs, bias=bias)


def table(classes: int, features: int, *, spectral: bool) -> Table:
    """A table of class vectors with or without spectral normalization; initialise with `initialise`."""
    return (SpectralTable if spectral else Table)(classes, features)


def singular_values(network: nn.Module) -> dict[str, Tensor]:
    """The largest singular value (estimated, 0-d, on the device) of each spectrally normalized layer's own weight.

    By the layer's name. When training falls apart they move or jump (Brock et al. 2019, section 4).
    """
    with torch.no_grad():
        return {
            name: layer.singular_value() for name, layer in network.named_modules() if isinstance(layer, SpectralNorm)
        }


def initialise(network: nn.Module, scheme: str) -> None:
    """Weights of all `Conv2d`, `Linear` and `Table` by `scheme`, biases 0, and fresh singular vectors.

    `xavier`: uniform (Glorot & Bengio 2010), 3x3 kernels times sqrt(2) as in SNGAN's code; `orthogonal` (Saxe et al.
    2014; BigGAN); `normal`: N(0, 0.02), as DCGAN (Radford et al. 2016, section 4).
    """
    for layer in network.modules():
        if not isinstance(layer, Conv2d | Linear | Table):
            continue
        if scheme == "orthogonal":
            nn.init.orthogonal_(layer.weight)
        elif scheme == "normal":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        else:
            inside = isinstance(layer, Conv2d) and layer.kernel_size[0] == 3
            nn.init.xavier_uniform_(layer.weight, 2**0.5 if inside else 1.0)
        if not isinstance(layer, Table) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if isinstance(layer, SpectralNorm):
            layer.init_spectral()
