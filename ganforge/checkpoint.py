"""One file that holds everything, written so that it is whole or not there, and read so that no code can run.

A checkpoint is what `torch.save` makes of plain types (a zip archive), with the sha256 of all before it as the
archive's comment: torch and every zip tool read it as ever, and a flipped bit is seen before anything is loaded.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any

import torch

from ganforge.errors import CheckpointError

FORMAT = 1
MARK = b"ganforge sha256 "
TRAILER = 2 + len(MARK) + 64  # the archive comment's length field, then the comment


def write(path: Path, content: dict[str, Any]) -> None:
    """Write plain types and tensors to `path`: temporary name, sync, rename, sync of the folder.

    At any moment `path` is the old file, the new one, or absent as before. Raises OSError as the file system does,
    after removing the temporary file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb+") as file:
            _save({"format": FORMAT, **content}, file)
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _save(content: dict[str, Any], file: Any) -> None:
    """`torch.save`, whose archive writer hides what the file system said (no space left) behind its own error."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _seal(file: Any) -> None:
    """Give the archive its digest as comment: the last two bytes of a zip are the comment's length, 0 so far."""
    end = file.seek(0, os.SEEK_END)
    digest = _digest(file, end - 2)
    comment = MARK + digest.encode()
    file.seek(end - 2)
    file.write(len(comment).to_bytes(2, "little") + comment)


def _digest(file: Any, length: int) -> str:
    file.seek(0)
    digest, left = hashlib.sha256(), length
    while left > 0 and (block := file.read(min(left, 1 << 22))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content, tensors on the CPU. Raises CheckpointError, one line, for a file that is not one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= TRAILER:
                raise CheckpointError(f"{path}: not a ganforge checkpoint (too short)")
            file.seek(size - TRAILER)
            trailer = file.read()
            if not trailer[2:].startswith(MARK):
                raise CheckpointError(f"{path}: not a whole ganforge checkpoint (its digest is missing); use another")
            if _digest(file, size - TRAILER).encode() != trailer[2 + len(MARK) :]:
                raise CheckpointError(f"{path}: damaged (its digest does not match); use an earlier one")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except CheckpointError:
        raise
    except Exception as error:  # torch.load raises whatever the archive's content provokes
        first = str(error).strip().split("\n")[0][:120]
        raise CheckpointError(f"{path}: holds something that is not plain data, refused ({first})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise CheckpointError(f"{path}: format {found}, this ganforge reads {FORMAT}; use the version that wrote it")
    return content


def checkpoint_name(images: int) -> str:
    return f"checkpoint-{images:012d}.pt"


def list_checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints, oldest first, unread."""
    found = [path for path in (run / "checkpoints").glob("checkpoint-*.pt") if re.search(r"-\d{12}\.pt$", path.name)]
    return sorted(found)


def newest(run: Path) -> tuple[Path, dict[str, Any], list[str]]:
    """The newest checkpoint that is whole, its content, and a line for each damaged one that was passed over.

    Raises CheckpointError when there is none.
    """
    damaged: list[str] = []
    for path in reversed(list_checkpoints(run)):
        try:
            return path, read(path), damaged
        except CheckpointError as error:
            damaged.append(str(error))
    detail = f" ({damaged[0]})" if damaged else ""
    raise CheckpointError(f"{run}: no whole checkpoint in it{detail}; start again with ganforge train")


def is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def find_run(what: str | None, root: Path = Path("runs")) -> tuple[Path, str]:
    """The run folder that `what` names (its path, or its name or number below `root`), or else the newest one.

    Returns it with a sentence that says what was chosen. Raises CheckpointError when there is none.
    """
    runs = sorted((path for path in root.glob("*") if is_run(path)), key=lambda path: path.name)
    if what is None:
        if not runs:
            raise CheckpointError(f"no run below {root}/; start one with ganforge train, or name one")
        newest_run = max(runs, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path.name))
        others = f", the newest of {len(runs)}" if len(runs) > 1 else ""
        return newest_run, f"run {newest_run}{others}"
    path = Path(what)
    for candidate in (
        path,
        root / what,
        *(run for run in runs if what.isdigit() and run.name.startswith(f"{int(what):04d}-")),
    ):
        if is_run(candidate):
            return candidate, f"run {candidate}"
    if path.exists():
        raise CheckpointError(f"{what}: not a run folder (no run.json in it); name one below {root}/")
    raise CheckpointError(f"{what}: no such run; those here: {', '.join(run.name for run in runs) or 'none'}")


def new_run(name: str, root: Path = Path("runs")) -> Path:
    """Make the folder `<root>/<number>-<name>` with the next free number."""
    root.mkdir(parents=True, exist_ok=True)
    while True:
        numbers = [int(match[1]) for path in root.iterdir() if (match := re.match(r"(\d{4,})-", path.name))]
        path = root / f"{max(numbers, default=0) + 1:04d}-{name}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
