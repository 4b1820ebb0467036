import io
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge import checkpoint
from ganforge.errors import CheckpointError


def content() -> dict[str, Any]:
    return {
        "weights": {"a": torch.arange(1000.0), "b": torch.zeros(3, dtype=torch.int64)},
        "images": 12,
        "names": ["x"],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / checkpoint.checkpoint_name(12)
    checkpoint.write(file, content())
    return file


def test_what_was_written_is_read(path: Path) -> None:
    read = checkpoint.read(path)
    assert torch.equal(read["weights"]["a"], torch.arange(1000.0))
    assert (read["images"], read["names"]) == (12, ["x"])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_torch_and_zip_tools_read_it_as_ever(path: Path) -> None:
    assert torch.load(path, weights_only=True)["images"] == 12
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(checkpoint.MARK)


@pytest.mark.parametrize("seed", range(200))
def test_a_mutated_checkpoint_is_refused_in_one_line(path: Path, seed: int) -> None:
    rng, data = random.Random(seed), bytearray(path.read_bytes())
    how = seed % 4
    if how == 0:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == 1:
        data = data[: rng.randrange(len(data))]
    elif how == 2:
        start = rng.randrange(len(data))
        data[start : start + 64] = rng.randbytes(len(data[start : start + 64]))
    else:
        data = bytearray(rng.randbytes(rng.randrange(5000)))
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.read(path)
    assert "\n" not in str(refused.value)


class Malicious:
    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


def seal(path: Path, data: bytes) -> None:
    """Give any zip archive our digest, as someone who knows the format would."""
    with path.open("wb+") as file:
        file.write(data)
        checkpoint._seal(file)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"format": 1, "images": Malicious()}, buffer)
    seal(tmp_path / "sealed.pt", buffer.getvalue())
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious()) + b" " * 200)
    for name in ("sealed.pt", "plain.pt"):
        with pytest.raises(CheckpointError):
            checkpoint.read(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_another_format_says_what_to_do(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"format": 99, "images": 1}, buffer)
    seal(tmp_path / "new.pt", buffer.getvalue())
    with pytest.raises(CheckpointError, match=r"format 99, this ganforge reads 1"):
        checkpoint.read(tmp_path / "new.pt")


@pytest.mark.parametrize("where", ["open", "save", "fsync", "replace"])
@pytest.mark.parametrize("code", [28, 5])
def test_a_failing_disk_leaves_the_old_file_whole(
    path: Path, where: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    targets = {"open": (Path, "open"), "save": (torch, "save"), "fsync": (os, "fsync"), "replace": (Path, "replace")}
    with monkeypatch.context() as patch:
        patch.setattr(*targets[where], fail)
        with pytest.raises(OSError, match=os.strerror(code)):
            checkpoint.write(path, {**content(), "images": 13})
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def make_run(root: Path, name: str, images: list[int]) -> Path:
    run = root / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    for count in images:
        checkpoint.write(run / "checkpoints" / checkpoint.checkpoint_name(count), {"images": count})
    return run


def test_the_newest_whole_checkpoint_is_taken_and_damaged_ones_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, "0001-pggan-x", [100, 200, 300])
    newest = checkpoint.list_checkpoints(run)[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    (run / "checkpoints" / ".checkpoint-000000000400.pt.1-a.tmp").write_bytes(b"half")
    path, read, damaged = checkpoint.newest(run)
    assert (path.name, read["images"]) == (checkpoint.checkpoint_name(200), 200)
    assert len(damaged) == 1
    assert newest.name in damaged[0]


def test_a_run_is_found_by_path_name_number_or_as_the_newest(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "0001-pggan-x", []), make_run(tmp_path, "0002-dcgan-y", [])
    os.utime(first / "run.json", ns=(1, 1))
    assert checkpoint.find_run(None, tmp_path)[0] == second
    assert checkpoint.find_run("1", tmp_path)[0] == first
    assert checkpoint.find_run("0001-pggan-x", tmp_path)[0] == first
    assert checkpoint.find_run(str(first), tmp_path)[0] == first


def test_no_run_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="start one with ganforge train"):
        checkpoint.find_run(None, tmp_path)
    with pytest.raises(CheckpointError, match="no such run"):
        checkpoint.find_run("7", tmp_path)
    (tmp_path / "plain").mkdir()
    with pytest.raises(CheckpointError, match="not a run folder"):
        checkpoint.find_run(str(tmp_path / "plain"), tmp_path)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        checkpoint.newest(make_run(tmp_path, "0003-x", []))


def test_run_numbers_go_up_and_are_never_shared(tmp_path: Path) -> None:
    names = [checkpoint.new_run("pggan-x", tmp_path).name for _ in range(3)]
    assert names == ["0001-pggan-x", "0002-pggan-x", "0003-pggan-x"]
