"""`ganforge resume`: go on exactly where a run stopped."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ganforge.cli.session import Options


def resume(
    run: Annotated[str | None, typer.Argument(help="Run folder, or its number; else the newest run.")] = None,
    kimg: Annotated[float | None, typer.Option(help="New length of the whole run, thousands of images.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value of the configuration.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    gpus: Annotated[
        int | None, typer.Option(min=1, help="Processes that train together, a GPU each (without any, on the CPU).")
    ] = None,
    checkpoint_every: Annotated[str, typer.Option(help="A time or images: 10min, 5kimg.")] = "10min",
    keep: Annotated[int, typer.Option(help="Newest checkpoints kept, beside each phase's last.")] = 3,
    on_trouble: Annotated[
        str, typer.Option(help="At NaNs and divergence: warn, rollback (at most 3 times) or stop.")
    ] = "rollback",
    on_collapse: Annotated[str, typer.Option(help="When the pictures become alike: warn, rollback or stop.")] = "warn",
    score_every: Annotated[
        str | None, typer.Option(help="Score the generator as it trains, as 20kimg; the best is kept apart.")
    ] = None,
    score: Annotated[
        str, typer.Option(help="Which score, as kid[efficientnet-lite0], accuracy[classifier] or swd.")
    ] = "fid[efficientnet-lite0]",
    score_n: Annotated[int, typer.Option(help="Pictures of each set for that score.", min=2)] = 2000,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write figures and grids for TensorBoard; says how to open it.")
    ] = False,
    histograms: Annotated[
        bool, typer.Option("--tensorboard-histograms", help="With histograms of all weights too.")
    ] = False,
    force_data: Annotated[
        bool, typer.Option("--force-data", help="Go on although the dataset's pictures have changed.")
    ] = False,
) -> None:
    """Go on with a run: the same phase, alpha, optimizers and data order."""
    from ganforge.checkpoint import find_run
    from ganforge.cli.ranks import ranks
    from ganforge.cli.session import Options, say
    from ganforge.config import parse_assignments

    with ranks(gpus, device) as place:
        watch = on_trouble, on_collapse, score_every, score, score_n
        options = Options.parse(checkpoint_every, keep, tensorboard, histograms, *watch)
        folder, sentence = find_run(run)
        say(sentence)
        changes = parse_assignments(assign or [])
        raise typer.Exit(go_on(folder, place, options, changes, kimg, force_data=force_data))


def go_on(
    folder: "Path",
    place: "torch.device",
    options: "Options",
    changes: dict[str, Any],
    kimg: float | None = None,
    *,
    force_data: bool = False,
) -> int:
    """Train a run from its newest whole checkpoint to its end; returns the exit code."""
    from ganforge.cli.launcher import name_run
    from ganforge.cli.ranks import describe_ranks, ranks_of
    from ganforge.cli.session import (
        lengthened,
        one_writer,
        open_data,
        plan_costs,
        read_run,
        resolve_schedule,
        restored,
        run_session,
        say,
        write_run,
    )
    from ganforge.observers import Session
    from ganforge.training.world import World

    config, history = read_run(folder)
    name_run(folder)
    before, now = ranks_of(history), World.current().size
    dataset = open_data(config, force=force_data)
    config = config.changed(changes)
    with one_writer(folder):
        state = restored(config, folder, place)
        if kimg is not None:
            changes = {**changes, "kimg": kimg}
            config = lengthened(config, resolve_schedule(config, dataset), state.images, round(kimg * 1000))
        if dataset.digest != config.data.digest:
            accepted = {"data.digest": dataset.digest, "data.count": dataset.count}
            changes, config = {**changes, **accepted}, config.changed(accepted, "--force-data")
        if now != before:
            changes = {**changes, "ranks": now}
        if changes:
            write_run(folder, config, [*history, {"images": state.images, "changes": changes}])
        schedule = resolve_schedule(config, dataset)
        session = Session(folder, config, state, schedule, dataset)
        if state.images >= schedule.images:
            shown, whole = state.images / 1000, schedule.images / 1000
            say(f"nothing left to do: {shown:g} of {whole:g} kimg; --kimg lengthens the run")
            return 0
        position = schedule.at(state.images)
        say(f"going on at {session.phase_name(position)}, alpha {position.alpha:.3f}")
        describe_ranks(state, schedule, before)
        code = run_session(session, options, plan_costs(config, schedule, place))
    if code == 0:
        say(f"done: {folder}")
        print(folder)
    return code
