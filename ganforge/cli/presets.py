"""`ganforge presets`: what there is to start from."""

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(help="Explain this one.")] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="The whole configuration, as --preset FILE.json takes it.")
    ] = False,
) -> None:
    """List the presets, or explain one."""
    import inspect

    from rich.console import Console
    from rich.table import Table

    from ganforge.presets import PRESETS, find_preset

    if name is not None:
        config = find_preset(name)
        print(config.model_dump_json(indent=2) if json_ else inspect.getdoc(PRESETS[name]))
        return
    table = Table("preset", "network", "size", "classes", "what it is", box=None, pad_edge=False)
    for key, preset in PRESETS.items():
        network = preset().network
        size = "x".join(map(str, network.size(network.resolution)))
        first = (inspect.getdoc(preset) or "").split("\n")[0]
        table.add_row(key, network.arch, size, str(network.classes or "-"), first)
    Console().print(table)
