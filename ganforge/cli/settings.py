"""From what was typed and what the dataset is to a whole configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganforge import checkpoint
from ganforge.config import AugmentConfig, DataConfig, RunConfig, parse_assignments
from ganforge.data.dataset import Dataset
from ganforge.errors import ConfigError, unknown
from ganforge.presets import PRESETS, continued, default_for, find_preset, fit
from ganforge.sampling.generator import find_generator
from ganforge.schedule import Span

AUGMENT: dict[str, dict[str, Any]] = {
    "none": AugmentConfig().model_dump(mode="json"),
    "diffaugment": {"policy": ["colour", "translation", "cutout"], "p": 1.0, "target": None, "ramp": 500.0},
    "ada": {"policy": ["colour", "translation", "cutout"], "p": 0.0, "target": 0.6, "ramp": 500.0},
}


@dataclass(frozen=True)
class Wishes:
    """What the user asked of a run, as typed; `source` is the configuration of the run that it fine-tunes."""

    arch: str | None = None
    preset: str | None = None
    max_res: int | None = None
    assignments: tuple[str, ...] = ()
    kimg: float | None = None
    kimg_per_phase: float | None = None
    fade: float | None = None
    batch: str | None = None
    micro_batch: str | None = None
    precision: str | None = None
    augment: str | None = None
    freeze_d: int | None = None
    conditional: bool | None = None
    lr_scale: str | None = None
    seed: int | None = None
    source: RunConfig | None = None


def configure(wishes: Wishes, dataset: Dataset, *, gpu: bool) -> tuple[RunConfig, str]:
    """The configuration for these wishes and pictures, and a sentence that says how it was chosen.

    Raises ConfigError, one line, for wishes that cannot be met.
    """
    resolution = choose_resolution(wishes.max_res, dataset)
    config, reason = _begin(wishes, dataset, resolution, gpu)
    if wishes.max_res is not None and wishes.max_res > resolution:
        reason += f"; {resolution} is the largest size of {dataset.path}, prepare it with --max-res {wishes.max_res}"
    data = DataConfig(
        path=str(dataset.path.resolve()),
        name=dataset.name,
        digest=dataset.digest,
        count=dataset.count,
        classes=tuple(dataset.classes),
        class_counts=class_counts(dataset),
        mirror=(config.data.mirror and not dataset.facts.get("stack")) or dataset.mirror,  # digits have one side
        crop=config.data.crop,
    )
    config = config.changed({"data": data.model_dump(mode="json")}, "dataset")
    for name, changes in _option_changes(wishes, config):
        config = config.changed(changes, name)
    config = config.changed(parse_assignments(list(wishes.assignments)))
    return config, reason


def _begin(wishes: Wishes, dataset: Dataset, resolution: int, gpu: bool) -> tuple[RunConfig, str]:
    facts: dict[str, Any] = {
        "base": dataset.base,
        "resolution": resolution,
        "channels": dataset.channels,
        # A class of stacked digits is a mode to be reached, not a thing to be asked for.
        "classes": 0 if dataset.facts.get("stack") else len(dataset.classes),
    }
    if wishes.source is not None:
        if wishes.arch not in (None, wishes.source.network.arch):
            raise ConfigError(f"--from: that run is a {wishes.source.network.arch}; leave --arch {wishes.arch} out")
        begun = default_for(wishes.source.network.arch, **facts, count=dataset.count, gpu=gpu)
        return continued(wishes.source, begun), f"fine-tuning a {wishes.source.network.arch} with its own settings"
    if wishes.preset is not None:
        config = fit(_preset(wishes.preset), **facts)
        if wishes.arch not in (None, config.network.arch):
            raise ConfigError(f"--preset {wishes.preset} is a {config.network.arch}; leave --arch {wishes.arch} out")
        return config, f"preset {config.preset or wishes.preset}"
    config = default_for(wishes.arch or "pggan", **facts, count=dataset.count, gpu=gpu)
    where = "a GPU" if gpu else "the CPU"
    what = f"{dataset.count} pictures of {resolution} pixels and {where}"
    return config, f"{config.preset} scaled to {what} (--preset chooses another)"


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


@dataclass(frozen=True)
class Origin:
    """The checkpoint that a fine-tuned run begins with."""

    path: Path
    config: RunConfig
    content: dict[str, Any]


def open_origin(what: str | None) -> Origin | None:
    """The run (its newest whole checkpoint) or checkpoint that `--from` names. Raises CheckpointError, one line."""
    if what is None:
        return None
    path, _ = find_generator(what)
    content = checkpoint.read(path)
    return Origin(path, RunConfig.parse(content["config"], str(path)), content)


def choose_resolution(wished: int | None, dataset: Dataset) -> int:
    """The level to train to: the wished one, or the dataset's largest where that is smaller.

    Raises ConfigError for a size that is no doubling of the base grid, or smaller than all levels.
    """
    if wished is None or wished in dataset.resolutions:
        return wished or dataset.resolution
    factor, rest = divmod(wished, min(dataset.base))
    if rest or factor & (factor - 1) or factor == 0:
        sizes = ", ".join(map(str, dataset.resolutions))
        raise ConfigError(f"--max-res {wished}: not a size of {dataset.path}; its sizes are {sizes}")
    return dataset.resolution


def class_counts(dataset: Dataset) -> tuple[int, ...]:
    """How many pictures each class has; empty without labels."""
    if dataset.labels is None:
        return ()
    return tuple(int(count) for count in np.bincount(dataset.labels, minlength=len(dataset.classes)))


def _option_changes(wishes: Wishes, config: RunConfig) -> list[tuple[str, dict[str, Any]]]:
    """Each option that was given, as changes to the configuration."""
    changes: list[tuple[str, dict[str, Any]]] = []
    for name in ("kimg", "precision", "freeze_d", "seed"):
        if getattr(wishes, name) is not None:
            changes.append((f"--{name.replace('_', '-')}", {name: getattr(wishes, name)}))
    if wishes.conditional is not None:
        if wishes.conditional and not config.data.classes:
            raise ConfigError(f"--conditional: {config.data.path} has no classes; prepare it from class sub-folders")
        changes.append(("--conditional", {"network.classes": len(config.data.classes) * wishes.conditional}))
    if wishes.kimg_per_phase is not None or wishes.fade is not None:
        changes.append(("--kimg-per-phase and --fade", _lengths(wishes.kimg_per_phase, wishes.fade, config)))
    if wishes.batch is not None:
        changes.append(("--batch", _batches(wishes.batch, config)))
    if wishes.lr_scale is not None:
        changes.append(("--lr-scale", _scaled_rates(wishes.lr_scale, config, changes)))
    if wishes.micro_batch is not None:
        value = int(wishes.micro_batch) if wishes.micro_batch.isdigit() else wishes.micro_batch
        changes.append(("--micro-batch", {"micro_batch": value}))
    if wishes.augment is not None:
        if wishes.augment not in AUGMENT:
            raise ConfigError(f"--augment: {unknown('augmentation', wishes.augment, AUGMENT)}")
        changes.append(("--augment", {"augment": AUGMENT[wishes.augment]}))
    return changes


def _lengths(kimg: float | None, share: float | None, config: RunConfig) -> dict[str, Any]:
    """Every phase `kimg` long, the first `share` of it fading (nothing fades into the lowest level)."""
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"--fade {share:g}: the share of a phase that fades is from 0 to 1")
    changes: dict[str, Any] = {}
    for index, phase in enumerate(config.phases):
        old = phase.fade.value / phase.length.value if phase.fade.unit == phase.length.unit else 0.5
        faded = (
            old if share is None else share if index and phase.resolution > config.phases[index - 1].resolution else 0
        )
        length = phase.length if kimg is None else Span(kimg, "kimg")
        changes[f"phases.{index}.length"] = str(length)
        changes[f"phases.{index}.fade"] = str(Span(length.value * faded, length.unit))
    return changes


def _scaled_rates(rule: str, config: RunConfig, changes: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Rates in proportion to the batch: those of the configuration are taken to be for its own batch.

    So a preset for batch 256 with `--batch 64 --lr-scale linear` trains at a quarter of its rates (article B).
    """
    if rule not in ("linear", "none"):
        raise ConfigError(f"--lr-scale {rule!r}: write linear or none")
    batches = {key: value for name, change in changes if name == "--batch" for key, value in change.items()}
    scaled: dict[str, Any] = {}
    for index, phase in enumerate(config.phases):
        factor = batches.get(f"phases.{index}.batch", phase.batch) / phase.batch
        if rule == "linear" and factor != 1:
            scaled[f"phases.{index}.lr_g"] = phase.lr_g * factor
            scaled[f"phases.{index}.lr_d"] = phase.lr_d * factor
    return scaled


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
