"""What watching costs: images a second of `ganforge train` as users run it, against its bare loop of steps.

    python benchmarks/run_speed.py DATASET [--arch dcgan pggan sagan] [--kimg 8] [--rounds 3] [--threads 2]

The run has all that a run has: log, grids, watchdog, hints, display, checkpoints in the background. The bare loop takes
the same steps of the same configuration in a process of its own and does nothing else. Both are timed from the first
line of the log to the last, one after the other in each round; the medians are compared. A ratio far below 1 means that
something beside the steps slows them: a thread that had computed with torch and lived on once made this 0.6.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from ganforge.config import RunConfig
from ganforge.data.dataset import Dataset
from ganforge.data.stream import Stream
from ganforge.observers.jsonl import read_lines
from ganforge.schedule import Schedule
from ganforge.training.loop import train
from ganforge.training.state import TrainState


def whole(words: argparse.Namespace, arch: str, folder: Path) -> float:
    line = [sys.executable, "-m", "ganforge", "train", "--arch", arch, "--data", str(words.data), "--device", "cpu"]
    line += ["--kimg", str(words.kimg), "--out", str(folder)]
    subprocess.run(line, check=True, capture_output=True)
    first, *_, last = read_lines(folder / "log.jsonl")
    return float((last["images"] - first["images"]) / (last["elapsed"] - first["elapsed"]))


def bare(folder: Path) -> float:
    config = RunConfig.parse(json.loads((folder / "run.json").read_text())["config"], str(folder))
    dataset = Dataset.open(config.data.path)
    schedule = Schedule.resolve(
        config.phases, dataset_size=dataset.count, images_per_batch=config.updates.d_per_g, kimg=config.kimg
    )
    first = read_lines(folder / "log.jsonl")[0]["images"]
    state, began = TrainState.create(config, torch.device("cpu")), 0.0
    for report in train(state, Stream(dataset, config.seed, mirror=config.data.mirror), schedule):
        if report.began < first <= report.images:
            began = time.perf_counter()
    return (schedule.images - first) / (time.perf_counter() - began)


def compare(words: argparse.Namespace, arch: str, scratch: Path) -> None:
    rates: dict[str, list[float]] = {"bare": [], "whole": []}
    for number in range(words.rounds):
        folder = scratch / f"{arch}-{number}"
        rates["whole"].append(whole(words, arch, folder))
        child = [sys.executable, __file__, str(words.data), "--bare", str(folder)]
        rates["bare"].append(float(subprocess.run(child, check=True, capture_output=True, text=True).stdout))
    run, loop = (statistics.median(rates[name]) for name in ("whole", "bare"))
    print(f"{arch}: {run:.1f} images/s of the run, {loop:.1f} of the bare loop, ratio {run / loop:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset folder")
    parser.add_argument("--arch", nargs="+", default=["dcgan", "pggan", "sagan"])
    parser.add_argument("--kimg", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.bare:
        print(bare(words.bare))
        sys.exit()
    os.environ["OMP_NUM_THREADS"] = str(words.threads)
    with tempfile.TemporaryDirectory() as scratch:
        for arch in words.arch:
            compare(words, arch, Path(scratch))
