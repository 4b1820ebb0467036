"""How many pictures fit into memory at once: tried before a phase begins, with a margin kept."""

import torch

from ganforge.errors import TrainingError
from ganforge.training.state import TrainState
from ganforge.training.updates import Batch, discriminator_gradients, generator_gradients
from ganforge.training.world import World

MARGIN = 0.9  # of the device's memory; what is left is for fragmentation, snapshots and other programs


def largest_micro_batch(state: TrainState, batch: Batch, world: World) -> int:
    """The largest micro-batch whose gradients fit: all of a rank's share (0), or its half, quarter …

    Computes both updates' gradients and throws them away; the networks' buffers are put back, so the run is the same
    whether or not it was probed. Raises TrainingError when even the smallest does not fit.
    """
    size, smallest = world.share_of(len(batch.images)), max(state.config.network.pack, 2)
    buffers = [
        (buffer, buffer.clone()) for network in (state.generator, state.discriminator) for buffer in network.buffers()
    ]
    now = state.micro_batch
    candidate = size
    try:
        while True:
            state.micro_batch = 0 if candidate == size else candidate
            full = 0 if _fits(state, batch, world) else 1
            if not world.most([full])[0]:  # the ranks' GPUs may have other programs on them: it must fit on all
                return state.micro_batch
            if candidate <= smallest:
                raise TrainingError(
                    f"out of memory at {state.config.network.size(batch.images.shape[2])} with a micro-batch of "
                    f"{candidate}; train a smaller --max-res, narrower networks, or with --precision bf16"
                )
            candidate = max(candidate // 2, smallest)
    finally:
        state.micro_batch = now
        with torch.no_grad():
            for buffer, kept in buffers:
                buffer.copy_(kept)


def _fits(state: TrainState, batch: Batch, world: World) -> bool:
    cuda = state.device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(state.device)
    try:
        discriminator_gradients(state, batch, 0, world, always=True)
        generator_gradients(state, len(batch.images), world)
    except torch.OutOfMemoryError:
        if cuda:
            torch.cuda.empty_cache()
        return False
    if not cuda:
        return True
    _, total = torch.cuda.mem_get_info(state.device)
    return torch.cuda.max_memory_reserved(state.device) <= MARGIN * total
