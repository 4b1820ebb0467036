"""`--gpus N`: N processes of the same command, started by torch's elastic launcher, and one word on how they ended."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ganforge.cli.places import require_place

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

FOLDER = "GANFORGE_RANKS"  # the environment's name for the folder in which ranks and launcher leave each other word
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


def launch(gpus: int, device: str) -> int:
    """Run the command that was typed as `gpus` ranks on this machine; returns its exit code.

    Raises ConfigError where the machine has fewer GPUs, before anything is started.
    """
    require_place(0, gpus, device)
    logging.disable(logging.CRITICAL)  # how ranks ended is told here, in one line
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="ganforge-ranks-") as name:
        relay = Relay(Path(name), gpus, SignalException)
        os.environ |= environment(gpus, name)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=gpus,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=name),
            signals_to_handle="SIGQUIT",  # the others are relayed, which leaves the ranks the time to save
        )
        try:
            elastic_launch(config, sys.executable)("-m", "ganforge", *sys.argv[1:])
        except ChildFailedError as error:
            return verdict(error.failures, Path(name), gpus, relay.received)
        except SignalException as error:
            return verdict({}, Path(name), gpus, int(error.sigval))
        return 0


def environment(gpus: int, folder: str) -> dict[str, str]:
    """What the ranks find in their environment, beside what was there."""
    added = {FOLDER: folder}
    if "OMP_NUM_THREADS" not in os.environ:
        added["OMP_NUM_THREADS"] = str(max((os.cpu_count() or 1) // gpus, 1))
    if sys.platform == "linux" and "GLOO_SOCKET_IFNAME" not in os.environ:
        added["GLOO_SOCKET_IFNAME"] = "lo"  # all ranks are here: no host name is looked up, no port is open to others
    return added


class Relay:
    """Passes signals on to the ranks, which stop after the same step and save; a second one makes them leave at once.

    What is ignored already (SIGHUP under nohup) stays ignored. A signal that comes before all ranks are there is left
    to torch's launcher, as the exception that it knows.
    """

    def __init__(self, folder: Path, gpus: int, too_early: Callable[[str, signal.Signals], Exception]) -> None:
        self.folder, self.gpus, self.too_early = folder, gpus, too_early
        self.received: int | None = None
        for name in ENDING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        first, self.received = self.received is None, number
        ranks = [int(path.name.removeprefix("rank-")) for path in self.folder.glob("rank-*")]
        if len(ranks) < self.gpus and first:
            raise self.too_early(f"signal {number}", signal.Signals(number))
        for pid in ranks:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def introduce() -> None:
    """In a rank: leave the process id for the launcher, which is to relay signals."""
    if folder := os.environ.get(FOLDER):
        (Path(folder) / f"rank-{os.getpid()}").touch()


def name_run(run: Path) -> None:
    """In rank 0: leave the run's name for the launcher, which is to say how to resume."""
    if folder := os.environ.get(FOLDER):
        (Path(folder) / "run").write_text(str(run), encoding="utf-8")


def verdict(failures: Mapping[int, "ProcessFailure"], folder: Path, gpus: int, received: int | None) -> int:
    """The exit code for ranks that did not all end well; says what they could not say themselves."""
    named = folder / "run"
    again = f"go on with: ganforge resume {named.read_text()} --gpus {gpus}" if named.exists() else "start it again"
    codes: dict[int, Any] = {rank: failure.exitcode for rank, failure in failures.items()}
    for rank, code in codes.items():
        if code < 0 and code != -signal.SIGTERM and -code != received:
            why = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            pid, name = failures[rank].pid, signal.Signals(-code).name
            return _say(f"rank {rank} (process {pid}) was killed by {name}{why}; the others were stopped; {again}", 1)
    if received is not None:
        told = any(code > 128 for code in codes.values())
        return (
            128 + received
            if told
            else _say(f"{signal.Signals(received).name}: stopped before training began", 128 + received)
        )
    told_codes = [code for code in codes.values() if code == 2 or code > 128]
    if told_codes:
        return int(told_codes[0])
    rank = min(codes, default=0)
    return _say(f"rank {rank} ended with exit code {codes.get(rank)}, its reason is above; {again}", 1)


def _say(text: str, code: int) -> int:
    print(f"ganforge: {text}", file=sys.stderr)
    return code
