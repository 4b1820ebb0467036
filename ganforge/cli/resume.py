"""`ganforge resume`: go on exactly where a run stopped."""

from typing import Annotated

import typer


def resume(
    run: Annotated[str | None, typer.Argument(help="Run folder, or its number; else the newest run.")] = None,
    kimg: Annotated[float | None, typer.Option(help="New length of the whole run, thousands of images.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value of the configuration.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    checkpoint_every: Annotated[str, typer.Option(help="A time or images: 10min, 5kimg.")] = "10min",
    keep: Annotated[int, typer.Option(help="Newest checkpoints kept, beside each phase's last.")] = 3,
) -> None:
    """Go on with a run: the same phase, alpha, optimizers and data order."""
    from ganforge.checkpoint import find_run
    from ganforge.cli.session import (
        Options,
        lengthened,
        open_data,
        plan_costs,
        read_run,
        resolve_schedule,
        restored,
        run_session,
        say,
        write_run,
    )
    from ganforge.config import parse_assignments
    from ganforge.observers import Interval, Session
    from ganforge.sampling.generator import choose_device

    place, every = choose_device(device), Interval.parse(checkpoint_every)
    folder, sentence = find_run(run)
    say(sentence)
    config, history = read_run(folder)
    dataset = open_data(config)
    changes = parse_assignments(assign or [])
    config = config.changed(changes)
    state = restored(config, folder, place)
    if kimg is not None:
        changes["kimg"] = kimg
        config = lengthened(config, resolve_schedule(config, dataset), state.images, round(kimg * 1000))
    if changes:
        write_run(folder, config, [*history, {"images": state.images, "changes": changes}])
    schedule = resolve_schedule(config, dataset)
    session = Session(folder, config, state, schedule, dataset)
    if state.images >= schedule.images:
        say(f"nothing left to do: {state.images / 1000:g} of {schedule.images / 1000:g} kimg; --kimg lengthens the run")
        return
    position = schedule.at(state.images)
    say(f"going on at {session.phase_name(position)}, alpha {position.alpha:.3f}")
    code = run_session(session, Options(every, keep), plan_costs(config, schedule, place))
    if code == 0:
        say(f"done: {folder}")
        print(folder)
    raise typer.Exit(code)
