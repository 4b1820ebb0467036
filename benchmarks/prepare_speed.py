"""How fast `prepare` is, against the method of the StyleGAN2-ADA dataset tool, on the same folder of photographs.

The other method, written down here from its description: open with PIL, cut the middle square out, resize with LANCZOS,
save as uncompressed PNG into a zip archive; one process, one level. Ours writes every level from 4x4 up, checks,
fingerprints and checksums, in one process (the comparison a core) and with all cores (wall clock).

    python benchmarks/prepare_speed.py PICTURES [--max-res 256] [--limit 2000]

Prints pictures a second, their ratio, the peak memory of the whole process tree, and how much decoding JPEGs at a
reduced size changes the largest level.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from ganforge.data import pixels
from ganforge.data.pixels import Look, convert

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def other_method(files: list[Path], size: int, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, file in enumerate(files):
            picture = np.asarray(Image.open(file).convert("RGB"))
            side = min(picture.shape[:2])
            top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
            image = Image.fromarray(picture[top : top + side, left : left + side])
            image = image.resize((size, size), Image.Resampling.LANCZOS)
            content = io.BytesIO()
            image.save(content, format="png", compress_level=0, optimize=False)
            archive.writestr(f"{number:08d}.png", content.getvalue())


def measured(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in MiB (PSS: shared pages count once) of a command and its children."""
    began = time.perf_counter()
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            total = 0
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                for one in family:
                    total += one.memory_full_info().pss
            except psutil.Error:
                continue
            peak = max(peak, total / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"{command} ended with {code}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu, peak


def draft_difference(files: list[Path], size: int) -> str:
    """How much the largest level changes because large JPEGs are decoded at a reduced size."""
    look = Look((size, size), 3, "crop", None, (255, 255, 255), 1)
    margin, differences = pixels.DRAFT_MARGIN, []
    for file in files:
        with file.open("rb") as one, file.open("rb") as other:
            reduced = convert(one, look, 10**9)[0].astype(int)
            pixels.DRAFT_MARGIN = 1e9
            whole = convert(other, look, 10**9)[0].astype(int)
            pixels.DRAFT_MARGIN = margin
        differences.append(np.abs(reduced - whole))
    changed = [one for one in differences if one.any()]
    if not changed:
        return f"reduced decoding: used for none of {len(files)} pictures"
    mean, most = np.mean([one.mean() for one in changed]), max(int(one.max()) for one in changed)
    return f"reduced decoding: used for {len(changed)} of {len(files)}; mean change {mean:.3f} of 255, largest {most}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--max-res", type=int, default=256)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--other", type=Path, help=argparse.SUPPRESS)  # run the other method, writing there
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.pictures.rglob("*") if file.suffix.lower() in ENDINGS)[: arguments.limit]
    if arguments.other:
        other_method(files, arguments.max_res, arguments.other)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        for number, file in enumerate(files):
            shutil.copy(file, folder / f"{number:08d}{file.suffix}")
        options = ["--max-res", str(arguments.max_res), "--min-side", "1", "--force", "--out", f"{scratch}/out"]
        prepare = [sys.executable, "-m", "ganforge", "prepare", str(folder), *options]
        other = [
            sys.executable,
            __file__,
            str(folder),
            "--max-res",
            str(arguments.max_res),
            "--other",
            f"{scratch}/x.zip",
        ]
        runs = {
            "the other method, 1 process": other,
            "prepare, 1 process": [*prepare, "--workers", "0"],
            "prepare, all cores": prepare,
        }
        measured([*prepare, "--workers", "0"])  # so that all start from a warm cache
        rates = {}
        for name, command in runs.items():
            wall, cpu, peak = min(measured(command) for _ in range(3))
            rates[name] = (len(files) / wall, len(files) / cpu)
            print(
                f"{name:28} {wall:7.2f} s  {rates[name][0]:8.1f} pictures/s  {rates[name][1]:8.1f} a CPU second  "
                f"peak {peak:6.0f} MiB"
            )
        first = rates["the other method, 1 process"]
        for name in list(runs)[1:]:
            print(
                f"{name}: {rates[name][0] / first[0]:.2f} times as fast, {rates[name][1] / first[1]:.2f} a CPU second"
            )
        print(draft_difference(files[:100], arguments.max_res))


if __name__ == "__main__":
    main()
