import resource
import subprocess
import sys

import pytest

from typed import typed

COMMANDS = ["demo", "prepare", "train", "resume", "sample", "interpolate", "evaluate", "presets", "info"]


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_needs_none_of_the_heavy_libraries(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from ganforge.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'numpy', 'PIL', 'imageio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_answers_in_half_a_second_of_processor_time(words: list[str]) -> None:
    """Processor time and not the clock's, so that a busy machine does not fail it."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "ganforge", *words], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5


def test_presets_are_listed_and_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "presets") == 0
    assert "pggan-character-256" in capsys.readouterr().out
    assert typed(monkeypatch, "presets", "pggan-character-256") == 0
    assert "4,077 pictures" in capsys.readouterr().out
    assert typed(monkeypatch, "presets", "pggan-character-256", "--json") == 0
    assert '"crop": 16' in capsys.readouterr().out
