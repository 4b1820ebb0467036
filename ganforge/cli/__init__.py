"""The command line: one module a command, and `main`, which turns our errors into one line and an exit code.

Nothing here imports torch, numpy or Pillow at the top: `--help` must answer in under half a second.
"""

import sys

import typer

from ganforge.cli.compare import compare
from ganforge.cli.demo import demo
from ganforge.cli.evaluate import evaluate
from ganforge.cli.info import info
from ganforge.cli.interpolate import interpolate
from ganforge.cli.prepare import prepare
from ganforge.cli.presets import presets
from ganforge.cli.resume import resume
from ganforge.cli.sample import sample
from ganforge.cli.train import train
from ganforge.errors import GanforgeError

app = typer.Typer(
    name="ganforge",
    help="Train PGGAN, SAGAN and DCGAN on a folder of pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, prepare, train, resume, sample, interpolate, evaluate, compare, presets, info):
    app.command()(command)


# Typer's own name for what it raises on bad usage differs between its versions; this base class is in all of them.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line. Exit codes: 0 done, 2 the input was refused, 130 interrupted, 1 a defect of ours."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except GanforgeError as error:
        _refuse(str(error))
    except UsageError as error:
        context, message = getattr(error, "ctx", None), getattr(error, "format_message", error.__str__)()
        if message:  # there is none where a bare `ganforge` has just printed its help
            where = context.command_path if context else "ganforge"
            _refuse(f"{message.rstrip('.')}; see {where} --help")
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)


def _refuse(message: str) -> None:
    print("ganforge: " + " ".join(message.split("\n")), file=sys.stderr)
    sys.exit(2)
