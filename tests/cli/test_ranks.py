"""Several processes that train one run: as a user types it, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from ganforge import checkpoint
from ganforge.cli import launcher, main, places, ranks, session
from ganforge.cli.ranks import ranks_of
from ganforge.data.prepare import Request, prepare
from ganforge.errors import ConfigError
from ganforge.observers.jsonl import TIMES, read_lines
from ganforge.training import updates
from ganforge.training.loop import StepReport, train
from ganforge.training.state import TrainState
from ganforge.training.world import World
from toy import toy_config, toy_schedule
from typed import typed

# 50 steps from 4x4 to 8x8, with the minibatch statistic: a share of 4 is one of its groups.
TINY = "--data data --device cpu --max-res 8 --kimg 0.4 --batch 8 --augment none --seed 1 --checkpoint-every 40img"
TRAIN = ["train", *TINY.split(), "--set", "network.fmap_max=8", "--set", "network.latent=8"]
ALONE = [sys.executable, "-m", "ganforge"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ganforge"]
PLACES = [Path(session.__file__).parents[2], Path(__file__).parents[1]]
LIMIT = 240  # seconds, on a machine that has other things to do


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, PLACES))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=place, env=environment, **pipes)  # type: ignore[call-overload, no-any-return]


def said(process: subprocess.Popen[str]) -> str:
    """What a process that ends wrote to stderr."""
    return process.communicate(timeout=LIMIT)[1]


def result(run: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, object]]]:
    """Every tensor of the networks at a run's end, and its log without the times."""
    content = checkpoint.newest(run)[1]
    assert content["images"] == 400
    tensors = {
        f"{role}.{key}": value for role in ("generator", "discriminator", "ema") for key, value in content[role].items()
    }
    lines = [{key: value for key, value in line.items() if key not in TIMES} for line in read_lines(run / "log.jsonl")]
    return tensors, lines


def assert_same(run: Path, other: Path) -> None:
    (tensors, lines), (others, other_lines) = result(run), result(other)
    assert all(torch.equal(value, others[key]) for key, value in tensors.items())
    assert lines == other_lines


