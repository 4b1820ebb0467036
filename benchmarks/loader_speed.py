"""How many pictures a second the training stream gives: mirrored, scaled to [-1, 1], from a warm cache, memory-mapped.

    python benchmarks/loader_speed.py [--pictures-32 100000] [--pictures-256 2000]

Writes two sets of noise to a temporary folder, reads them in batches in training order, and prints pictures a second
with and without reading ahead in a thread, with and without some work of the main thread in between, and the memory
that belongs to this process alone. The bars are 20,000 a second at 32x32 and 500 a second at 256x256, on two cores.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch

from ganforge.data.dataset import Dataset
from ganforge.data.prepare import Request, prepare
from ganforge.data.stream import Stream, to_tensor


def made(folder: Path, count: int, side: int) -> Dataset:
    pictures = np.lib.format.open_memmap(folder / f"{side}.npy", "w+", np.uint8, (count, side, side, 3))
    rng = np.random.default_rng(0)
    for start in range(0, count, 1000):
        pictures[start : start + 1000] = rng.integers(0, 256, pictures[start : start + 1000].shape, dtype=np.uint8)
    pictures.flush()
    prepared = prepare(Request(str(folder / f"{side}.npy"), out=folder / f"d{side}", workers=0))
    assert prepared.path is not None
    return Dataset.open(prepared.path)


def rate(dataset: Dataset, batch: int, seconds: float, ahead: bool, work: float) -> float:
    """Pictures a second, `work` seconds of the main thread being spent on each batch besides."""
    stream = Stream(dataset, 0, mirror=True)
    resolution = dataset.resolution
    requests = ((start, batch, resolution) for start in range(0, 10**12, batch))
    batches = stream.prefetch(requests) if ahead else (stream.take(*request) for request in requests)
    shown, began, used = 0, time.perf_counter(), 0.0
    for pictures, _ in batches:
        tensor = to_tensor(pictures, "cpu")
        shown += len(tensor)
        if work:
            time.sleep(work)  # what an accelerator does meanwhile
            used += work
        if time.perf_counter() - began > seconds:
            break
    return shown / (time.perf_counter() - began)


def anonymous() -> float:
    """MiB of memory that is no file's: mapped pictures are not counted, as the system may drop them at any time."""
    return sum(one.anonymous for one in psutil.Process().memory_maps()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures-32", type=int, default=100_000)
    parser.add_argument("--pictures-256", type=int, default=2000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the reading thread has the other core
    with tempfile.TemporaryDirectory() as scratch:
        for side, count, bar in ((32, arguments.pictures_32, 20_000), (256, arguments.pictures_256, 500)):
            dataset = made(Path(scratch), count, side)
            size, before = dataset.level(side).nbytes / 2**20, anonymous()
            for batch in (16, 64):
                rate(dataset, batch, 1.0, False, 0.0)
                for ahead in (False, True):
                    for work in (0.0, 0.01):
                        got = rate(dataset, batch, 3.0, ahead, work)
                        bound = f" of at most {batch / work:,.0f}" if work else f" ({got / bar:.1f} times the bar)"
                        print(
                            f"{side:3}x{side:<3} batch {batch:3}  {'ahead' if ahead else 'plain'}  "
                            f"{work * 1000:3.0f} ms of other work a batch: {got:10,.0f} pictures/s{bound}"
                        )
            print(f"the set has {size:,.0f} MiB; this process took {anonymous() - before:,.0f} MiB for all of it")


if __name__ == "__main__":
    main()
