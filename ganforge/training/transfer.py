"""Fine-tuning: a new run's networks begin with the weights of another run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.training.state import TrainState

STAGE = "stage_state"  # where a growing network stands is the new run's business


def adopt(state: TrainState, content: Mapping[str, Any]) -> tuple[int, int]:
    """Take over the weights of a checkpoint's content wherever name and shape agree; the rest stays fresh.

    Levels above the old run's, and class tables of another count of classes, are such a rest. The trained generator
    and its average both begin with the old average, where there is one. Returns (tensors taken, tensors there are).
    """
    average = content.get("ema") or content["generator"]
    sources: list[tuple[nn.Module | None, Mapping[str, Tensor]]] = [
        (state.generator, average),
        (state.ema, average),
        (state.discriminator, content["discriminator"]),
    ]
    counts = [_copy(network, weights) for network, weights in sources if network is not None]
    return sum(taken for taken, _ in counts), sum(there for _, there in counts)


@torch.no_grad()
def _copy(network: nn.Module, weights: Mapping[str, Tensor]) -> tuple[int, int]:
    own = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(STAGE)}
    taken = {
        name: weights[name] for name, tensor in own.items() if name in weights and weights[name].shape == tensor.shape
    }
    network.load_state_dict(taken, strict=False)
    return len(taken), len(own)
