"""The processes that train together: each computes its share of every batch, gradients are summed by one all-reduce.

Every rank has the same weights, optimizers, averages, smoothed figures, gate and augmentation: each is computed from
sums over all ranks, and all ranks begin from rank 0's state. What differs are the running statistics of batch
normalization, of each rank's own share: only sampling uses them, so rank 0's, which samples and saves, are the run's.
Random numbers are drawn for the whole batch, or seeded by where a share begins in it.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from ganforge.errors import TrainingError

PIECE = 1 << 28  # bytes broadcast at once


class RankLost(TrainingError):  # noqa: N818
    """Another rank has ended while this one waited for it."""


@dataclass(frozen=True)
class World:
    """This process's place among `size` ranks; the default is a run of one process, where nothing is exchanged.

    Every method that exchanges something is called by all ranks, in the same order, and raises RankLost when one of
    them is gone.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "World":
        """The process group that was joined, if one was."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    def share_of(self, batch: int) -> int:
        """The most pictures of a batch that a rank computes, where they divide evenly."""
        return -(-batch // self.size)

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
        with _exchange():
            distributed.all_reduce(flat)
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].reshape(tensor.shape))
            offset += tensor.numel()

    def most(self, values: Sequence[int]) -> list[int]:
        """The largest of each value over the ranks. It goes by the CPU: no GPU is waited for."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.int64)
        with _exchange():
            distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return [int(value) for value in tensor.tolist()]

    def share(self, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Rank 0's `content`, plain types and tensors, on every rank; what other ranks give is not looked at."""
        if self.size == 1:
            return content or {}
        packed = io.BytesIO()
        if self.rank == 0:
            torch.save(content or {}, packed)
        length = self.most([packed.tell()])[0]
        buffer = torch.empty(length, dtype=torch.uint8)
        if self.rank == 0:
            buffer.copy_(torch.frombuffer(packed.getbuffer(), dtype=torch.uint8))
        for begin in range(0, length, PIECE):
            with _exchange():
                distributed.broadcast(buffer[begin : begin + PIECE], src=0)
        if self.rank == 0:
            return content or {}
        received: dict[str, Any] = torch.load(io.BytesIO(buffer.numpy().data), map_location="cpu", weights_only=True)
        return received


@contextmanager
def _exchange() -> Iterator[None]:
    """A lost connection is a rank that has ended: whatever made it end has been told, or will be."""
    try:
        yield
    except RuntimeError as error:
        # Without the place in the library's source before it, and the guesses after it.
        reason = str(error).splitlines()[0].split("] ", 1)[-1].split(". ")[0]
        raise RankLost(f"another rank has ended ({reason:.120})") from None
