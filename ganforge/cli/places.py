"""Where the ranks of one machine compute: a GPU each, or all on the CPU."""

from typing import TYPE_CHECKING

from ganforge.errors import ConfigError

if TYPE_CHECKING:
    import torch


def require_place(local_rank: int, ranks: int, device: str) -> "torch.device":
    """The device of one of `ranks` ranks on this machine: `cuda:<local_rank>`, or the CPU where there is no GPU.

    Raises ConfigError for more ranks than GPUs, and for one GPU that all would take.
    """
    import torch

    from ganforge.sampling.generator import choose_device

    place = choose_device(device)
    if place.type != "cuda":
        return place
    if ":" in device:
        raise ConfigError(
            f"--device {device}: {ranks} ranks take a GPU each; write --device cuda and choose them with "
            "CUDA_VISIBLE_DEVICES"
        )
    if ranks > torch.cuda.device_count():
        raise ConfigError(
            f"--gpus {ranks}: this machine has {torch.cuda.device_count()}; start as many ranks at most, "
            "or on the CPU with --device cpu"
        )
    return torch.device("cuda", local_rank)
