"""One run, one writer: a lock file in the run folder with the process and host that hold it."""

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ganforge.errors import CheckpointError

NAME = ".lock"


class RunLock:
    """Held while a process trains a run. Entering raises CheckpointError, one line, when another process holds it.

    The system's own file lock decides, and it ends with its process: so a lock that a killed process left behind is
    free, and the name in it (`left_by`) is only told. Where the file system has no locks the name decides: it is
    held while a process of that number lives on this host.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.file: IO[str] | None = None
        self.left_by = ""

    def __enter__(self) -> Self:
        try:
            file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise CheckpointError(f"{self.path.parent}: cannot be written to ({error.strerror or error})") from None
        file.seek(0)
        owner = _owner(file.read())
        if not self._take(file, owner):
            file.close()
            raise CheckpointError(
                f"{self.path.parent}: process {owner['pid']} on {owner['host']} is training it; "
                "stop that one first, or name another run"
            )
        if owner["pid"]:
            self.left_by = f"process {owner['pid']} on {owner['host']}"
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        self.file = file
        return self

    def _take(self, file: IO[str], owner: dict[str, str]) -> bool:
        try:
            import fcntl
        except ImportError:  # Windows: a run has no lock there
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return not (owner["host"] == socket.gethostname() and owner["pid"] and _alive(int(owner["pid"])))
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file is not None:
            try:
                self.file.truncate(0)  # emptied and not removed: another process may be opening it right now
            finally:
                self.file.close()
                self.file = None


def _owner(text: str) -> dict[str, str]:
    try:
        record = json.loads(text)
        return {"pid": str(int(record["pid"])), "host": str(record["host"])}
    except (ValueError, KeyError, TypeError):
        return {"pid": "", "host": ""}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
