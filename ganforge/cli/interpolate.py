"""`ganforge interpolate`: a walk through the latents of a trained generator, as an animation."""

from pathlib import Path
from typing import Annotated

import typer


def interpolate(
    what: Annotated[
        str | None, typer.Argument(help="Run, checkpoint or exported generator; else the newest run.")
    ] = None,
    out: Annotated[Path, typer.Option(help="x.gif, .mp4, .webp, .png (animated), or a FOLDER of frames.")] = Path(
        "walk.gif"
    ),
    seeds: Annotated[str, typer.Option(help="The pictures to pass, as 0-5 or 3,1,4.")] = "0-5",
    frames: Annotated[int, typer.Option(help="How many frames.")] = 120,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 24,
    curve: Annotated[str, typer.Option(help="slerp, lerp or noise.")] = "slerp",
    easing: Annotated[str, typer.Option(help="even, or smooth: rest at each seed.")] = "even",
    loop: Annotated[
        bool, typer.Option("--loop/--no-loop", help="Come back to the first picture, without a seam.")
    ] = True,
    grid: Annotated[str | None, typer.Option(help="Several walks side by side, as 4x3.")] = None,
    classes: Annotated[str | None, typer.Option("--class", help="Class names or numbers to pass, as a,b,c.")] = None,
    truncation: Annotated[float | None, typer.Option(help="Cut latents off at this many deviations, as 0.7.")] = None,
    growth: Annotated[
        bool, typer.Option("--growth", help="The time-lapse of a run instead: its grids, from the first to the last.")
    ] = False,
    max_mb: Annotated[float | None, typer.Option(help="No more than this many megabytes.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures drawn at once.")] = 64,
    live: Annotated[bool, typer.Option("--live", help="The trained generator itself, not its average.")] = False,
    standing: Annotated[
        bool, typer.Option("--standing", help="Measure batch normalization's statistics anew for these weights.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Walk from picture to picture through the latents: a GIF, a video, or frames."""
    from rich.progress import track

    from ganforge.checkpoint import find_run
    from ganforge.cli.session import console, say
    from ganforge.sampling.animation import encoder, write_animation
    from ganforge.sampling.generator import find_generator, load_generator
    from ganforge.sampling.growth import growth_frames
    from ganforge.sampling.interpolation import Walk, default_grid, parse_grid, walk_frames
    from ganforge.sampling.pictures import parse_seeds

    encoder(out)
    if growth:
        run, sentence = find_run(what)
        say(f"{sentence}: the growth of its grids")
        print(write_animation(growth_frames(run, fps), out, fps, max_mb=max_mb, say=say))
        return
    keys = parse_seeds(seeds)
    path, sentence = find_generator(what)
    say(sentence)
    generator = load_generator(path, device=device, live=live, standing=standing)
    columns, rows = parse_grid(grid) if grid else default_grid(generator.size)
    passed = generator.labels(classes.split(",")).tolist() if classes else []
    plan = Walk(tuple(keys), frames, curve, loop, easing, columns, rows, tuple(passed), truncation)
    height, width = generator.size
    shape = f"{columns}x{rows} pictures of {height}x{width}"
    say(f"{curve} {'loop' if loop else 'walk'} through seeds {seeds}, {shape}, {frames} frames at {fps:g} a second")
    if generator.classes and not passed:
        say(f"one class each, in turn: {', '.join(generator.classes[: plan.cells])}; --class a,b passes from a to b")
    drawn = track(
        walk_frames(generator, plan, batch),
        "drawing",
        total=frames,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    print(write_animation(drawn, out, fps, max_mb=max_mb, say=say))
