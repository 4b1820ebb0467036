"""Do the metrics order what is known to be ordered? On a folder of real pictures in class sub-folders.

    python benchmarks/evaluate_orderings.py FOLDER [--n 1000] [--extractor efficientnet-lite0]

One half of the pictures plays the reals. The other half is scored as it is, with noise in five steps, with one picture
repeated, without half of its classes, and with 5% of its pictures replaced by ones of the first half.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ganforge.evaluation.pictures import ArraySource, FolderSource, PictureSource, shuffled
from ganforge.evaluation.scores import Options, Scores, score

METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "ms-ssim", "swd")
NOISE = (8, 16, 32, 64, 128)


def pixels(source: PictureSource, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.concatenate([source.take(part) for part in np.array_split(indices, max(1, len(indices) // 256))])


def row(name: str, scores: Scores) -> None:
    values = [f"{scores[key].figure.value:9.4f}" for key in scores.by_key if "/" not in key]
    print(f"{name:28s} " + " ".join(values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--extractor", default="efficientnet-lite0")
    parser.add_argument("--cache", type=Path, default=None)
    args = parser.parse_args()
    whole = shuffled(FolderSource(args.folder), 0)
    assert whole.labels is not None, "the folder needs class sub-folders"
    count = min(args.n, len(whole) // 3)
    first, second, third = (np.arange(i * count, (i + 1) * count, dtype=np.int64) for i in range(3))
    reals = ArraySource(pixels(whole, first), name="first", labels=whole.labels[first], classes=whole.classes)
    others = pixels(whole, second)
    options = Options(extractors=(args.extractor,), count=count, cache=args.cache, reference=False)

    def scored(name: str, array: NDArray[np.uint8], metrics: Sequence[str] = METRICS) -> Scores:
        return score(ArraySource(array, name=name), reals, metrics, options)

    print(f"{args.folder}: {len(whole)} pictures of {whole.shape}; {count} against {count}; {args.extractor}")
    print(" " * 29 + " ".join(f"{name:>9s}" for name in METRICS))
    row("the other half", scored("half", others))
    random = np.random.default_rng(0)
    for deviation in NOISE:
        noise = random.normal(0, deviation, others.shape)
        row(f"noise of {deviation}", scored("noise", np.clip(others + noise, 0, 255).astype(np.uint8)))
    row("one picture repeated", scored("one", np.repeat(others[:1], count, axis=0)))
    kept = np.flatnonzero(whole.labels < (len(whole.classes) + 1) // 2)
    kept = kept[kept >= count][:count]
    row(f"half the classes (n {len(kept)})", scored("classes", pixels(whole, kept)))
    same = whole.labels[second]
    row("as many, all classes", scored("fewer", others[: len(kept)]))
    print(f"classes of the other half: {np.bincount(same).tolist()}")
    for name, copies in (("no copies", 0), ("5% copies", count // 20)):
        array = pixels(whole, third)
        array[:copies] = reals.take(np.arange(copies, dtype=np.int64))
        found = scored(name, array, ("memorisation",)).audits[args.extractor]
        print(
            f"{name}: {found.copies:.2%} within the limit, {found.unseen:.2%} of reals; chance {found.chance:.1e};"
            f" {'ALARM' if found.alarm else 'no alarm'}"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
