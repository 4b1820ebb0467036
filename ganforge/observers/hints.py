"""Plain words when the figures stick: what is seen, what it usually means, and what to try."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ganforge.config import RunConfig
from ganforge.observers.base import Observer, Session, passed
from ganforge.training.loop import StepReport, figures

LONG = 500  # steps that figures must stick for: ten times what they are smoothed over
TICKS = 5  # lines of the log that must agree on it
CERTAIN = 0.995  # an accuracy that is 1 but for a picture now and then
UNDECIDED = 0.03  # how far from 0.5 is still a guess
NOTHING = 0.01  # a discriminator's loss without a gradient for the generator
CONSTANT = 1e-3  # how far a loss that is stuck strays, as a share of itself

ROLES = {"loss/d": "discriminator", "loss/g": "generator"}

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Hint:
    """What is seen, what it usually means, and what to try: options as they are typed."""

    seen: str
    means: str
    attempt: str

    def __str__(self) -> str:
        return f"hint: {self.seen}. Usually: {self.means}. Try: {self.attempt}"


def losing(figures: Figures, config: RunConfig) -> bool:
    """The discriminator tells all pictures apart, and its loss still says something."""
    if not _judges(config) or vanished(figures, config):
        return False
    return min(_accuracies(figures)) >= CERTAIN


def guessing(figures: Figures, config: RunConfig) -> bool:
    """The discriminator is right half of the time, all in all."""
    return _judges(config) and abs(sum(_accuracies(figures)) / 2 - 0.5) <= UNDECIDED


def vanished(figures: Figures, config: RunConfig) -> bool:
    """The discriminator's loss is 0 but for rounding; with `wgan` 0 is a value as any other."""
    return _judges(config) and abs(figures.get("loss/d", math.inf)) <= NOTHING


def _judges(config: RunConfig) -> bool:
    """Whether a score over 0 means `real`: a critic's (wgan) and lsgan's, which is 0 or 1, do not."""
    return config.objective.loss in ("non-saturating", "hinge")


def _accuracies(figures: Figures) -> tuple[float, float]:
    return figures.get("accuracy/real", math.nan), figures.get("accuracy/fake", math.nan)


def _losing_hint(config: RunConfig, phase: int) -> Hint:
    less = _rate("d", config, phase, 0.5)
    policy = "" if config.augment.policy else ", or a new run with --augment ada where the pictures are few"
    penalty = ", or with --set objective.r1=1" if not config.objective.r1 and _allows_penalty(config) else ""
    return Hint(
        "the discriminator has told every real picture from every generated one for long (accuracy 1.0)",
        "the generator is losing; look at the grids: if they have stopped getting better, it learns little from now on",
        f"ganforge resume with a slower discriminator, {less}{penalty}{policy}",
    )


def _vanished_hint(config: RunConfig, phase: int) -> Hint:
    loss = "hinge" if config.objective.loss != "hinge" else "lsgan"
    return Hint(
        "the discriminator's loss is near 0",
        "it is so sure of itself that the generator gets no gradient; this seldom mends itself",
        f"a new run with {_rate('d', config, phase, 0.25)}, --set objective.loss={loss} or --augment diffaugment",
    )


def _guessing_hint(config: RunConfig, phase: int) -> Hint:
    more, less = _rate("d", config, phase, 4), _rate("d", config, phase, 0.25)
    return Hint(
        "the discriminator has guessed from the start (accuracy 0.5)",
        "it learns nothing, so the generator cannot either: its rate is too low, or so high that it jumps about",
        f"a new run with {more}, or with {less}; and look at samples/reals.png: are these your pictures?",
    )


def _constant_hint(name: str, config: RunConfig, phase: int) -> Hint:
    role = ROLES[name]
    return Hint(
        f"the {role}'s loss ({name}) does not change any more",
        f"the {role} is stuck: its units are dead, its rate is 0, or its answer is the same for every picture",
        f"a new run with another rate, {_rate(name[-1], config, phase, 0.25)}, or another --seed",
    )


def _rate(role: str, config: RunConfig, phase: int, factor: float) -> str:
    """The option that multiplies a rate of this phase."""
    return f"--set phases.{phase}.lr_{role}={getattr(config.phases[phase], f'lr_{role}') * factor:.3g}"


def _allows_penalty(config: RunConfig) -> bool:
    """Batch normalization in a discriminator forbids penalties on single pictures' gradients."""
    return getattr(config.network, "discriminator_norm", "") != "batch"


@dataclass
class Stretch:
    """How long something has held, and whether that was said."""

    began: int | None = None
    ticks: int = 0
    said: bool = False
    low: float = math.inf
    high: float = -math.inf

    def holds(self, step: int) -> bool:
        """Note that it holds at this step; whether it is to be said now: it has held for long, and was not said."""
        if self.began is None:
            self.began = step
        self.ticks += 1
        due = not self.said and step - self.began >= LONG and self.ticks >= TICKS
        self.said = self.said or due
        return due


class Reader:
    """Reads the figures tick by tick and says what sticks, once a stretch."""

    def __init__(self, config: RunConfig, step: int = 0) -> None:
        self.config, self.from_start = config, step == 0
        self.losing, self.vanished, self.guessing = Stretch(), Stretch(), Stretch()
        self.constant = {name: Stretch() for name in ROLES}

    def read(self, step: int, values: Figures, phase: int = 0) -> list[Hint]:
        """The hints that are due at this step of a phase (its number)."""
        found = []
        for name, rule, hint in (("losing", losing, _losing_hint), ("vanished", vanished, _vanished_hint)):
            if not rule(values, self.config):
                setattr(self, name, Stretch())
            elif getattr(self, name).holds(step):
                found.append(hint(self.config, phase))
        self.from_start = self.from_start and guessing(values, self.config)
        if self.from_start and self.guessing.holds(step):
            found.append(_guessing_hint(self.config, phase))
        for name in ROLES:
            if name in values and self._unchanged(name, values[name]) and self.constant[name].holds(step):
                found.append(_constant_hint(name, self.config, phase))
        return found

    def _unchanged(self, name: str, value: float) -> bool:
        """Whether the loss has strayed less than `CONSTANT` of itself in this stretch; else a new one begins."""
        stretch = self.constant[name]
        stretch.low, stretch.high = min(stretch.low, value), max(stretch.high, value)
        if math.isfinite(value) and stretch.high - stretch.low <= CONSTANT * max(abs(stretch.low), abs(stretch.high)):
            return True
        self.constant[name] = Stretch(low=value, high=value)
        return False


class Hints(Observer):
    """Says the hints of a run's figures, a look a tick."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self.session, self.say = session, say
        self.reader = Reader(session.config, session.state.step)

    def __call__(self, report: StepReport) -> None:
        if not passed(report, self.session.tick):
            return
        for hint in self.reader.read(report.step, figures(self.session.state.figures), report.position.index):
            self.say(f"{report.images / 1000:g} kimg: {hint}")
