"""What the two networks minimise, as functions of the discriminator's scores (N,): one row a loss."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import ConfigError, unknown


@dataclass(frozen=True)
class Loss:
    """The discriminator minimises `real(D(x)) + fake(D(G(z)))`, the generator `generator(D(G(z)))`; all are means."""

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES: dict[str, Loss] = {
    # Arjovsky et al. 2017; with a gradient penalty, Gulrajani et al. 2017.
    "wgan": Loss(lambda s: -s.mean(), lambda s: s.mean(), lambda s: -s.mean()),
    # Lim & Ye 2017; Miyato et al. 2018; Zhang et al. 2019.
    "hinge": Loss(lambda s: F.relu(1 - s).mean(), lambda s: F.relu(1 + s).mean(), lambda s: -s.mean()),
    # Goodfellow et al. 2014: binary cross-entropy on logits, the generator with flipped labels.
    "non-saturating": Loss(
        lambda s: F.softplus(-s).mean(), lambda s: F.softplus(s).mean(), lambda s: F.softplus(-s).mean()
    ),
    # Mao et al. 2017, a = 0, b = c = 1.
    "lsgan": Loss(
        lambda s: (s - 1).square().mean() / 2, lambda s: s.square().mean() / 2, lambda s: (s - 1).square().mean() / 2
    ),
}


def find_loss(name: str) -> Loss:
    """The loss of that name. Raises ConfigError that lists the names."""
    if name not in LOSSES:
        raise ConfigError(unknown("loss", name, LOSSES))
    return LOSSES[name]
