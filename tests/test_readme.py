"""What the README and the examples say can be typed, and does what they say."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer.main

from ganforge.cli import app
from typed import typed

ROOT = Path(__file__).parent.parent


def commands() -> list[str]:
    """Every `ganforge …` line of the README and of the examples."""
    text = (ROOT / "README.md").read_text() + (ROOT / "examples/three_lines.sh").read_text()
    lines = re.findall(r"^(?: {4})?(ganforge [^\n#]*)", text, flags=re.MULTILINE)
    inline = re.findall(r"`(ganforge [^`]*)`", text)
    return sorted({line.strip() for line in (*lines, *inline)})


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_can_be_typed(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    words = [word for word in words if not re.fullmatch(r"\[[A-Z]+\]", word)]
    with command.make_context(name, words) as context:
        assert context.params


def test_the_readme_names_every_command() -> None:
    named = {line.split()[1] for line in commands()}
    assert set(typer.main.get_command(app).commands) <= named  # type: ignore[attr-defined]


def test_the_example_trains_and_writes_a_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "prepare", "demo", "--count", "20", "--max-res", "8") == 0
    runpy.run_path(str(ROOT / "examples/own_loop.py"))["main"]("datasets/demo", 0.1)
    assert Path("grid.png").exists()
