import subprocess
import sys
import time

import pytest

from typed import typed

COMMANDS = ["demo", "prepare", "train", "resume", "sample", "interpolate", "evaluate", "presets", "info"]


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_needs_none_of_the_heavy_libraries(words: list[str]) -> None:
    code = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from ganforge.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic', 'imageio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_answers_in_half_a_second() -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ganforge", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5


def test_presets_are_listed_and_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "presets") == 0
    assert "pggan-character-256" in capsys.readouterr().out
    assert typed(monkeypatch, "presets", "pggan-character-256") == 0
    assert "4,077 pictures" in capsys.readouterr().out
    assert typed(monkeypatch, "presets", "pggan-character-256", "--json") == 0
    assert '"crop": 16' in capsys.readouterr().out
