"""Notices when a run goes wrong: NaNs, spikes, a saturated discriminator, collapse. It reads; it changes nothing.

What is done about it (warn, roll back, stop) is up to whoever runs the loop, which reads `trouble` after each step.
"""

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ganforge.errors import ConfigError, unknown
from ganforge.networks.spectral import singular_values
from ganforge.observers.base import Observer, Session, passed
from ganforge.observers.diversity import Diversity, Prober
from ganforge.observers.incidents import record
from ganforge.training.loop import StepReport, figures

Action = Literal["warn", "rollback", "stop"]
ACTIONS: dict[str, Action] = {"warn": "warn", "rollback": "rollback", "stop": "stop"}
READ_EVERY = 32  # steps between two looks at the flag where a look waits for the device
WINDOW, ENOUGH, RECENT, SIGMAS = 400, 100, 5, 25.0  # of the D loss's running scale, in steps and robust deviations
SATURATED, SATURATED_TICKS = 0.995, 40  # both accuracies at least; a fifth of a run
PROBE_EVERY = 2000  # images, at least, between two looks at diversity: under 2% of the time
FELL, FELL_AT_ONCE, DIVERSE = 0.35, 0.2, 0.3  # of the best so far, seen twice or once; of the reals' own
TWINS, FEW_TWINS = 0.3, 0.03  # share of pairs of pictures that are nearly one picture
LATE, NEVER = 100_000, 0.1  # images after which a run that never became this diverse is told
JUMP = 3.0  # of a layer's largest singular value, over its running median


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

    `on_trouble` is for NaNs, `on_collapse` for a generator whose pictures become alike. A saturated discriminator is
    never a reason for a rollback, since it would come back: it is told, or with `stop` ends the run. So is a jump of
    the loss: its threshold is a judgement that too few healthy runs have been held against to undo work for it.
    """

    def __init__(
        self, session: Session, on_trouble: Action, on_collapse: Action, say: Callable[[str], None] = print
    ) -> None:
        self.session, self.say = session, say
        self.on_trouble, self.on_collapse = on_trouble, on_collapse
        self.on_doubt: Action = "stop" if on_trouble == "stop" else "warn"
        self.trouble: Trouble | None = None
        self.healthy = session.state.images
        self.broken = torch.zeros((), dtype=torch.bool, device=session.state.device)
        self.unread: list[Tensor] = []
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.phase, self.saturated = -1, 0
        self.told: set[str] = set()
        self.prober = Prober(session)
        self.diversity = Fall()
        self.values: deque[dict[str, float]] = deque(maxlen=10)

    def fine(self) -> bool:
        """Whether what the state holds may be saved."""
        return self.trouble is None

    def __call__(self, report: StepReport) -> None:
        stacked = torch.stack([value.detach() for value in report.metrics.values()])
        self.broken = self.broken | ~stacked.isfinite().all()
        self.unread.append(report.metrics["loss/d"].detach())
        ticked, probing = passed(report, self.session.tick), passed(report, max(self.session.tick, PROBE_EVERY))
        if self.session.state.device.type != "cpu" and not (ticked or report.step % READ_EVERY == 0):
            return
        unread, self.unread = torch.stack(self.unread).tolist(), []
        if report.position.index != self.phase:
            self.phase = report.position.index
            self.losses.clear()
        if bool(self.broken):
            self.broken = torch.zeros_like(self.broken)
            names = [name for name, value in figures(report.metrics).items() if value - value != 0]
            self._notice(report, "not finite", f"NaN or infinity in {', '.join(names) or 'a step'}", self.on_trouble)
            return
        self._spike(report, unread)
        if ticked:
            self._saturation(report)
        if probing and self.trouble is None:
            self._collapse(report)
        if ticked and self.trouble is None:
            self.healthy = report.images

    def _notice(self, report: StepReport, kind: str, what: str, action: Action, **evidence: object) -> None:
        shown = {name: _plain(value) for name, value in figures(self.session.state.figures).items()}
        step = {name: _plain(value) for name, value in figures(report.metrics).items()}
        more = {"step": report.step, "figures": shown, "step figures": step, **evidence}
        trouble = Trouble(kind, what, action, report.images, self.healthy, more)
        if action != "warn":
            self.trouble = trouble
        elif kind not in self.told:
            self.told.add(kind)
            record(self.session.folder, kind, report.images, what, "told only", **more)
            self.say(f"warning: {what} at {report.images / 1000:g} kimg")

    def _spike(self, report: StepReport, losses: list[float]) -> None:
        for loss in losses:
            self.losses.append(loss)
        if len(self.losses) < ENOUGH:
            return
        past, recent = list(self.losses)[:-RECENT], statistics.median(list(self.losses)[-RECENT:])
        middle = statistics.median(past)
        scale = 1.4826 * statistics.median(abs(loss - middle) for loss in past) + 0.02 * (1 + abs(middle))
        if abs(recent - middle) > SIGMAS * scale:
            what = f"the discriminator's loss jumped from about {middle:.3g} to {recent:.3g}"
            self._notice(report, "loss spike", what, self.on_doubt, median=middle, deviation=scale, recent=recent)

    def _saturation(self, report: StepReport) -> None:
        shown = self.session.state.figures
        right = min(float(shown.get(name, torch.zeros(()))) for name in ("accuracy/real", "accuracy/fake"))
        counts = self.session.config.objective.loss != "wgan"  # whose scores have no zero
        self.saturated = self.saturated + 1 if right >= SATURATED and counts else 0
        if self.saturated == SATURATED_TICKS:
            what = f"the discriminator has told all pictures apart for {SATURATED_TICKS} ticks; try --augment ada"
            self._notice(report, "saturated", what, self.on_doubt, accuracy=right)

    def _collapse(self, report: StepReport) -> None:
        seen = self.prober.measure(report.position.phase.resolution)
        values = {
            f"{role}.{name}": float(value)
            for role, network in (("g", self.session.state.generator), ("d", self.session.state.discriminator))
            for name, value in singular_values(network).items()
        }
        what = self.diversity.after(seen, report.images) or self._jump(values)
        self.values.append(values)
        if what:
            names = self.session.config.data.classes
            for index, name in enumerate(names[: self.prober.classes]):
                what = what.replace(f"class {index}:", f"class {name}:")
            evidence = {"diversity": seen.figures(), "before": self.diversity.figures()}
            self._notice(report, "collapse", what, self.on_collapse, **evidence)

    def _jump(self, values: dict[str, float]) -> str | None:
        if len(self.values) < 5:
            return None
        for name, value in values.items():
            usual = statistics.median(past[name] for past in self.values)
            if value > JUMP * usual + 1:
                return f"the largest singular value of {name} jumped from about {usual:.3g} to {value:.3g}"
        return None


def _plain(value: float) -> float | str:
    """A number that JSON can hold: it has no NaN."""
    return value if value - value == 0 else str(value)


class Fall:
    """Remembers how diverse a run's pictures were, and tells when that falls."""

    def __init__(self) -> None:
        self.past: deque[Diversity] = deque(maxlen=5)
        self.best: tuple[float, ...] = ()
        self.low: set[int] = set()

    def figures(self) -> dict[str, object]:
        """The best so far: overall, then by class."""
        return {"best": [round(best, 4) for best in self.best]}

    def after(self, seen: Diversity, images: int) -> str | None:
        """Take in a measurement; says what fell, or None."""
        shares = (seen.overall, *seen.by_class)
        found = self._fallen(shares) or self._twins(seen)
        if not found and images >= LATE and max((seen.overall, *self.best[:1])) < NEVER:
            found = f"the pictures have never become diverse: {seen.overall:.0%} of the real ones' differences"
        self.past.append(seen)
        if len(self.past) >= 3:
            rows = [(past.overall, *past.by_class) for past in list(self.past)[-3:]]
            now = tuple(statistics.median(column) for column in zip(*rows, strict=True))
            self.best = tuple(map(max, now, self.best or now))
        return found

    def _fallen(self, shares: tuple[float, ...]) -> str | None:
        low, found = set(), None
        for index, (share, best) in enumerate(zip(shares, self.best, strict=False)):
            if best < DIVERSE or share > FELL * best:
                continue
            low.add(index)
            if found is None and (share < FELL_AT_ONCE * best or index in self.low):
                whose = "the pictures" if index == 0 else f"class {index - 1}: its pictures"
                found = f"{whose} have become alike: {share:.0%} of the real ones' differences, {best:.0%} before"
        self.low = low
        return found

    def _twins(self, seen: Diversity) -> str | None:
        if len(self.past) < 3 or seen.twins < TWINS or statistics.median(p.twins for p in self.past) > FEW_TWINS:
            return None
        return f"{seen.twins:.0%} of the pairs of pictures are nearly one picture"
