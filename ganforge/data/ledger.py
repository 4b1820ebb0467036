"""What happened to every file that was given: the account that a preparation keeps, and tells its user."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ganforge.data.problems import HARMLESS, REASONS, TRAITS, Trait
from ganforge.data.sources import LeftOut
from ganforge.errors import DataError

EXAMPLES = 3


class Listener:
    """Is told what happens; this one listens in silence."""

    def note(self, text: str) -> None:
        """Something was chosen for the user."""

    def warn(self, text: str) -> None:
        """Something that the user should look at."""

    def progress(self, what: str, done: int, total: int) -> None:
        """`done` of `total` pictures have gone through the stage `what`."""


@dataclass
class Tally:
    """How often each problem was met, and the first few examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, problem: str, example: str) -> None:
        self.counts[problem] += 1
        examples = self.examples.setdefault(problem, [])
        if len(examples) < EXAMPLES:
            examples.append(example)

    def facts(self) -> dict[str, Any]:
        """Count and examples of each problem, the most frequent first."""
        return {name: {"count": n, "examples": self.examples[name]} for name, n in self.counts.most_common()}


class Ledger:
    """Takes note of every file and every choice.

    Args:
        listener: is told of the choices and warnings as they come.
        strict: whether the first picture that cannot be taken ends it all.
    """

    def __init__(self, listener: Listener, *, strict: bool) -> None:
        self.listener = listener
        self.strict = strict
        self.left_out: list[LeftOut] = []
        self.left_tally = Tally()
        self.noticed = Tally()
        self.chosen: list[str] = []
        self.warnings: list[str] = []

    def leave_out(self, inputs: Iterable[LeftOut]) -> None:
        """Inputs that are not taken.

        Raises:
            DataError: we are strict, and one of them is more than litter.
        """
        for one in inputs:
            if self.strict and one.reason not in HARMLESS:
                detail = f" ({one.detail})" if one.detail else ""
                raise DataError(f"{shown(one.name)}: {REASONS[one.reason].what}{detail}; --on-error skip leaves it out")
            self.left_out.append(one)
            self.left_tally.add(one.reason, one.name)

    def notice(self, traits: Trait, name: str) -> None:
        """What was noticed about a picture that is taken."""
        for trait in traits:
            if trait in TRAITS:
                self.noticed.add(trait_key(trait), name)

    def choose(self, text: str) -> None:
        """A choice that was made for the user."""
        self.chosen.append(text)
        self.listener.note(text)

    def warn(self, texts: Iterable[str]) -> None:
        """What the user should look at."""
        for text in texts:
            self.warnings.append(text)
            self.listener.warn(text)

    def facts(self) -> dict[str, Any]:
        """All of it but the names, for `dataset.json`."""
        return {
            "chosen": self.chosen,
            "warnings": self.warnings,
            "left_out": self.left_tally.facts(),
            "noticed": self.noticed.facts(),
        }


def trait_key(trait: Trait) -> str:
    """A trait's name in `dataset.json`."""
    return str(trait.name).lower()


def shown(name: str) -> str:
    """A file name on one line: control characters and stray bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
