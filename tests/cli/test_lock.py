import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganforge.cli.lock import NAME, RunLock
from ganforge.errors import CheckpointError

HOLD = "import sys, time; from pathlib import Path; from ganforge.cli.lock import RunLock\n"
HOLD += "with RunLock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"


def test_a_second_writer_is_refused_in_one_line_and_a_killed_ones_lock_is_taken_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match=rf"process {other.pid} on .* is training it; stop that one"):
            RunLock(tmp_path).__enter__()
        other.kill()
    with RunLock(tmp_path) as lock:
        assert lock.left_by.startswith(f"process {other.pid} on ")
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    with RunLock(tmp_path) as lock:
        assert lock.left_by == ""


def test_a_damaged_lock_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{half")
    with RunLock(tmp_path) as lock:
        assert lock.left_by == ""


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written to"):
        RunLock(tmp_path / "gone").__enter__()
