"""Pictures to files: a grid, a folder of PNG, or an array file."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.images import grid, save_picture, to_image
from ganforge.sampling.generator import Generator


def parse_seeds(text: str) -> list[int]:
    """`0-63`, `7` or `1,5,9-12` as numbers. Raises ConfigError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise ConfigError(f"--seeds {text!r}: write numbers and ranges from 0 up, as 0-63 or 1,5,9")
        seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
    return seeds


def class_labels(generator: Generator, names: str | None, count: int) -> Tensor | None:
    """A label (int64) for each of `count` pictures: the named classes, or all, in turn; None without classes."""
    if not generator.classes:
        if names:
            raise ConfigError(f"--class {names}: this generator knows no classes")
        return None
    wanted: Sequence[int | str] = names.split(",") if names else range(len(generator.classes))
    return generator.labels(wanted).repeat(-(-count // len(wanted)))[:count]


def write_pictures(
    generator: Generator,
    latents: Tensor,
    labels: Tensor | None,
    seeds: Sequence[int],
    out: Path,
    *,
    columns: int | None = None,
    batch: int = 64,
) -> None:
    """Draw and write: `.npz` holds `images` (N, H, W, C) uint8, `seeds` and `labels`; no suffix is a folder of PNG."""
    suffix = out.suffix.lower()
    if suffix == "" or out.is_dir():
        if out.exists() and not out.is_dir():
            raise ConfigError(f"--out {out}: is a file, not a folder")
        out.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(latents), batch):
            here = None if labels is None else labels[start : start + batch]
            pictures = generator.render(latents[start : start + batch], here, batch)
            for picture, seed, index in zip(pictures, seeds[start : start + batch], range(batch), strict=False):
                name = f"seed-{seed:06d}" if here is None else f"{generator.classes[int(here[index])]}-seed-{seed:06d}"
                save_picture(to_image(picture), out / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png")
        return
    pictures = generator.render(latents, labels, batch)
    if suffix == ".npz":
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.tmp.npz")
        if labels is None:
            np.savez(temporary, images=pictures, seeds=np.asarray(seeds))
        else:
            np.savez(temporary, images=pictures, seeds=np.asarray(seeds), labels=labels.cpu().numpy())
        temporary.replace(out)
        return
    save_picture(grid(pictures, columns=columns), out)
