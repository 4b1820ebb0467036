"""Kill real training processes at random moments, resume each, and compare with the run that was not killed.

    python benchmarks/kill_resume.py --kills 50 --signal KILL
    python benchmarks/kill_resume.py --kills 20 --signal TERM

Each trial is `ganforge train --auto-resume` in a process of its own, killed at a random moment of its training, and the
same command again to the end; a checkpoint is written after every other step, so that many of the kills fall into a
write. The moment is a random checkpoint and a random time after it, so it does not depend on how busy the machine is.
The processes are forked from one that has imported torch already, and do not time their steps beforehand.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from ganforge import checkpoint
from ganforge.cli import main, session
from ganforge.data.prepare import Request, prepare
from ganforge.observers.jsonl import TIMES, read_lines
from ganforge.training.speed import Cost

IMAGES, EVERY = 400, 16
TRAIN = ["train", "--auto-resume", "--max-res", "16", "--kimg", f"{IMAGES / 1000}", "--batch", "8"]
TRAIN += ["--checkpoint-every", f"{EVERY}img", "--device", "cpu", "--seed", "1"]
TINY = ["--set", "network.fmap_max=16", "--set", "network.latent=16"]


def start(run: Path, data: Path, log: Path) -> int:
    """Fork a process that trains; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["ganforge", *TRAIN, *TINY, "--data", str(data), "--out", str(run)]
        session.plan_costs = lambda config, schedule, device: [Cost(0.001, True)] * len(schedule.rows)
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for(run: Path, images: int, patience: float) -> None:
    """Return when a run has a checkpoint of so many images, or has begun where that is 0; or after long enough."""
    wanted = run / "checkpoints" / checkpoint.checkpoint_name(images) if images else run / "run.json"
    deadline = time.monotonic() + 5 * patience
    while not wanted.exists() and time.monotonic() < deadline:
        time.sleep(0.001)


def result(run: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, object]]]:
    """Every tensor of the last checkpoint, and the log without its times."""
    content = checkpoint.newest(run)[1]
    tensors = {
        f"{name}.{key}": value for name in ("generator", "discriminator", "ema") for key, value in content[name].items()
    }
    lines = [{key: value for key, value in line.items() if key not in TIMES} for line in read_lines(run / "log.jsonl")]
    return {**tensors, "images": torch.tensor(content["images"])}, lines


def same(run: Path, expected: tuple[dict[str, torch.Tensor], list[dict[str, object]]]) -> bool:
    tensors, lines = result(run)
    return lines == expected[1] and all(torch.equal(value, expected[0][key]) for key, value in tensors.items())


def run_trials(kills: int, number: int, folder: Path) -> int:
    """Returns how many trials ended as the uninterrupted run."""
    data = folder / "data"
    prepare(Request(source="demo", out=data, max_res=16, count=200, seed=0, workers=0))
    began = time.monotonic()
    if wait(start(folder / "whole", data, folder / "whole.log")) != 0:
        sys.exit((folder / "whole.log").read_text())
    length = time.monotonic() - began
    expected = result(folder / "whole")
    chosen, good, inside, before, late = random.Random(0), 0, 0, 0, 0
    for trial in range(kills):
        run, log = folder / f"run{trial}", folder / f"run{trial}.log"
        child = start(run, data, log)
        wait_for(run, chosen.randrange(0, IMAGES, EVERY), length)
        time.sleep(chosen.uniform(0, 2 * length * EVERY / IMAGES))
        os.kill(child, number)
        code = wait(child)
        late += code == 0
        before += not (run / "run.json").exists()
        inside += any(run.glob("checkpoints/.*.tmp"))
        wanted = {-number, 0} if number == signal.SIGKILL else {-number, 128 + number, 0}
        ended = wait(start(run, data, log))
        if code in wanted and ended == 0 and same(run, expected):
            good += 1
        else:
            print(f"trial {trial}: exit codes {code} and {ended}\n{log.read_text()[-2000:]}")
    print(
        f"{signal.Signals(number).name}: {good} of {kills} ended as the uninterrupted run of {length:.1f} s "
        f"({inside} hit a checkpoint being written, {before} came before the run began, {late} after its end)"
    )
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--signal", default="KILL", choices=("KILL", "TERM", "INT", "HUP"))
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        done = run_trials(words.kills, signal.Signals[f"SIG{words.signal}"], Path(place))
    sys.exit(done != words.kills)
