"""`ganforge prepare`: pictures of any kind into a dataset folder."""

from pathlib import Path
from typing import Annotated

import typer

from ganforge.errors import DataError


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a zip or tar archive, IDX files, an .npy or .npz array, torchvision:NAME (mnist,"
            " fashion-mnist, cifar10, stl10, flowers102, food101), or demo, the built-in set.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The dataset folder to write.", show_default="datasets/<source name>")
    ] = None,
    max_res: Annotated[
        str, typer.Option(help="The largest level's shorter side in pixels; auto: what 90% of the pictures reach.")
    ] = "auto",
    aspect: Annotated[
        str,
        typer.Option(
            help="Proportions: square, WIDTH:HEIGHT, or auto: square unless nearly all have a size that fits."
        ),
    ] = "auto",
    fit: Annotated[
        str, typer.Option(help="Pictures of other proportions: crop the middle, pad with --background, or stretch.")
    ] = "crop",
    crop: Annotated[
        str | None, typer.Option(help="Cut x,y,width,height out of every picture first.", show_default=False)
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Let training show the pictures mirrored too.")] = False,
    labels: Annotated[
        str, typer.Option(help="auto, folder (a class a sub-folder), none, or a CSV or JSON FILE of names and labels.")
    ] = "auto",
    only: Annotated[str | None, typer.Option(help="Take only these classes, as a,b,c.", show_default=False)] = None,
    channels: Annotated[
        str, typer.Option(help="1 (grey), 3 (RGB), 4 (RGB and transparency); auto: 1 when all are grey, else 3.")
    ] = "auto",
    background: Annotated[str, typer.Option(help="The colour under transparent and padded pixels.")] = "white",
    min_side: Annotated[
        int | None,
        typer.Option(help="Leave out what reaches fewer pixels than this.", show_default="a quarter of --max-res"),
    ] = None,
    max_megapixels: Annotated[float, typer.Option(help="Leave out pictures of more pixels, in millions.")] = 90.0,
    on_error: Annotated[
        str, typer.Option(help="What cannot be taken: skip it (and list it in left-out.csv), or stop.")
    ] = "skip",
    dedupe: Annotated[
        str, typer.Option(help="Leave out duplicates: none, exact (the same pixels), near (nearly the same).")
    ] = "none",
    near_distance: Annotated[
        int, typer.Option(help="How many of 64 bits of their perceptual hashes near-duplicates may differ in.")
    ] = 4,
    holdout: Annotated[
        float, typer.Option(help="Keep this share of every class out of training, for evaluation, as in 0.1.")
    ] = 0.0,
    split: Annotated[
        str, typer.Option(help="Of sets that come in parts: train, test, validation, all; auto says what it takes.")
    ] = "auto",
    root: Annotated[Path, typer.Option(help="Where torchvision's sets lie, or are downloaded to.")] = Path(
        "~/.cache/ganforge"
    ),
    stack: Annotated[
        int, typer.Option(help="3: stack grey pictures as R, G and B, so that 10 classes make the 1,000 modes 000-999.")
    ] = 1,
    count: Annotated[
        int | None,
        typer.Option(
            help="demo and --stack: how many pictures to make.", show_default="5000 of demo, 128000 with --stack"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="demo and --stack: which pictures to make.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; 0 works in this one.", show_default="one a CPU core, at most 12"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output when it exists.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read everything, write nothing, and list every problem.")
    ] = False,
) -> None:
    """Make a dataset of pictures: every size, upright sRGB, with labels; nothing lost, nothing silent."""
    from ganforge.cli.datasets import Display, show_check, show_dataset
    from ganforge.data.prepare import Request, prepare

    request = Request(
        source=source,
        out=out,
        max_res=_resolution(max_res),
        aspect=aspect,
        fit=fit,
        crop=_crop(crop),
        mirror=mirror,
        labels=labels,
        only=tuple(name.strip() for name in only.split(",")) if only else (),
        channels=channels,
        background=background,
        min_side=min_side,
        max_megapixels=max_megapixels,
        on_error=on_error,
        dedupe=dedupe,
        near_distance=near_distance,
        holdout=holdout,
        split=split,
        root=root,
        stack=stack,
        count=count,
        seed=seed,
        workers=workers,
        force=force,
        check=check,
    )
    with Display() as display:
        prepared = prepare(request, display)
    if prepared.path is None:
        show_check(prepared.facts, prepared.groups)
    else:
        show_dataset(prepared.facts)
        print(prepared.path)


def _resolution(text: str) -> int | None:
    if text == "auto":
        return None
    if text.isdecimal() and int(text):
        return int(text)
    raise DataError(f"--max-res {text!r} is neither auto nor a number of pixels")


def _crop(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise DataError(f"--crop {text!r} is not x,y,width,height in pixels, as in 40,20,178,178")
    x, y, width, height = (int(number) for number in numbers)
    return x, y, width, height
