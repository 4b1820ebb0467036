"""What is written when, what a full disk does, and that nothing broken is ever written."""

import errno
import os
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge import checkpoint
from ganforge.observers import Checkpoints, Interval, Patient, Session, observe, patience
from ganforge.observers.checkpoints import Copies, finite
from ganforge.observers.jsonl import append_line, read_lines
from ganforge.training.loop import train
from ganforge.training.state import TrainState
from toy import Toy, toy_config, toy_schedule

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    config = toy_config()
    state = TrainState.create(config, torch.device("cpu"))
    return Session(tmp_path, config, state, toy_schedule(config), None)  # type: ignore[arg-type]


def images(session: Session) -> list[int]:
    return [int(path.stem.split("-")[1]) for path in checkpoint.list_checkpoints(session.folder)]


def run(session: Session, *observers: Any) -> Iterator[Any]:
    return observe(train(session.state, Toy(), session.schedule), observers)


def test_the_newest_and_each_phases_end_are_kept(session: Session) -> None:
    list(run(session, Checkpoints(session, Interval.parse("8img"), keep=2)))
    assert images(session) == [32, 96, 144, 152, 160]


def test_no_thread_that_has_computed_lives_on_between_two_checkpoints(session: Session) -> None:
    """Such a thread keeps OpenMP threads of its own, which makes every step slower where cores are few."""
    saving = Checkpoints(session, Interval.parse("8img"))
    saving.save()
    saving._join()
    deadline = time.monotonic() + 20
    while any(thread.name.startswith("checkpoint") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_nan_is_never_written(session: Session) -> None:
    said: list[str] = []
    for report in run(session, Checkpoints(session, Interval.parse("8img"), say=said.append)):
        if report.images == 40:
            with torch.no_grad():
                next(session.state.generator.parameters()).view(-1)[0] = torch.nan
    assert images(session) == [16, 24, 32, 40]
    assert all(finite(checkpoint.read(path)) for path in checkpoint.list_checkpoints(session.folder))
    assert "NaN" in said[0]


def test_what_is_not_healthy_is_not_written(session: Session) -> None:
    list(run(session, Checkpoints(session, Interval.parse("8img"), healthy=lambda: session.state.images < 50)))
    assert max(images(session)) == 48


def test_a_full_disk_pauses_and_goes_on_when_there_is_space(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    said, free = [], iter([10**12, 0, 0, 0])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, next(free, 10**12)))
    monkeypatch.setattr(patience, "PAUSE", 0.01)
    saving = Checkpoints(session, Interval.parse("8img"), keep=100)
    list(run(session, Patient(saving, said.append, lambda: False)))
    assert session.state.images == 160
    assert images(session)[-1] == 160
    assert len(images(session)) >= 15
    assert "paused; make space" in said[0]
    assert said[1] == "there is space again: going on"
    assert len(said) == 2


def test_a_full_disk_and_ctrl_c_leave_the_last_checkpoint_whole(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    free = iter([10**12])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, next(free, 0)))
    stopping = lambda: len(said) > 0  # noqa: E731
    saving = Checkpoints(session, Interval.parse("8img"))
    reports = run(session, Patient(saving, said.append, stopping))
    for _ in reports:
        if stopping():
            break
    reports.close()  # type: ignore[attr-defined]
    assert images(session) == [8]
    assert saving.saved == -1
    assert checkpoint.newest(session.folder)[1]["images"] == 8


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", range(1, 60, 7))
def test_a_write_that_fails_anywhere_leaves_a_run_that_resumes(
    call: int, code: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system fails at one of the archive's writes, as a disk does that is full or broken."""
    path = session.folder / checkpoint.checkpoint_name(1)
    checkpoint.write(path, session.state.content())
    before, opened, calls = path.read_bytes(), Path.open, iter(range(1, 10**6))

    class Failing:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: Any) -> int:
            if next(calls) == call:
                self.file.write(bytes(data)[: len(bytes(data)) // 2])  # torn
                raise OSError(code, os.strerror(code))
            return int(self.file.write(data))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *modes, **more: Failing(opened(self, *modes, **more)))
        with pytest.raises(OSError, match=os.strerror(code)):
            checkpoint.write(path, session.state.content())
    assert path.read_bytes() == before
    assert [file.name for file in session.folder.iterdir()] == [path.name]


def test_copies_use_their_memory_again_and_follow_what_changes() -> None:
    copies = Copies()
    tensors = {"a": torch.zeros(4), "b": [torch.ones(2, 3)]}
    first = copies.take(tensors)
    tensors["a"] += 1  # type: ignore[operator]
    assert first["a"].tolist() == [0, 0, 0, 0]
    second = copies.take(tensors)
    assert second["a"].data_ptr() == first["a"].data_ptr()
    assert second["a"].tolist() == [1, 1, 1, 1]
    third = copies.take({"a": torch.zeros(4), "x": torch.zeros(7), "b": [torch.ones(2, 3)]})
    assert third["a"].data_ptr() == first["a"].data_ptr()
    assert third["x"].shape == (7,)
    assert third["b"][0].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_room_is_made_before_it_is_needed_and_only_where_there_is_none() -> None:
    copies = Copies()
    copies.make_room({"a": torch.ones(4), "b": torch.ones(2)})
    ready = {name: tensor.data_ptr() for name, tensor in copies.tensors.items()}
    copies.make_room({"a": torch.ones(4), "b": torch.ones(3)})
    taken = copies.take({"a": torch.ones(4), "b": torch.ones(3)})
    assert taken["a"].data_ptr() == ready["/a"]
    assert taken["b"].tolist() == [1, 1, 1]


def test_a_line_cut_short_by_a_kill_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, {"images": 1})
    with path.open("a") as file:
        file.write('{"images": 2, "lo')
    append_line(path, {"images": 3})
    assert read_lines(path) == [{"images": 1}, {"images": 3}]
