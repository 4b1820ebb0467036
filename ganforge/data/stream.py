"""The endless sequence of training pictures, as a pure function of a seed and a position.

Every epoch is a permutation that depends on (seed, epoch) alone, and whether a picture is mirrored on (seed, position)
alone. So nothing about the order is ever saved: to go on where a run stopped, take from the same position. Because the
sequence is endless, batches run over the ends of epochs and none is ever incomplete or dropped.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ganforge.data.dataset import Dataset, Labels, Pixels

ORDER, MIRROR = 0, 1  # the purposes that random numbers are drawn for, a part of their seed

Batch = tuple[Pixels, Labels | None]


class Stream:
    """Pictures of a dataset in their training order.

    Args:
        dataset: what to show.
        seed: chooses the order; 0 or more.
        mirror: whether a fair coin decides, at each position, to flip the picture left to right.
    """

    def __init__(self, dataset: Dataset, seed: int, *, mirror: bool) -> None:
        self.dataset = dataset
        self.seed = seed
        self.mirror = mirror
        # An epoch's order is 8 bytes a picture: the two kept are those that a batch over an epoch's end needs.
        self._order = lru_cache(maxsize=2)(self._make_order)
        self._flips = lru_cache(maxsize=2)(self._make_flips)
        self._level = lru_cache(maxsize=2)(dataset.level)

    def take(self, start: int, count: int, resolution: int) -> Batch:
        """The pictures numbered `start` to `start + count - 1` of the endless sequence, and their labels.

        Returns:
            uint8 (count, channels, height, width) of the level `resolution`, and int64 (count,) or None.

        Raises:
            DataError: the dataset has no such level.
        """
        indices, flips = self._positions(start, count)
        pictures = np.take(self._level(resolution), indices, axis=0)
        if self.mirror:
            pictures[flips] = pictures[flips, :, :, ::-1]
        labels = self.dataset.labels
        return pictures, None if labels is None else labels[indices]

    def prefetch(self, requests: Iterable[tuple[int, int, int]], depth: int = 2) -> Iterator[Batch]:
        """`take` for each (start, count, resolution), read up to `depth` batches ahead by a background thread.

        The batches are those of `take`, in the order of the requests; abandoning the iterator stops the thread.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stream") as reader:
            ahead: deque[Future[Batch]] = deque()
            try:
                for request in requests:
                    ahead.append(reader.submit(self.take, *request))
                    if len(ahead) > depth:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                reader.shutdown(wait=False, cancel_futures=True)

    def _positions(self, start: int, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Which pictures stand at these positions, and which of them are mirrored."""
        if start < 0 or count < 1:
            raise ValueError(f"cannot take {count} pictures from position {start}")
        size = self.dataset.count
        indices, flips = [], []
        position, end = start, start + count
        while position < end:
            epoch, first = divmod(position, size)
            last = min(size, first + end - position)
            indices.append(self._order(epoch)[first:last])
            flips.append(self._flips(epoch)[first:last])
            position += last - first
        return np.concatenate(indices), np.concatenate(flips)

    def _make_order(self, epoch: int) -> npt.NDArray[np.int64]:
        # Sorting raw words: numpy promises that a bit generator's words never change, but not what permutation() makes
        # of them, and a run must go on the same after numpy was upgraded.
        return np.argsort(self._words(epoch, ORDER), kind="stable")

    def _make_flips(self, epoch: int) -> npt.NDArray[np.bool_]:
        return (self._words(epoch, MIRROR) >> np.uint64(63)).astype(np.bool_)

    def _words(self, epoch: int, purpose: int) -> npt.NDArray[np.uint64]:
        seed = np.random.SeedSequence([self.seed, epoch, purpose])
        return np.random.PCG64(seed).random_raw(self.dataset.count)


def to_tensor(pictures: Pixels, device: torch.device | str) -> torch.Tensor:
    """uint8 pictures (N, C, H, W) as float32 in [-1, 1]: they go to `device` as bytes and are scaled there."""
    tensor = torch.from_numpy(pictures if pictures.flags.writeable else pictures.copy())
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device).div(127.5).sub_(1.0)  # division makes it float32
