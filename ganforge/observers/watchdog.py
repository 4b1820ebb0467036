"""Notices when a run goes wrong: NaNs, spikes, a saturated discriminator, collapse. It reads; it changes nothing.

What is done about it (warn, roll back, stop) is up to whoever runs the loop, which reads `trouble` after each step.
"""

import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError, unknown
from ganforge.networks.spectral import singular_values
from ganforge.observers.base import Observer, Session, passed
from ganforge.observers.diversity import Fall, Prober
from ganforge.observers.incidents import grid_before, picture, record
from ganforge.training.loop import StepReport, figures

Action = Literal["warn", "rollback", "stop"]
ACTIONS: dict[str, Action] = {"warn": "warn", "rollback": "rollback", "stop": "stop"}
READ_EVERY = 32  # steps between two looks at the flag where a look waits for the device
WINDOW, ENOUGH, SIGMAS = 400, 100, 25.0  # of the D loss's running scale: steps, at least, and robust deviations
RECENT, LASTING = 10, 25  # steps whose median has jumped: told (fewer pass in any long run); for so many, acted upon
SATURATED, SATURATED_TICKS = 0.995, 40  # both accuracies at least; a fifth of a run
# Images, at least, between two looks: at most two ticks of a run of 32 kimg, and under 1% of the time to draw.
LOOK_EVERY = 320
JUMP = 3.0  # of a layer's largest singular value, over its running median
AGAIN = 20  # ticks without it, after which the same thing is told again
SHOWN = 3  # classes in one sentence
LAG = 3  # ticks, or the steps of a jump if those are more: what is noticed now may have begun so long before


def find_action(name: str, option: str) -> Action:
    """The action that `option` names. Raises ConfigError for one that there is not."""
    if name not in ACTIONS:
        raise ConfigError(f"{option}: {unknown('action', name, ACTIONS)}")
    return ACTIONS[name]


@dataclass(frozen=True)
class Trouble:
    """What was noticed at `images`; until `healthy` images all was well."""

    kind: str
    what: str
    action: Action
    images: int
    healthy: int
    evidence: dict[str, object] = field(default_factory=dict)


