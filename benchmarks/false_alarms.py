"""How often the watchdog barks at healthy runs, and how soon at planted troubles: real training on real pictures.

    python benchmarks/false_alarms.py --data datasets/fashion --seeds 10 --out /tmp/alarms
    python benchmarks/false_alarms.py --data datasets/fashion --planted --kimg 32 --out /tmp/alarms

Healthy: PGGAN, SAGAN and DCGAN, a seed a run, each `ganforge train` with the watchdog as it is by default; every
incident is an alarm. Beside them stands how near the run came to one: the least that a look's diversity was of the
best before, the most that the loss was off in robust deviations, the most ticks of saturation in a row, the share
of the time that the watchdog took (of a run this short, where looks are as rare as they may be).

Planted: in a conditional run one class becomes one picture; a run goes on with learning rates a thousand times too
high; a gradient becomes NaN; the averaged generator alone becomes NaN. The ticks from the plant to the incident are
told, and what was done; such a run ends `AFTER` ticks after its plant. The pictures (28 or 32 pixels a side) want
classes; PGGAN and SAGAN train at half their size, so that a run of 8 kimg takes a quarter of a minute on a
free core.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from ganforge.cli import main, session
from ganforge.data.dataset import Dataset
from ganforge.observers import watchdog
from ganforge.observers.base import passed
from ganforge.observers.diversity import ALL, Fall
from ganforge.observers.jsonl import read_lines
from ganforge.training import state
from ganforge.training.speed import Cost

SMALL = {
    "pggan": ["network.widths=[24,24,16,8]", "network.fused=true"],
    "sagan": ["network.width_g=4", "network.width_d=4", "network.max_width_g=16", "network.max_width_d=16"],
    "dcgan": ["network.width_g=16", "network.width_d=16"],
}
AFTER = 12  # ticks that a run goes on after its plant


class Margins:
    """How near to an alarm a run came, written down as its watchdog looks."""

    def __init__(self, path: Path) -> None:
        self.path, self.least, self.class_least, self.off, self.saturated = path, 9.0, 9.0, 0.0, 0
        self.watching, self.began = 0.0, 0.0
        before, spike, saturation = Fall.after, watchdog.Watchdog._spike, watchdog.Watchdog._saturation
        look = watchdog.Watchdog.__call__

        def looked(dog: Any, report: Any) -> None:
            now = time.process_time()
            self.began = self.began or now
            look(dog, report)
            self.watching += time.process_time() - now

        def after(fall: Fall, seen: Any, *more: Any) -> Any:
            shares = {ALL: seen.overall, **{str(label): share for label, share in seen.by_class.items()}}
            for name, share in shares.items():
                best = fall.memory.get(name, {"best": 0.0})["best"]
                if best >= 0.3:
                    held = "least" if name == ALL else "class_least"
                    setattr(self, held, min(getattr(self, held), share / best))
            return before(fall, seen, *more)

        def spiked(dog: Any, report: Any, losses: list[float]) -> None:
            spike(dog, report, losses)
            now = time.process_time()
            self.off = max(self.off, deviations(dog.memory["losses"]))
            self.watching -= time.process_time() - now  # this is not the watchdog's own time

        def saturated(dog: Any, report: Any) -> None:
            saturation(dog, report)
            self.saturated = max(self.saturated, dog.memory["saturated"])

        Fall.after, watchdog.Watchdog._spike, watchdog.Watchdog._saturation = after, spiked, saturated  # type: ignore[method-assign]

        watchdog.Watchdog.__call__ = looked  # type: ignore[method-assign]

    def __str__(self) -> str:
        share = self.watching / max(time.process_time() - self.began, 1e-9)
        return f"{self.least:.2f} {self.class_least:.2f} {self.off:.1f} {self.saturated} {share:.1%}"


def deviations(losses: list[float]) -> float:
    """How far the last few losses are off the others, as the watchdog reckons it."""
    recent = watchdog.RECENT
    if len(losses) < watchdog.ENOUGH + recent:
        return 0.0
    past, now = torch.tensor(losses[:-recent]), torch.tensor(losses[-recent:]).median()
    scale = 1.4826 * (past - past.median()).abs().median() + 0.02 * (1 + past.median().abs())
    return float((now - past.median()).abs() / scale)


def run(arguments: list[str], folder: Path, plant: Callable[[Any, Any], None] | None = None) -> tuple[int, float]:
    """A process of its own that trains; its exit code, and the seconds that it took."""
    began, child = time.monotonic(), os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), time.monotonic() - began
    code = 1
    try:
        torch.set_num_threads(1)
        output = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["ganforge", *arguments]
        session.plan_costs = lambda config, schedule, device: [Cost(0.001, True)] * len(schedule.rows)
        margins = Margins(folder / "margins.txt")
        if plant:
            planting(plant)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        margins.path.write_text(str(margins))
    finally:
        os._exit(code)


def planting(plant: Callable[[Any, Any], None]) -> None:
    """Have `plant` called after each step, before the watchdog looks."""
    look = watchdog.Watchdog.__call__

    def first(dog: watchdog.Watchdog, report: Any) -> None:
        plant(dog.session, report)
        look(dog, report)
        if report.images >= plant.start + AFTER * dog.session.tick:
            os.kill(os.getpid(), signal.SIGTERM)

    watchdog.Watchdog.__call__ = first  # type: ignore[method-assign]


def typed(words: argparse.Namespace, arch: str, seed: int, folder: Path) -> list[str]:
    """A run's command line."""
    settings = [*SMALL[arch], "network.latent=32"]
    line = ["train", "--arch", arch, "--data", str(words.data), "--out", str(folder), "--seed", str(seed)]
    line += ["--kimg", str(words.kimg), "--batch", "16", "--device", "cpu", "--checkpoint-every", "2kimg"]
    line += [] if arch == "pggan" else ["--conditional"]
    line += [] if arch == "dcgan" else ["--max-res", str(words.half)]
    return line + [word for setting in settings for word in ("--set", setting)]


