"""From what was typed and what the dataset is to a whole configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.config import DataConfig, RunConfig, parse_assignments
from ganforge.data.dataset import Dataset
from ganforge.errors import ConfigError
from ganforge.presets import PRESETS, default_for, find_preset, fit


@dataclass(frozen=True)
class Wishes:
    """What the user asked of a run, as typed."""

    arch: str
    preset: str | None = None
    max_res: int | None = None
    assignments: tuple[str, ...] = ()
    kimg: float | None = None
    batch: str | None = None
    precision: str | None = None
    seed: int | None = None


def configure(wishes: Wishes, dataset: Dataset, *, gpu: bool) -> tuple[RunConfig, str]:
    """The configuration for these wishes and pictures, and a sentence that says how it was chosen.

    Raises ConfigError, one line, for wishes that cannot be met.
    """
    resolution = _resolution(wishes.max_res, dataset)
    facts: dict[str, Any] = {
        "base": dataset.base,
        "resolution": resolution,
        "channels": dataset.channels,
        "classes": len(dataset.classes),
    }
    if wishes.preset is None:
        config = default_for(wishes.arch, **facts, count=dataset.count, gpu=gpu)
        reason = (
            f"{config.preset} scaled to {dataset.count} pictures of {resolution} pixels and "
            f"{'a GPU' if gpu else 'the CPU'} (--preset chooses another)"
        )
    else:
        config = fit(_preset(wishes.preset), **facts)
        reason = f"preset {config.preset or wishes.preset}"
    data = DataConfig(
        path=str(dataset.path.resolve()),
        name=dataset.name,
        digest=dataset.digest,
        count=dataset.count,
        classes=tuple(dataset.classes),
        mirror=config.data.mirror or dataset.mirror,
        crop=config.data.crop,
    )
    changes: dict[str, Any] = {"data": data.model_dump(mode="json")}
    changes |= {
        name: getattr(wishes, name) for name in ("kimg", "precision", "seed") if getattr(wishes, name) is not None
    }
    config = config.changed(changes, "options")
    if wishes.batch:
        config = config.changed(_batches(wishes.batch, config), "--batch")
    return config.changed(parse_assignments(list(wishes.assignments))), reason


def _preset(name: str) -> RunConfig:
    path = Path(name)
    if name in PRESETS or path.suffix != ".json":
        return find_preset(name)
    try:
        return RunConfig.parse(json.loads(path.read_text(encoding="utf-8")), name)
    except OSError as error:
        raise ConfigError(f"--preset {name}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"--preset {name}: not JSON ({error})") from None


def _resolution(wished: int | None, dataset: Dataset) -> int:
    if wished is None:
        return dataset.resolution
    if wished in dataset.resolutions:
        return wished
    sizes = ", ".join(map(str, dataset.resolutions))
    if wished > dataset.resolution:
        # The largest that there is: the pictures were not prepared any larger.
        return dataset.resolution
    raise ConfigError(f"--max-res {wished}: not a size of {dataset.path}; its sizes are {sizes}")


def _batches(text: str, config: RunConfig) -> dict[str, Any]:
    """`32` for every phase, or `4:128,64:32`: from each resolution up."""
    try:
        if ":" not in text:
            table = {0: int(text)}
        else:
            table = {int(key): int(value) for key, _, value in (entry.partition(":") for entry in text.split(","))}
    except ValueError:
        raise ConfigError(f"--batch {text!r}: write a number, or resolution:batch pairs as 4:128,64:32") from None
    changes = {}
    for index, phase in enumerate(config.phases):
        named = [key for key in table if key <= phase.resolution]
        if named:
            changes[f"phases.{index}.batch"] = table[max(named)]
    return changes
