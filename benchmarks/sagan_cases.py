"""Cases of the study of SAGAN on CIFAR-10 side by side at a small scale: same pictures, same count of images, seeds.

    python benchmarks/sagan_cases.py DATASET [--cases 0 2 3 5] [--seeds 3] [--kimg 64] [--width 32] [--out FOLDER]

Each run is `ganforge train --preset sagan-cifar10-caseN` with narrow networks and batch 64, rates as the case has them,
then `ganforge evaluate`. Runs and scores that are in FOLDER already are not made again. Printed: the mean over the
seeds and in brackets the lowest and the highest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

METRICS = {
    "fid[efficientnet-lite0@112]": 1,
    "kid[efficientnet-lite0@112]": 3,
    "coverage[efficientnet-lite0@112]": 3,
    "accuracy[classifier]": 3,
    "modes[classifier]": 1,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--cases", type=int, nargs="+", default=[0, 2, 3, 5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kimg", default="64")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--n", default="2000")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    rows = {}
    for case in options.cases:
        runs = [options.out / f"case{case}-seed{seed}" for seed in range(options.seeds)]
        for seed, run in enumerate(runs):
            train(run, case, seed, options)
        rows[case] = [score(run, options.n) for run in runs]
    print(f"{'case':6s}" + "".join(f"{name:>34s}" for name in METRICS))
    for case, found in rows.items():
        cells = [cell([values[name] for values in found], digits) for name, digits in METRICS.items()]
        print(f"{case:<6d}" + "".join(f"{text:>34s}" for text in cells))


def ganforge(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "ganforge", *words], check=True, stdout=subprocess.DEVNULL)


def train(run: Path, case: int, seed: int, options: argparse.Namespace) -> None:
    widths = [f"--set=network.{name}={options.width}" for name in ("width_g", "max_width_g", "width_d", "max_width_d")]
    preset = ["--preset", f"sagan-cifar10-case{case}", "--batch", "64", "--precision", "bf16", *widths]
    where = ["--data", options.dataset, "--out", str(run), "--auto-resume", "--on-trouble", "warn"]
    ganforge("train", *preset, "--kimg", options.kimg, "--seed", str(seed), *where)


def score(run: Path, count: str) -> dict[str, float]:
    """The figures of a run's end."""
    kept = run / f"scores-{count}.json"
    if not kept.exists():
        names = ",".join(dict.fromkeys(name.partition("[")[0] for name in METRICS))
        extractor = "efficientnet-lite0@112"
        ganforge("evaluate", str(run), "--metrics", names, "--extractor", extractor, "--n", count, "--json", str(kept))
    content = json.loads(kept.read_text())
    return {name: content[name]["value"] for name in METRICS}


def cell(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
