"""A run goes on whatever happened to it: a closed terminal, impatience, a machine taken away, changed pictures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge import checkpoint
from ganforge.cli import session
from ganforge.data.demo import render_face
from ganforge.observers.jsonl import read_lines
from ganforge.training.loop import StepReport, train
from ganforge.training.speed import Cost
from typed import typed

TRAIN = ["train", "--arch", "dcgan", "--batch", "8", "--kimg", "0.08", "--set", "network.width_g=4", "--out", "run"]


def pictures(folder: Path, count: int = 24, *, seed: int = 0) -> None:
    for index in range(count):
        picture, _ = render_face(seed, index, 16)
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{index}.png")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a dataset, and in which we are; nothing is timed beforehand."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "images")
    assert typed(monkeypatch, "prepare", "./images", "--max-res", "16") == 0
    monkeypatch.setattr(session, "plan_costs", lambda *_: [Cost(0.01, True)])
    return tmp_path


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, happens: Any) -> None:
    """Have something happen while a step is under way."""

    def watched(*arguments: Any) -> Iterator[StepReport]:
        for report in train(*arguments):
            if report.step == step:
                happens()
            yield report

    monkeypatch.setattr(session, "train", watched)


def weights(run: Path) -> dict[str, Any]:
    return checkpoint.newest(run)[1]["generator"]


def same(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return all(bool((a[name] == b[name]).all()) for name in a)


def test_a_closed_terminal_saves_the_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        after_step(patch, 4, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert typed(patch, *TRAIN) == 128 + signal.SIGHUP
    assert checkpoint.newest(place / "run")[1]["images"] == 32


def test_a_second_ctrl_c_leaves_at_once_and_damages_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""
import os, signal, sys, time
import torch
from ganforge.cli import main, session
from ganforge.training.loop import train
torch.set_num_threads(1)  # as in the tests: another number adds in another order
signal.signal(signal.SIGINT, signal.default_int_handler)

def impatient(*arguments):
    for report in train(*arguments):
        if report.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        yield report

session.train = impatient
sys.argv = ["ganforge", *{TRAIN!r}, "--checkpoint-every", "16img"]
main()
"""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", script], timeout=55, capture_output=True, text=True)
    assert ended.returncode == 128 + signal.SIGINT
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < 55
    assert typed(monkeypatch, "resume", "run") == 0
    assert typed(monkeypatch, *TRAIN[:-1], "whole") == 0
    assert same(place / "run", place / "whole")


def test_the_same_command_starts_a_run_goes_on_with_it_and_does_no_more_at_its_end(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        after_step(patch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert typed(patch, *TRAIN, "--auto-resume") == 128 + signal.SIGTERM
    assert typed(monkeypatch, *TRAIN, "--auto-resume") == 0
    assert "going on with its own settings" in capsys.readouterr().err
    assert typed(monkeypatch, *TRAIN, "--auto-resume") == 0
    assert "nothing left to do" in capsys.readouterr().err
    assert typed(monkeypatch, *TRAIN[:-1], "whole") == 0
    assert same(place / "run", place / "whole")
    assert typed(monkeypatch, *TRAIN[:-2], "--auto-resume") == 2
    assert "--out FOLDER" in capsys.readouterr().err


def test_another_number_of_threads_is_said_for_it_adds_in_another_order(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.12") == 0
    assert "rounding" not in capsys.readouterr().err
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.16") == 0
    assert "made with CPU (1 thread), goes on with CPU (3 threads): equal" in capsys.readouterr().err


def test_pictures_that_changed_are_refused_until_they_are_accepted(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    shutil.rmtree("datasets/images")
    pictures(place / "images", 30, seed=1)
    assert typed(monkeypatch, "prepare", "./images", "--max-res", "16") == 0
    capsys.readouterr()
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.12") == 2
    assert "accept these with --force-data" in capsys.readouterr().err
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.12", "--force-data") == 0
    history = json.loads(Path("run/run.json").read_text())["history"]
    assert history[-1]["changes"]["data.count"] == 30
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.16") == 0


def test_pictures_that_are_gone_are_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    shutil.rmtree("datasets/images")
    capsys.readouterr()
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.12") == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("ganforge: ")]) == 1


def test_a_samples_folder_that_is_deleted_in_the_run_comes_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        after_step(patch, 3, lambda: shutil.rmtree("run/samples"))
        assert typed(patch, *TRAIN) == 0
    assert Path("run/samples/grid-000000000080.png").exists()


def test_a_clock_that_jumps_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    with monkeypatch.context() as patch:
        now = iter(range(10**9, 0, -(10**6)))
        patch.setattr(time, "time", lambda: float(next(now)))
        assert typed(patch, *TRAIN[:-1], "jumped") == 0
    assert same(place / "run", place / "jumped")
    assert all(line["images_per_second"] > 0 for line in read_lines(place / "jumped" / "log.jsonl"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_to_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    Path("run").chmod(0o500)
    try:
        assert typed(monkeypatch, "resume", "run", "--kimg", "0.12") == 2
    finally:
        Path("run").chmod(0o700)
    assert "once that is mended" in capsys.readouterr().err


def test_a_run_of_another_version_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN) == 0
    path = Path("run/run.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 99, "versions": {"ganforge": "9.9"}}))
    capsys.readouterr()
    assert typed(monkeypatch, "resume", "run", "--kimg", "0.12") == 2
    assert "use version 9.9" in capsys.readouterr().err
