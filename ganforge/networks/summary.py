"""What a network is made of, layer by layer."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.networks.base import Discriminator, Generator, Verdict
from ganforge.schedule import Stage


@dataclass(frozen=True)
class Row:
    """A layer: its name in the state, its kind, its output's shape without the batch, and how many numbers it learns.

    The last row of a summary is the network: no name, its output's shape, and the sum of all that takes part.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def summary(network: Generator | Discriminator, stage: Stage | None = None) -> list[Row]:
    """The layers that take part, in the order in which they finish, each once and with its own numbers only.

    Two blank pictures (or packs) go through the network on its device. Weights and modes are left as they were, nothing
    random is drawn; the network is left at `stage` where one is given. Functions without a layer (the ReLU of residual
    blocks, pixel norm) are not shown.
    """
    if stage is not None:
        network.set_stage(stage)
    rows: dict[str, Row] = {}

    def record(name: str) -> Any:
        def hook(layer: nn.Module, _: Any, output: Any) -> None:
            rows.setdefault(name, Row(name, type(layer).__name__, _shape(output), _own(layer)))

        return hook

    hooks = [
        layer.register_forward_hook(record(name)) for name, layer in network.named_modules() if _shown(name, layer)
    ]
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            output = network(*_blank(network, stage))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    total = sum(row.parameters for row in rows.values()) + _own(network)
    return [*rows.values(), Row("", type(network).__name__, _shape(output), total)]


def _shown(name: str, layer: nn.Module) -> bool:
    """All layers but the network itself and those that only hold others."""
    return bool(name) and (not any(True for _ in layer.children()) or _own(layer) > 0)


def _own(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters(recurse=False))


def _shape(output: Any) -> tuple[int, ...]:
    tensor: Tensor = output.score if isinstance(output, Verdict) else output
    return tuple(tensor.shape[1:])


def _blank(network: Generator | Discriminator, stage: Stage | None) -> tuple[Tensor, Tensor | None]:
    config, device = network.config, next(network.parameters()).device
    count = 2 if isinstance(network, Generator) else 2 * config.pack
    labels = torch.zeros(count, dtype=torch.int64, device=device) if config.classes else None
    if isinstance(network, Generator):
        return torch.zeros(count, config.latent, device=device), labels
    size = config.size(stage.resolution if stage else config.resolution)
    return torch.zeros(count, config.channels, *size, device=device), labels
