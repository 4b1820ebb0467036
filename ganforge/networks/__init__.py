"""The networks: `build_generator` and `build_discriminator` are the only ways to one."""

from collections.abc import Callable
from typing import Any

from ganforge.config import NetworkConfig
from ganforge.networks.base import Discriminator, Generator, Verdict, parameters
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.pggan import PGGANDiscriminator, PGGANGenerator
from ganforge.networks.sagan import SAGANDiscriminator, SAGANGenerator

ARCHITECTURES: dict[str, tuple[Callable[[Any], Generator], Callable[[Any], Discriminator]]] = {
    "pggan": (PGGANGenerator, PGGANDiscriminator),
    "sagan": (SAGANGenerator, SAGANDiscriminator),
    "dcgan": (DCGANGenerator, DCGANDiscriminator),
}

__all__ = [
    "ARCHITECTURES",
    "Discriminator",
    "Generator",
    "Verdict",
    "build_discriminator",
    "build_generator",
    "parameters",
]


def build_generator(config: NetworkConfig) -> Generator:
    """The generator that a network configuration describes, freshly initialised from torch's global generator."""
    return ARCHITECTURES[config.arch][0](config)  # type: ignore[attr-defined]


def build_discriminator(config: NetworkConfig) -> Discriminator:
    """The discriminator that a network configuration describes, freshly initialised from torch's global generator."""
    return ARCHITECTURES[config.arch][1](config)  # type: ignore[attr-defined]