def healthy(words: argparse.Namespace) -> int:
    """Train them all; returns how many alarms there were."""
    alarms: dict[str, int] = {}
    print(
        "arch   seed  seconds  exit  alarms  least of best: all, a class; loss off; ticks saturated; watchdog's time",
        flush=True,
    )
    for seed in range(words.first, words.first + words.seeds):
        for arch in words.arch:
            folder = words.out / f"{arch}-{seed}"
            code, seconds = run(typed(words, arch, seed, folder), folder)
            incidents = read_lines(folder / "incidents.jsonl")
            alarms[arch] = alarms.get(arch, 0) + len(incidents) + (code != 0)
            margins = (folder / "margins.txt").read_text() if code == 0 else ""
            print(f"{arch:6} {seed:4} {seconds:8.0f} {code:5} {len(incidents):7}  {margins}", flush=True)
            for incident in incidents:
                print(f"    {incident['images']} images: {incident['what']}: {incident['done']}", flush=True)
    for arch, count in alarms.items():
        print(f"{arch}: {count} alarms in {words.seeds} runs of {words.kimg:g} kimg")
    return sum(alarms.values())


class ConstantClass:
    """From `start` images on the generator draws one picture of class `label`, whatever the latent."""

    def __init__(self, start: int, label: int) -> None:
        self.start, self.label, self.done = start, label, False

    def __call__(self, of: Any, report: Any) -> None:
        if self.done or report.images < self.start:
            return
        self.done = True

        def draw(module: Any, inputs: Any, pictures: torch.Tensor) -> torch.Tensor:
            chosen = inputs[1] == self.label
            first = pictures[chosen][:1].detach()
            return torch.where(chosen[:, None, None, None], first, pictures) if len(first) else pictures

        of.state.generator.register_forward_hook(draw)


class Absurd:
    """From `start` images on all learning rates are a thousand times the schedule's, until the run is rolled back."""

    def __init__(self, start: int) -> None:
        self.start, self.begun = start, False

    def __call__(self, of: Any, report: Any) -> None:
        if self.begun or report.images < self.start:
            return
        self.begun, usual = True, state._set_rate
        state._set_rate = lambda optimizer, rate: usual(optimizer, rate * (1 if of.state.salt else 1000))


class Spoilt:
    """At `start` images, once, an optimizer's moments or the averaged generator's weights become NaN."""

    def __init__(self, start: int, what: str) -> None:
        self.start, self.what = start, what

    def __call__(self, of: Any, report: Any) -> None:
        if not passed(report, self.start) or of.state.salt or report.images >= 2 * self.start:
            return
        if self.what == "average":
            with torch.no_grad():
                next(of.state.ema.parameters()).fill_(torch.nan)
            return
        weight = next(of.state.generator.parameters())
        handle = weight.register_hook(lambda gradient: (handle.remove(), gradient * torch.nan)[1])


def planted(words: argparse.Namespace) -> int:
    """Plant each trouble; returns how many were not noticed within two ticks of the plant."""
    images, missed = int(words.kimg * 1000), 0
    tick, start = max(1, images // 200), round(words.at * images)
    plants: list[tuple[str, str, Callable[[Any, Any], None]]] = [
        ("NaN in a gradient", "dcgan", Spoilt(start, "gradient")),
        ("NaN in the average alone", "pggan", Spoilt(start, "average")),
        *((f"one class a constant ({label})", "dcgan", ConstantClass(start, label)) for label in (3,)),
        ("one class a constant (5)", "sagan", ConstantClass(start, 5)),
        *(("learning rates times 1000", arch, Absurd(start)) for arch in ("dcgan", "sagan", "pggan")),
    ]
    print(f"planted at {start} images, a tick is {tick}", flush=True)
    for number, (name, arch, plant) in enumerate(plants):
        if words.only not in name:
            continue
        folder = words.out / f"planted-{number}-{arch}"
        code, _ = run(typed(words, arch, 0, folder), folder, plant)
        incidents = read_lines(folder / "incidents.jsonl")
        after = [incident for incident in incidents if incident["images"] >= start]
        ticks = (after[0]["images"] - start) / tick if after else float("inf")
        missed += ticks > 2 or len(after) < len(incidents)
        print(f"{name}, {arch}: first told after {ticks:.1f} ticks; exit code {code}", flush=True)
        for incident in incidents[:6]:
            print(
                f"    {incident['images']} images, {incident['kind']}: {incident['what']}: {incident['done']}",
                flush=True,
            )
    return missed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a dataset folder with classes")
    parser.add_argument("--out", type=Path, required=True, help="where the runs go")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--arch", nargs="+", default=["pggan", "sagan", "dcgan"], choices=sorted(SMALL))
    parser.add_argument("--kimg", type=float, default=8)
    parser.add_argument("--at", type=float, default=0.4, help="the share of the run after which a trouble is planted")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--only", default="", help="plant only those whose name has this in it")
    words = parser.parse_args()
    words.half = Dataset.open(words.data).resolutions[-2]
    words.out.mkdir(parents=True, exist_ok=True)
    sys.exit(planted(words) if words.planted else healthy(words))
