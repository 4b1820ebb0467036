"""`ganforge info`: what a dataset is, and whether it still is what was written."""

from typing import Annotated

import typer


def info(
    what: Annotated[
        str | None,
        typer.Argument(help="A dataset folder or its name.", show_default="the most recently prepared dataset"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read all arrays and compare their checksums.")] = False,
) -> None:
    """Show what a dataset holds and how it was made; with --verify, that nothing in it has changed."""
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
