"""SN-ResNet with self-attention (Zhang et al. 2019, arXiv 1805.08318; Miyato et al. 2018, arXiv 1802.05957).

Without attention and without the generator's spectral normalization the same networks are SNGAN's.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.config import SAGANConfig
from ganforge.errors import ConfigError
from ganforge.networks.attention import SelfAttention
from ganforge.networks.base import Discriminator, Generator, Verdict, class_vector
from ganforge.networks.resampling import Grid
from ganforge.networks.spectral import conv2d, initialise, linear, table


class ClassNorm2d(nn.Module):
    """Conditional batch normalization: norm(x) * (1 + gamma[y]) + beta[y] (de Vries et al. 2017; Dumoulin et al. 2017).

    Without classes it is plain batch normalization. `norm` holds the running mean and variance.
    """

    def __init__(self, channels: int, classes: int, epsilon: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=epsilon, affine=not classes)
        self.affine: nn.Parameter | None = None
        if classes:
            # gamma and beta in one table; gammas differ from the start so that classes can part ways.
            start = torch.zeros(classes, 2 * channels)
            start[:, :channels].normal_(0, 0.02)
            self.affine = nn.Parameter(start)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        x = self.norm(x)
        if self.affine is None or labels is None:
            return x
        gamma, beta = class_vector(self.affine, labels)[:, :, None, None].to(x.dtype).chunk(2, dim=1)
        return torch.addcmul(beta, x, 1 + gamma)


class GeneratorBlock(nn.Module):
    """Residual block that doubles: BN, ReLU, up, conv, BN, ReLU, conv, beside up and a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, config: SAGANConfig) -> None:
        super().__init__()
        spectral, epsilon = config.spectral_g, config.norm_epsilon
        self.norm1 = ClassNorm2d(inputs, config.classes, epsilon)
        self.conv1 = conv2d(inputs, outputs, 3, spectral=spectral, resample="up", fused=config.fused)
        self.norm2 = ClassNorm2d(outputs, config.classes, epsilon)
        self.conv2 = conv2d(outputs, outputs, 3, spectral=spectral)
        self.shortcut = conv2d(inputs, outputs, 1, spectral=spectral, resample="up")

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        hidden = self.conv1(F.relu(self.norm1(x, labels)))
        hidden = self.conv2(F.relu(self.norm2(hidden, labels)))
        result: Tensor = hidden + self.shortcut(x)
        return result


class SAGANGenerator(Generator):
    """Dense, doubling residual blocks, batch normalization, ReLU, convolution, tanh; classes by conditional BN."""

    def __init__(self, config: SAGANConfig) -> None:
        super().__init__(config)
        self.sagan = config
        plan = config.generator_plan()
        (first, width), spectral = plan[0], config.spectral_g
        size = config.base[0] * first // min(config.base), config.base[1] * first // min(config.base)
        self.dense = linear(config.latent, width * math.prod(size), spectral=spectral)
        self.grid = Grid(size)
        attended = config.attention("g")
        self.blocks = nn.ModuleList()
        self.attention = nn.ModuleDict()
        if first in attended:
            self.attention[str(first)] = SelfAttention(width, spectral=spectral)
        for side, outputs in plan[1:]:
            self.blocks.append(GeneratorBlock(width, outputs, config))
            if side in attended:
                self.attention[str(side)] = SelfAttention(outputs, spectral=spectral)
            width = outputs
        self.norm = nn.BatchNorm2d(width, eps=config.norm_epsilon)
        self.picture = conv2d(width, config.channels, 3, spectral=spectral and config.spectral_picture)
        initialise(self, config.initialization)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent) to pictures (N, C, H, W) in [-1, 1]."""
        x, _ = self._body(latents, labels)
        return torch.tanh(self.picture(F.relu(self.norm(x))))

    def attention_maps(self, latents: Tensor, labels: Tensor | None = None) -> dict[int, Tensor]:
        """Where each place looks, for each resolution with self-attention: (N, HW, h, w), see `SelfAttention.maps`."""
        _, maps = self._body(latents, labels, with_maps=True)
        return maps

    def _body(
        self, latents: Tensor, labels: Tensor | None, *, with_maps: bool = False
    ) -> tuple[Tensor, dict[int, Tensor]]:
        if self.sagan.classes and labels is None:
            raise ConfigError("a class-conditional generator needs labels")
        x = self.grid(self.dense(latents))
        maps: dict[int, Tensor] = {}
        for index, (side, _) in enumerate(self.sagan.generator_plan()):
            if index:
                x = self.blocks[index - 1](x, labels)
            if str(side) in self.attention:
                layer = self.attention[str(side)]
                if with_maps:
                    maps[side] = layer.maps(x)  # type: ignore[operator]
                x = layer(x)
        return x, maps


class DiscriminatorBlock(nn.Module):
    """Residual block: ReLU, conv, ReLU, conv, mean over 2x2 where it halves, beside a 1x1 convolution likewise.

    The `first` one has no ReLU before its first convolution, so that it sees the pictures as they are. Where maps and
    size stay the same, the shortcut is the input itself.
    """

    def __init__(self, inputs: int, outputs: int, *, halves: bool, first: bool, fused: bool) -> None:
        super().__init__()
        self.first = first
        hidden, resample = outputs if first else inputs, "down" if halves else "none"
        self.conv1 = conv2d(inputs, hidden, 3, spectral=True)
        self.conv2 = conv2d(hidden, outputs, 3, spectral=True, resample=resample, fused=fused)
        learned = halves or inputs != outputs
        self.shortcut = conv2d(inputs, outputs, 1, spectral=True, resample=resample) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(x if self.first else F.relu(x))
        result: Tensor = self.conv2(F.relu(hidden)) + self.shortcut(x)
        return result


class SAGANDiscriminator(Discriminator):
    """Halving residual blocks, flat ones, ReLU, sum over places, linear; classes by projection.

    Projection (Miyato & Koyama 2018, arXiv 1802.05637): the inner product of the summed features with the class's
    vector is added to the score; for a pack of pictures with the mean of their classes' vectors.
    """

    def __init__(self, config: SAGANConfig) -> None:
        super().__init__(config)
        self.sagan = config
        attended = config.attention("d")
        self.blocks = nn.ModuleList()
        self.attention = nn.ModuleDict()
        width = config.channels * config.pack
        for index, (side, outputs, halves) in enumerate(config.discriminator_plan()):
            self.blocks.append(DiscriminatorBlock(width, outputs, halves=halves, first=index == 0, fused=config.fused))
            if halves and side in attended:
                self.attention[str(index)] = SelfAttention(outputs, spectral=True)
            width = outputs
        self.score = linear(width, 1, spectral=config.spectral_score)
        self.classes = table(config.classes, width, spectral=True) if config.classes else None
        initialise(self, config.initialization)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Pictures (N, C, H, W) to scores (N / pack,)."""
        x = self.packed(images)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if str(index) in self.attention:
                x = self.attention[str(index)](x)
        features = F.relu(x).sum(dim=(2, 3))
        score: Tensor = self.score(features)[:, 0]
        if self.classes is not None:
            if labels is None:
                raise ConfigError("a class-conditional discriminator needs labels")
            vectors = self.packed_mean(self.classes(labels))
            score = score + (vectors * features).sum(dim=1)
        return Verdict(score)

    def packed_mean(self, vectors: Tensor) -> Tensor:
        """Class vectors (N, features) averaged over each pack: (N / pack, features)."""
        pack = self.sagan.pack
        return vectors.reshape(vectors.shape[0] // pack, pack, -1).mean(dim=1) if pack > 1 else vectors
