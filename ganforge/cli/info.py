"""`ganforge info`: what a dataset, a run or an architecture is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ganforge.config import RunConfig


def info(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A dataset folder or a run, its name or the run's number.",
            show_default="the most recently prepared dataset",
        ),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read all arrays and compare their checksums.")] = False,
    arch: Annotated[str | None, typer.Option(help="Show the layers of pggan, sagan or dcgan instead.")] = None,
    preset: Annotated[str | None, typer.Option(help="Show the layers of a preset's networks instead.")] = None,
    max_res: Annotated[int | None, typer.Option(help="With --arch: shorter side, pixels.", show_default="32")] = None,
    channels: Annotated[int, typer.Option(help="With --arch: 1 grey, 3 colour.", min=1, max=4)] = 3,
    classes: Annotated[int, typer.Option(help="With --arch: how many classes, 0 without.", min=0)] = 0,
) -> None:
    """Show what a dataset holds, where a run stands, or (--arch, --preset) the layers of an architecture."""
    if arch is not None or preset is not None:
        _show_networks(_configured(what, arch, preset, max_res, channels, classes))
    elif (run := _run_named(what)) is not None:
        _show_run(run)
    else:
        _show_dataset(what, verify=verify)


def _show_dataset(what: str | None, *, verify: bool) -> None:
    from rich.console import Console

    from ganforge.cli.datasets import show_dataset
    from ganforge.data.dataset import find_dataset

    dataset, sentence = find_dataset(what)
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    messages.print(sentence, markup=False)
    show_dataset(dataset.facts, Console(highlight=False))
    if verify:
        for name in dataset.verify():
            messages.print(f"{name}: as written", markup=False)
        print(f"{dataset.path}: all arrays are as written, sha256 {dataset.digest}")


def _configured(
    what: str | None, arch: str | None, preset: str | None, max_res: int | None, channels: int, classes: int
) -> "RunConfig":
    """The configuration whose networks are asked for. Raises ConfigError or DataError, one line."""
    import torch

    from ganforge.data.sizes import check_resolution, short_sides
    from ganforge.errors import ConfigError
    from ganforge.presets import default_for, find_preset

    if what is not None:
        raise ConfigError(f"{what}: name it, or an architecture with --arch or --preset, not both")
    if preset is not None:
        if arch is not None or max_res is not None:
            raise ConfigError(f"--preset {preset}: says the architecture and its size; leave --arch and --max-res out")
        return find_preset(preset)
    resolution = max_res or 32
    check_resolution(resolution)
    side = short_sides(resolution)[0]
    return default_for(
        arch or "pggan",
        base=(side, side),
        resolution=resolution,
        channels=channels,
        classes=classes,
        count=10_000,
        gpu=torch.cuda.is_available(),
    )


def _show_networks(config: "RunConfig") -> None:
    """Layer, kind, output shape and parameters of both networks, grown to their largest size."""
    from rich.console import Console
    from rich.table import Table

    from ganforge.networks import build_discriminator, build_generator, parameters
    from ganforge.networks.summary import summary
    from ganforge.schedule import Stage

    console, stage = Console(highlight=False), Stage(config.network.resolution)
    latent = f"from {config.network.latent} latents" + (" and a class" if config.network.classes else "")
    for role, network in ((latent, build_generator(config.network)), ("", build_discriminator(config.network))):
        rows = summary(network, stage)
        table = Table("layer", "kind", "output shape", title=f"{rows[-1].kind} {role}".strip(), title_justify="left")
        table.add_column("parameters", justify="right")
        for row in rows[:-1]:
            table.add_row(row.layer, row.kind, _shape(row.shape), f"{row.parameters:,}" if row.parameters else "")
        table.add_section()
        table.add_row("in all", "", _shape(rows[-1].shape), f"{rows[-1].parameters:,}")
        if rows[-1].parameters < (whole := parameters(network)):
            table.add_row("with the lower levels' own", "", "", f"{whole:,}")
        console.print(table)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one score"


def _run_named(what: str | None) -> Path | None:
    """The run that this names, if it names one: a dataset of the same name goes before."""
    from ganforge.checkpoint import find_run, is_run
    from ganforge.data.dataset import FACTS
    from ganforge.errors import CheckpointError

    if what is None or (Path(what) / FACTS).exists() or (Path("datasets") / what / FACTS).exists():
        return None
    if is_run(Path(what)):
        return Path(what)
    try:
        return find_run(what)[0]
    except CheckpointError:
        return None


def _show_run(run: Path) -> None:
    """The configuration in short, where the run stands, its last figures, incidents and checkpoints."""
    from rich.console import Console
    from rich.table import Table

    from ganforge.cli.session import read_run
    from ganforge.observers.jsonl import read_lines

    config, history = read_run(run)
    log, incidents = read_lines(run / "log.jsonl"), read_lines(run / "incidents.jsonl")
    table = Table(title=f"run {run}", title_justify="left", show_header=False)
    for name, value in (
        *_what_it_is(config),
        *_where_it_stands(run, config, log),
        *_figures(log),
        *((f"changed at {entry['images'] / 1000:g} kimg", _changes(entry["changes"])) for entry in history),
        ("incidents", str(len(incidents)) if incidents else "none"),
        *((f"  {entry['images'] / 1000:g} kimg", f"{entry['what']}: {entry['done']}") for entry in incidents[-5:]),
    ):
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)


def _what_it_is(config: "RunConfig") -> list[tuple[str, str]]:
    network, objective = config.network, config.objective
    size = "x".join(map(str, network.size(network.resolution)))
    penalties = [
        f"{name} {weight:g}" for name in ("gradient", "r1", "r2", "drift") if (weight := getattr(objective, name))
    ]
    last = config.phases[-1]
    return [
        ("network", f"{network.arch} {size}x{network.channels}, {network.classes or 'no'} classes"),
        ("preset", config.preset or "none"),
        ("objective", ", ".join([objective.loss, *penalties])),
        ("phases", f"{len(config.phases)}; the last: batch {last.batch}, rates G {last.lr_g:g}, D {last.lr_d:g}"),
        ("dataset", f"{config.data.path}, {config.data.count:,} pictures"),
        ("seed, precision", f"{config.seed}, {config.precision}"),
    ]


def _where_it_stands(run: Path, config: "RunConfig", log: list[dict[str, Any]]) -> list[tuple[str, str]]:
    from ganforge.checkpoint import list_checkpoints
    from ganforge.schedule import Schedule

    saved = list_checkpoints(run)
    shown = log[-1]["images"] if log else 0
    whole = Schedule.resolve(
        config.phases,
        dataset_size=config.data.count,
        images_per_batch=config.updates.d_per_g,
        kimg=config.kimg,
    ).images
    stands = f"{shown / 1000:g} of {whole / 1000:g} kimg ({shown / whole:.0%})"
    if log:
        stands += f", {log[-1]['phase']}, alpha {log[-1]['alpha']:g}"
    rows = [("stands at", stands)]
    if log and log[-1].get("elapsed"):
        rows.append(
            ("speed", f"{log[-1]['images_per_second']:g} images/s, {log[-1]['elapsed'] / 60:.1f} minutes in all")
        )
    kept = ", ".join(f"{int(path.stem.rsplit('-', 1)[1]) / 1000:g}" for path in saved)
    best = "; best.pt" if (run / "checkpoints" / "best.pt").exists() else ""
    rows.append(("checkpoints", f"{len(saved)}, at {kept} kimg{best}" if saved else "none yet"))
    return rows


def _figures(log: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The last line's figures, a row a group."""
    groups: dict[str, list[str]] = {}
    for name, value in (log[-1] if log else {}).items():
        group, slash, key = name.partition("/")
        if slash and isinstance(value, int | float):
            groups.setdefault(group, []).append(f"{key} {value:.4g}")
    return [(group, ", ".join(values)) for group, values in groups.items()]


def _changes(changes: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in changes.items())