class Watchdog(Observer):
    """Sets `trouble` when the run should be rolled back or stopped; what is only to be told is told and recorded.

    `on_trouble` is for NaNs, for a loss that jumps and stays there, and for a loss or a layer's largest singular value
    that jumps while the pictures become alike; `on_collapse` for pictures that become alike without. A saturated
    discriminator is never a reason for a rollback, since it would come back: it is told, or with `stop` ends the run.
    What it remembers is a part of the state, so that a resumed run is watched as one that was not stopped.
    """

    def __init__(
        self, session: Session, on_trouble: Action, on_collapse: Action, say: Callable[[str], None] = print
    ) -> None:
        self.session, self.say = session, say
        self.on_trouble, self.on_collapse = on_trouble, on_collapse
        self.on_doubt: Action = "stop" if on_trouble == "stop" else "warn"
        self.trouble: Trouble | None = None
        step = session.config.updates.d_per_g * max(row.phase.batch for row in session.schedule.rows)
        lag = max(LAG, math.ceil(RECENT * step / session.tick))
        self.sound = deque([session.state.images], maxlen=lag)  # the last ticks at which nothing was noticed
        self.noticed = -1
        self.broken = torch.zeros((), dtype=torch.bool, device=session.state.device)
        self.unread: list[Tensor] = []
        self.last: StepReport | None = None
        self.prober = Prober(session)
        fresh: dict[str, Any] = {"losses": [], "phase": -1, "saturated": 0, "told": {}, "layers": {}, "diversity": {}}
        self.memory = session.state.memory.setdefault("watchdog", fresh)
        self.fall = Fall(self.memory["diversity"], session.config.data.classes)

    def fine(self) -> bool:
        """Whether what the state holds may be saved; what is to be remembered is in it then."""
        if self.unread and self.last is not None and self.trouble is None and not bool(self.broken):
            self._spike(self.last, self._read())
        return self.trouble is None

    def _read(self) -> list[float]:
        """The losses that the device still held back."""
        read: list[float] = torch.stack(self.unread).tolist() if self.unread else []
        self.unread = []
        return read

    def __call__(self, report: StepReport) -> None:
        self.last = report
        # A NaN or an infinity anywhere makes the sum one.
        self.broken = self.broken | ~torch.stack([value.detach() for value in report.metrics.values()]).sum().isfinite()
        self.unread.append(report.metrics["loss/d"].detach())
        every = max(self.session.tick, LOOK_EVERY)
        ticked, looking = passed(report, self.session.tick), passed(report, every)
        if self.session.state.device.type != "cpu" and not (ticked or looking or report.step % READ_EVERY == 0):
            return
        unread = self._read()
        if report.position.index != self.memory["phase"]:
            self.memory |= {"phase": report.position.index, "losses": []}
        if bool(self.broken):
            self.broken = torch.zeros_like(self.broken)
            names = [name for name, value in figures(report.metrics).items() if value - value != 0]
            self._notice(report, "not finite", f"NaN or infinity in {', '.join(names) or 'a step'}", self.on_trouble)
            return
        self._spike(report, unread)
        if ticked:
            self._weights(report)
            self._saturation(report)
        if looking and self.trouble is None:
            self._collapse(report, report.images // every)
        if ticked and report.images - self.noticed > self.session.tick and not self.fall.suspects():
            self.sound.append(report.images)

    def _notice(
        self,
        report: StepReport,
        kind: str,
        what: str,
        action: Action,
        parts: tuple[str, ...] = ("",),
        **evidence: object,
    ) -> None:
        """Have something done about it, or tell it where it is new, or has come back, of any of its `parts`."""
        shown = {name: _plain(value) for name, value in figures(self.session.state.figures).items()}
        step = {name: _plain(value) for name, value in figures(report.metrics).items()}
        more = {"step": report.step, "figures": shown, "step figures": step, **evidence}
        self.noticed = report.images
        # A NaN is seen at once; anything else may have begun before it could be told from chance.
        healthy = self.sound[-1 if kind == "not finite" else 0]
        if action != "warn":
            self.trouble = self.trouble or Trouble(kind, what, action, report.images, healthy, more)
            return
        told, keys, of_late = self.memory["told"], [f"{kind} {part}".strip() for part in parts], self._of_late(report)
        told |= dict.fromkeys(keys, report.images)
        if not of_late.issuperset(keys):
            grid = Path("incidents") / f"{report.images:012d}-{kind.replace(' ', '-')}.png"
            picture(self.session, self.session.folder / grid)
            pictures = [*grid_before(self.session.folder, healthy), str(grid)]
            record(self.session.folder, kind, report.images, what, "told only", pictures=pictures, **more)
            self.say(f"warning: {what} at {report.images / 1000:g} kimg")

    def _spike(self, report: StepReport, losses: list[float]) -> None:
        """Against the median of the steps before, in robust deviations (1.4826 times the median absolute one)."""
        for loss in losses:
            self.memory["losses"] = kept = [*self.memory["losses"], loss][-WINDOW:]
            if len(kept) < ENOUGH + RECENT or not (found := jump(kept, RECENT)):
                continue
            lasting = len(kept) >= ENOUGH + LASTING and jump(kept, LASTING)
            found, action = (lasting, self.on_trouble) if lasting else (found, self.on_doubt)
            what = f"the discriminator's loss jumped from about {found['median']:.3g} to {found['recent']:.3g}"
            self._notice(report, "loss spike", what, action, loss=found)

    def _weights(self, report: StepReport) -> None:
        """Weights and the running statistics beside them: a NaN in an average is in no loss."""
        state = self.session.state
        networks = {"generator": state.generator, "discriminator": state.discriminator, "average": state.ema}
        for role, network in networks.items():
            if network is not None and not finite(network):
                self._notice(report, "not finite", f"NaN or infinity in the {role}'s weights", self.on_trouble)

    def _saturation(self, report: StepReport) -> None:
        shown = self.session.state.figures
        right = min(float(shown.get(name, torch.zeros(()))) for name in ("accuracy/real", "accuracy/fake"))
        counts = self.session.config.objective.loss != "wgan"  # whose scores have no zero
        self.memory["saturated"] = self.memory["saturated"] + 1 if right >= SATURATED and counts else 0
        if self.memory["saturated"] == SATURATED_TICKS:
            what = f"the discriminator has told all pictures apart for {SATURATED_TICKS} ticks; try --augment ada"
            self._notice(report, "saturated", what, self.on_doubt, accuracy=right)

    def _collapse(self, report: StepReport, number: int) -> None:
        before, seen = self.fall.figures(), self.prober.measure(report.position.phase.resolution, number)
        layers = self._layers()
        fell, jumped = self.fall.after(seen, report.images), self._jump(layers)
        found = {**fell, **jumped}
        for name, value in layers.items():
            self.memory["layers"][name] = [*self.memory["layers"].get(name, []), value][-10:]
        if found:
            evidence: dict[str, object] = {"diversity": seen.figures(), "best before": before}
            if layers:
                evidence["largest singular values"] = layers
            what, action = "; ".join([*found.values()][:SHOWN]), self.on_collapse
            spiked = "loss spike" in self._of_late(report)
            if action == "warn" and fell and (spiked or jumped):
                # Each alone may pass; two together are a run that has come apart, as at an absurd learning rate.
                what = f"the discriminator's loss jumped, and {what}" if spiked else what
                action = self.on_trouble
            self._notice(report, "collapse", what, action, tuple(found), **evidence)

    def _of_late(self, report: StepReport) -> set[str]:
        """What has been noticed in the last ticks."""
        since = report.images - AGAIN * self.session.tick
        return {kind for kind, images in self.memory["told"].items() if images >= since}

    def _layers(self) -> dict[str, float]:
        """The largest singular value of each spectrally normalized layer."""
        state = self.session.state
        found = {
            f"{role}.{name}": value
            for role, network in (("g", state.generator), ("d", state.discriminator))
            for name, value in singular_values(network).items()
        }
        return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True)) if found else {}

    def _jump(self, layers: dict[str, float]) -> dict[str, str]:
        for name, value in layers.items():
            past = self.memory["layers"].get(name, [])
            if len(past) >= 5 and value > JUMP * statistics.median(past) + 1:
                usual = statistics.median(past)
                return {name: f"the largest singular value of {name} jumped from about {usual:.3g} to {value:.3g}"}
        return {}


def jump(losses: list[float], recent: int) -> dict[str, float] | None:
    """How far the median of the last few losses is off that of those before, where that is far; else None."""
    past, now = losses[:-recent], statistics.median(losses[-recent:])
    middle = statistics.median(past)
    least = 0.02 * (1 + abs(middle))  # of a robust deviation, so that a loss that stands still may move
    if abs(now - middle) <= SIGMAS * least:  # as at nearly every step: no need of the deviation
        return None
    scale = 1.4826 * statistics.median(abs(loss - middle) for loss in past) + least
    return {"median": middle, "deviation": scale, "recent": now} if abs(now - middle) > SIGMAS * scale else None


def finite(network: nn.Module) -> bool:
    """Whether a network's parameters and buffers are free of NaNs and infinities."""
    held = [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]
    return bool(torch.stack(torch._foreach_norm([tensor.detach() for tensor in held])).isfinite().all())


def _plain(value: float) -> float | str:
    """A number that JSON can hold: it has no NaN."""
    return value if value - value == 0 else str(value)
