"""The command line's options are frozen: to take one away breaks somebody's script, so it is done on purpose.

After an intended change: python tests/cli/test_options.py
"""

import json
from pathlib import Path

import typer.main

from ganforge.cli import app

FROZEN = Path(__file__).with_name("options.json")


def options() -> dict[str, list[str]]:
    """Every command's arguments and options, as they are typed."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: sorted(
            typed
            for parameter in command.params
            for typed in (*parameter.opts, *parameter.secondary_opts)
            if typed != "--help"
        )
        for name, command in sorted(commands.items())
    }


def test_the_options_are_the_frozen_ones() -> None:
    assert options() == json.loads(FROZEN.read_text())


if __name__ == "__main__":
    FROZEN.write_text(json.dumps(options(), indent=2) + "\n")
