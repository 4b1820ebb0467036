"""The processes that train together: each computes its share of every batch, gradients are summed by one all-reduce."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class World:
    """This process's place among `size` ranks; the default is a run of one process."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "World":
        """The process group that the launcher made, if it made one."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    def shares(self, batch: int, micro_batch: int, multiple: int) -> Iterator[slice]:
        """This rank's part of a batch, in slices of at most `micro_batch` (0: no limit), sizes multiples of `multiple`.

        The ranks' parts are consecutive, do not overlap, and together are the batch.
        """
        units = batch // multiple
        begin, end = units * self.rank // self.size, units * (self.rank + 1) // self.size
        pieces = -(-(end - begin) // max(micro_batch // multiple, 1)) if micro_batch else 1
        for piece in range(max(pieces, 1)):
            first = begin + (end - begin) * piece // pieces
            last = begin + (end - begin) * (piece + 1) // pieces
            if last > first:
                yield slice(first * multiple, last * multiple)

    def sum(self, tensors: list[Tensor]) -> None:
        """Sum tensors over the ranks in place, as one flat bucket."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(flat)
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].reshape(tensor.shape))
            offset += tensor.numel()
