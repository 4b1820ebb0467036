"""`ganforge sample`: pictures from a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

ATTENTION_ROWS = 12  # pictures whose attention is drawn, at most: more make a sheet that nobody can take in


def sample(
    what: Annotated[
        str | None, typer.Argument(help="Run, checkpoint or exported generator; else the newest run.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", help="How many pictures.")] = 64,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, as 0-63 or 1,5,9; a seed is always the same picture.")
    ] = None,
    classes: Annotated[str | None, typer.Option("--class", help="Class names or numbers, comma-separated.")] = None,
    truncation: Annotated[float | None, typer.Option(help="Cut latents off at this many deviations, as 0.7.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the grid.")] = None,
    out: Annotated[Path, typer.Option(help="grid.png, a FOLDER of pictures, or x.npz.")] = Path("grid.png"),
    batch: Annotated[int, typer.Option(help="Pictures drawn at once.")] = 64,
    live: Annotated[bool, typer.Option("--live", help="The trained generator itself, not its average.")] = False,
    standing: Annotated[
        bool, typer.Option("--standing", help="Measure batch normalization's statistics anew for these weights.")
    ] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Where a few points of each picture look (SAGAN), a row a picture.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Draw pictures: a grid, a folder of PNG, or arrays."""
    from ganforge.cli.session import say
    from ganforge.images import save_picture
    from ganforge.sampling.attention import attention_sheet
    from ganforge.sampling.generator import find_generator, load_generator
    from ganforge.sampling.pictures import class_labels, parse_seeds, write_pictures

    path, sentence = find_generator(what)
    say(sentence)
    generator = load_generator(path, device=device, live=live, standing=standing)
    numbers = parse_seeds(seeds) if seeds else list(range(count))
    labels = class_labels(generator, classes, len(numbers))
    latents = generator.latents(numbers, truncation)
    if attention:
        few = min(len(numbers), ATTENTION_ROWS)
        save_picture(attention_sheet(generator, latents[:few], None if labels is None else labels[:few]), out)
        print(out)
        return
    write_pictures(generator, latents, labels, numbers, out, columns=cols, batch=batch)
    print(out)
