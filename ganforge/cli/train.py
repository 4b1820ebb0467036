"""`ganforge train`: from a dataset folder to a run folder."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    arch: Annotated[str, typer.Option(help="pggan, sagan or dcgan.")] = "pggan",
    data: Annotated[str | None, typer.Option(help="Dataset folder; else the only or newest below datasets/.")] = None,
    max_res: Annotated[int | None, typer.Option(help="Shorter side to train to; else the dataset's largest.")] = None,
    preset: Annotated[str | None, typer.Option(help="A preset's name, or a JSON file.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value of the configuration.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Length of the whole run, thousands of images shown.")] = None,
    batch: Annotated[str | None, typer.Option(help="Batch size, or by resolution: 4:128,64:32.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; else runs/<number>-<arch>-<dataset>.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    checkpoint_every: Annotated[str, typer.Option(help="A time or images: 10min, 5kimg.")] = "10min",
    keep: Annotated[int, typer.Option(help="Newest checkpoints kept, beside each phase's last.")] = 3,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained and how long it takes; train nothing.")
    ] = False,
) -> None:
    """Train a network on a dataset folder, from the start."""
    from ganforge.cli.session import (
        Options,
        describe,
        plan_costs,
        resolve_schedule,
        run_session,
        say,
        write_run,
    )
    from ganforge.cli.settings import Wishes, configure
    from ganforge.data.dataset import find_dataset
    from ganforge.observers import Interval, Session
    from ganforge.sampling.generator import choose_device
    from ganforge.training.state import TrainState

    place, every = choose_device(device), Interval.parse(checkpoint_every)
    dataset, sentence = find_dataset(data)
    say(sentence)
    wishes = Wishes(arch, preset, max_res, tuple(assign or ()), kimg, batch, precision, seed)
    config, reason = configure(wishes, dataset, gpu=place.type == "cuda")
    say(reason)
    schedule = resolve_schedule(config, dataset)
    costs = plan_costs(config, schedule, place)
    describe(config, schedule, costs)
    if plan:
        return
    folder = _run_folder(out, f"{config.network.arch}-{dataset.name}")
    write_run(folder, config, [])
    say(f"run {folder}")
    session = Session(folder, config, TrainState.create(config, place), schedule, dataset)
    code = run_session(session, Options(every, keep), costs)
    if code == 0:
        say(f"done: {folder}/samples has the grids; next: ganforge interpolate {folder} --out walk.gif")
        print(folder)
    raise typer.Exit(code)


def _run_folder(out: Path | None, name: str) -> Path:
    from ganforge.checkpoint import is_run, new_run
    from ganforge.errors import ConfigError

    if out is None:
        return new_run(name)
    if is_run(out) or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise ConfigError(f"--out {out}: is there already; name another folder, or go on with ganforge resume {out}")
    out.mkdir(parents=True, exist_ok=True)
    return out
