"""`ganforge demo`: everything once, on the built-in faces, in a few minutes."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    minutes: Annotated[float, typer.Option(min=0.2, help="How long it may take in all, about.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Folder for all of it; else ganforge-demo.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option(help="Another seed draws other faces and trains another network.")] = 0,
) -> None:
    """Quickstart: draw cartoon faces, train a network on them, and write a grid and a walk through its latents."""
    import time

    from ganforge.cli.datasets import Display
    from ganforge.cli.session import Options, describe, one_writer, plan_costs, run_session, say, write_run
    from ganforge.config import DataConfig
    from ganforge.data.dataset import Dataset
    from ganforge.data.prepare import Request, prepare
    from ganforge.observers import Interval, Session
    from ganforge.presets.demo import demo_config, fitted
    from ganforge.sampling.animation import write_walk
    from ganforge.sampling.generator import choose_device, load_generator, run_checkpoints
    from ganforge.sampling.pictures import class_labels, write_pictures
    from ganforge.schedule import Schedule
    from ganforge.training.state import TrainState

    began, place = time.monotonic(), choose_device(device)
    folder = _free(out)
    say(f"demo in {folder}: about {minutes:g} minutes")
    with Display() as listening:
        request = Request(source="demo", out=folder / "dataset", max_res=32, count=4000, seed=seed)
        prepare(request, listening)
    dataset = Dataset.open(folder / "dataset")
    data = DataConfig(
        path=str(dataset.path.resolve()),
        name=dataset.name,
        digest=dataset.digest,
        count=dataset.count,
        mirror=True,
    )
    config = demo_config().model_copy(update={"data": data, "seed": seed})
    costs = plan_costs(config, Schedule.resolve(config.phases, dataset_size=dataset.count), place)
    ready = time.monotonic() - began
    config = fitted(config, [cost.seconds for cost in costs], minutes * 60 - ready - 6)
    schedule = Schedule.resolve(config.phases, dataset_size=dataset.count)
    describe(config, schedule, costs)
    run = folder / "run"
    run.mkdir()
    write_run(run, config, [])
    session = Session(run, config, TrainState.create(config, place), schedule, dataset)
    with one_writer(run):
        code = run_session(session, Options(Interval.parse("10min"), 3), costs)
    if code:
        raise typer.Exit(code)
    generator = load_generator(run_checkpoints(run)[-1], device=device)
    seeds = list(range(64))
    write_pictures(generator, generator.latents(seeds), class_labels(generator, None, 64), seeds, folder / "grid.png")
    write_walk(generator, range(6), folder / "walk.gif", say=say)
    say(f"took {(time.monotonic() - began) / 60:.1f} minutes; look at:")
    print(folder / "grid.png")
    print(folder / "walk.gif")


def _free(out: Path | None) -> Path:
    """The folder that was asked for, or the first free one of ganforge-demo, ganforge-demo-2 …"""
    from ganforge.errors import ConfigError

    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"--out {out}: is there already; name another folder or remove it")
        folder = out
    else:
        names = (Path("ganforge-demo" + (f"-{number}" if number > 1 else "")) for number in range(1, 10_000))
        folder = next(name for name in names if not name.exists())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
