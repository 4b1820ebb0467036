"""`ganforge compare`: scores side by side, where they were made alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ganforge.evaluation.records import Record


def compare(
    what: Annotated[
        list[str], typer.Argument(help="Two or more: runs (their last scores), or files of evaluate --json.")
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table there too.")] = None,
) -> None:
    """Set scores side by side; refused where their protocols are unlike."""
    from ganforge.cli.evaluate import write_json
    from ganforge.errors import EvaluationError
    from ganforge.evaluation.records import comparable, find_record

    records = [find_record(name) for name in what]
    if len(records) < 2:
        raise EvaluationError(f"one thing only ({what[0]}); name two or more to compare")
    shared = comparable(records)
    _show(records, shared)
    if json_file is not None:
        names = [record.name for record in records]
        table = {key: [record.scores[key]["value"] for record in records] for key in shared}
        write_json(json_file, {"compared": names, **table})


def _show(records: "list[Record]", shared: list[str]) -> None:
    """The table to stdout, and under it what the scores have in common."""
    from rich.text import Text

    from ganforge.cli.evaluate import number, results_console, results_table
    from ganforge.evaluation.metrics import better_of
    from ganforge.evaluation.records import standing

    console = results_console()
    table = results_table("score", *(str(index) for index in range(1, len(records) + 1)), "reals")
    for key in shared:
        entries = [record.scores[key] for record in records]
        values, spreads = [entry["value"] for entry in entries], [entry["spread"] for entry in entries]
        better = better_of(entries[0]["protocol"]["metric"])
        cells = [
            number(value) + (f" ± {number(spread)}" if spread is not None else "") + (f" {mark}" if mark else "")
            for value, spread, mark in zip(values, spreads, standing(values, spreads, better), strict=True)
        ]
        reference = entries[0]["reference"]
        table.add_row(Text(key), *map(Text, cells), Text("" if reference is None else number(reference)))
    console.print(table)
    for index, record in enumerate(records, 1):
        shown = "" if record.images is None else f" at {record.images / 1000:g} kimg"
        console.print(f"{index}: {record.name}{shown}", markup=False, soft_wrap=True)
    protocol = records[0].scores[shared[0]]["protocol"]
    console.print(
        f"each: {protocol['generated_count']} generated against {protocol['reals_count']} of {protocol['reals']}"
        f" ({protocol['split']}; {protocol['reals_digest'][:8]}), {protocol['size']}, seed {protocol['seed']}",
        markup=False,
        soft_wrap=True,
    )
    left = sorted({key for record in records for key in record.scores} - set(shared))
    if left:
        console.print(f"left out, as not all have them: {', '.join(left)}", markup=False, soft_wrap=True)