def assert_near(run: Path, other: Path) -> None:
    tensors, others = result(run)[0], result(other)[0]
    for key, value in tensors.items():
        assert torch.allclose(value, others[key], rtol=1e-3, atol=1e-3), key


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset in it, and the run `whole`: two ranks that torchrun started, not interrupted."""
    folder = tmp_path_factory.mktemp("ranks")
    prepare(Request(source="demo", out=folder / "data", max_res=8, count=60, seed=0, workers=0))
    process = start(folder, *TORCHRUN, *TRAIN, "--out", "whole")
    shown = said(process)
    assert process.returncode == 0, shown
    assert shown.count("2 ranks, each with its share of every batch: the same run on any number of ranks") == 1
    assert shown.count("done: whole") == 1
    return folder


def after_a_checkpoint(process: subprocess.Popen[str], run: Path, act: Callable[[psutil.Process], None]) -> str:
    """Do something to a training process once it has saved; returns what it wrote."""
    deadline = time.monotonic() + LIMIT
    while not list(run.glob("checkpoints/*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    act(psutil.Process(process.pid))
    shown = said(process)
    assert not psutil.wait_procs(children, timeout=20)[1], "a rank was left behind"
    return shown


def test_two_ranks_under_torchrun_train_what_one_trains(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert typed(monkeypatch, *TRAIN, "--out", "alone") == 0
    assert_near(place / "whole", place / "alone")
    assert len(result(place / "whole")[1]) == len(result(place / "alone")[1])
    assert ranks_of(session.read_run(place / "whole")[1]) == 2


def test_a_killed_rank_is_one_message_and_the_resumed_run_is_the_one_that_was_not(place: Path) -> None:
    def kill_rank_one(launching: psutil.Process) -> None:
        next(rank for rank in launching.children() if rank.environ().get("RANK") == "1").kill()

    process = start(place, *ALONE, *TRAIN, "--gpus", "2", "--out", "killed")
    shown = after_a_checkpoint(process, place / "killed", kill_rank_one)
    assert process.returncode == 1
    (line,) = [line for line in shown.splitlines() if line.startswith("ganforge: ")]
    assert "rank 1 (process " in line
    assert "was killed by SIGKILL" in line
    assert line.endswith("go on with: ganforge resume killed --gpus 2")
    assert "Traceback" not in shown
    resumed = start(place, *ALONE, "resume", "killed", "--gpus", "2", "--device", "cpu")
    assert "going on at" in said(resumed)
    assert resumed.returncode == 0
    assert_same(place / "killed", place / "whole")


def test_sigterm_saves_and_one_rank_can_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start(place, *ALONE, *TRAIN, "--gpus", "2", "--out", "stopped")
    shown = after_a_checkpoint(process, place / "stopped", lambda launching: launching.send_signal(signal.SIGTERM))
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: saved at " in shown
    assert "ganforge resume stopped --gpus 2" in shown
    assert "Traceback" not in shown
    monkeypatch.chdir(place)
    assert typed(monkeypatch, "resume", "stopped", "--device", "cpu") == 0
    assert "2 ranks so far, 1 from here on: the same run" in capsys.readouterr().err
    assert_near(place / "stopped", place / "whole")


def test_what_goes_wrong_on_one_rank_is_mended_on_all(place: Path) -> None:
    process = start(place, *TORCHRUN[:-2], __file__, *TRAIN, "--out", "mended")
    shown = said(process)
    assert process.returncode == 0, shown
    assert shown.count("another rank ran out of memory: all go on with a micro-batch of 2") == 1
    assert "rolled back to" in shown
    kinds = [incident["kind"] for incident in read_lines(place / "mended/incidents.jsonl")]
    assert kinds == ["not finite"]
    one, other = (checkpoint.read(place / f"rank-{rank}.pt") for rank in range(2))
    for content in (one, other):
        content.pop("memory", None)  # the observers', who watch rank 0 alone
    assert (one["salt"], one["micro_batch"], one["images"]) == (1, 2, 400)
    assert flat(one) == flat(other)
    assert all(value.isfinite().all() for value in one["generator"].values())


def flat(content: Any, name: str = "") -> dict[str, Any]:
    """Every leaf of a state by its path, tensors as lists."""
    if isinstance(content, dict):
        return {key: leaf for part, value in content.items() for key, leaf in flat(value, f"{name}.{part}").items()}
    return {name: content.tolist() if isinstance(content, torch.Tensor) else content}


def test_refused_input_is_one_line_however_many_ranks(place: Path) -> None:
    process = start(place, *ALONE, *TRAIN, "--gpus", "2", "--out", "refused", "--set", "objective.loss=hing")
    shown = said(process)
    assert process.returncode == 2
    (line,) = [line for line in shown.splitlines() if line.startswith("ganforge: ")]
    assert "Traceback" not in shown
    assert "did you mean hinge" in line
    assert not (place / "refused").exists()


def test_more_ranks_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert places.require_place(1, 2, "auto") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="--gpus 3: this machine has 2"):
        places.require_place(0, 3, "cuda")
    with pytest.raises(ConfigError, match="CUDA_VISIBLE_DEVICES"):
        places.require_place(0, 2, "cuda:1")


def test_a_batch_that_does_not_go_round_the_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config()
    monkeypatch.setattr(World, "current", lambda: World(0, 16))
    with pytest.raises(ConfigError, match="a batch of 8 at 4 cannot be shared among 16 ranks"):
        session.plan_costs(config, toy_schedule(config), torch.device("cpu"))


@pytest.mark.parametrize(
    ("codes", "received", "code", "words"),
    [
        ({0: 1, 1: -9}, None, 1, "rank 1 (process 71) was killed by SIGKILL"),
        ({0: 1, 1: 2}, None, 2, ""),
        ({0: 143, 1: 143}, 15, 143, ""),
        ({1: 143}, None, 143, ""),
        ({0: -15, 1: -15}, 15, 143, "SIGTERM: stopped before training began"),
        ({}, 2, 130, "SIGINT: stopped before training began"),
        ({0: 1}, None, 1, "rank 0 ended with exit code 1"),
    ],
)
def test_how_ranks_ended_becomes_one_line_and_one_code(
    codes: dict[int, int],
    received: int | None,
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run").write_text("runs/0001-pggan-x")
    failures = {rank: SimpleNamespace(exitcode=number, pid=70 + rank) for rank, number in codes.items()}
    assert launcher.verdict(failures, tmp_path, 2, received) == code  # type: ignore[arg-type]
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.count("\n") == (1 if words else 0)


def plant(rank: int) -> None:
    """In a rank: rank 1 runs out of memory once, and later its weights are broken once; all save their last state."""
    fresh: set[str] = set()  # empty while steps are timed
    begun = iter([True])
    gradients = updates.generator_gradients

    def failing(state: TrainState, *rest: Any) -> Any:
        if rank == 1 and state.images == 80 and "memory" in fresh:
            fresh.remove("memory")
            raise torch.OutOfMemoryError("planted")
        return gradients(state, *rest)

    def broken(state: TrainState, *rest: Any) -> Iterator[StepReport]:
        if next(begun, False):
            fresh.update({"memory", "weights"})
        for report in train(state, *rest):
            if rank == 1 and report.images == 240 and "weights" in fresh:
                fresh.remove("weights")
                next(state.generator.parameters()).data.fill_(float("nan"))
            yield report
        checkpoint.write(Path(f"rank-{rank}.pt"), state.content())

    updates.generator_gradients = failing  # type: ignore[assignment]
    session.train = ranks.train = broken  # type: ignore[assignment, attr-defined]


if __name__ == "__main__":
    torch.set_num_threads(1)
    plant(int(os.environ["RANK"]))
    main()
