"""Time and peak memory of a whole evaluation: N generated pictures against N real ones, the packaged extractor.

    python benchmarks/evaluate_speed.py FOLDER [--n 10000] [--side 32]

The generator is an untrained DCGAN of the paper's widths: what it draws does not matter to the time. Nothing is cached.
"""

import argparse
import resource
import time
from pathlib import Path

import torch

from ganforge.evaluation.metrics import OFFLINE
from ganforge.evaluation.pictures import FolderSource, GeneratorSource
from ganforge.evaluation.scores import Options, score
from ganforge.networks import build_generator
from ganforge.presets import default_for
from ganforge.sampling.generator import Generator


def generator(side: int) -> Generator:
    """A DCGAN that draws side x side pictures in colour."""
    base = side
    while base % 2 == 0 and base > 4:
        base //= 2
    config = default_for("dcgan", base=(base, base), resolution=side, channels=3, classes=0, count=10_000, gpu=False)
    torch.manual_seed(0)
    network = build_generator(config.network).eval().requires_grad_(False)
    return Generator(network, config, 0, False, torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--metrics", default=",".join(OFFLINE))
    args = parser.parse_args()
    began, stages, last = time.monotonic(), list[tuple[str, float]](), ""

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        if stage != last:
            stages.append((stage, time.monotonic() - began))
            last = stage

    reals = FolderSource(args.folder, (3, args.side, args.side))
    pictures = GeneratorSource(generator(args.side), args.n, name="untrained DCGAN")
    scores = score(pictures, reals, args.metrics.split(","), Options(count=args.n), progress=progress)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    for stage, start in stages:
        print(f"{start:8.1f} s  {stage}")
    for found in scores:
        print(f"{found.key:36s} {found.figure.value:.5g}")
    print(f"{args.n} generated against {min(args.n, len(reals))} real, {args.side}x{args.side}")
    print(f"wall {seconds:.0f} s, processor {used.ru_utime + used.ru_stime:.0f} s, threads {torch.get_num_threads()}")
    print(f"peak memory {used.ru_maxrss / 2**10:.0f} MiB")


if __name__ == "__main__":
    main()
