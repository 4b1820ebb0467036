"""The command line: one module a command, and `main`, which turns our errors into one line and an exit code.

Nothing here imports torch, numpy or Pillow at the top: `--help` must answer in under half a second.
"""

import sys

import typer

from ganforge.cli.prepare import prepare
from ganforge.errors import GanforgeError

app = typer.Typer(
    name="ganforge",
    help="Train PGGAN, SAGAN and DCGAN on a folder of pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(prepare)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 2 the input was refused, 130 interrupted, 1 a defect of ours."""
    try:
        app()
    except GanforgeError as error:
        print(f"ganforge: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
