"""How a figure was made. Two scores may be compared where all of it that bears on the figure is the same."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("ganforge", "torch", "torchvision", "torchmetrics", "torch-fidelity", "numpy", "pillow")


@dataclass(frozen=True)
class Protocol:
    """Everything that must be known to make the figure again.

    settings: the metric's own numbers (neighbours, subsets, scales). generated_facts: EMA or not, truncation, seeds and
    images shown of a generator. versions: of the software.
    """

    metric: str
    extractor: str | None
    weights: str | None
    prepares: str | None
    size: str
    reals: str
    reals_digest: str
    reals_count: int
    reals_resizing: str
    split: str
    generated: str
    generated_count: int
    generated_resizing: str
    seed: int
    repeats: int
    settings: Mapping[str, Any]
    generated_facts: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names the protocol: the same for every score that may be compared with this one."""
        return hashlib.sha256(json.dumps(_bearing(asdict(self)), sort_keys=True).encode()).hexdigest()[:8]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; with the digest."""
        return {**asdict(self), "digest": self.digest}


# What differs between the runs that a comparison is for: which generator, what it saw, and today's software.
_FREE = frozenset({"generated", "versions", "reals"})
_FREE_FACTS = frozenset({"images shown", "ema", "seeds"})


def _bearing(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that two comparable scores have alike."""
    bearing = {name: value for name, value in protocol.items() if name not in _FREE and name != "digest"}
    bearing["generated_facts"] = {
        name: value
        for name, value in protocol["generated_facts"].items()
        if name not in _FREE_FACTS and value not in (None, "none")
    }
    return bearing


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Why two protocols (as `Protocol.as_dict` gives them) are not alike: one phrase each; empty where they are."""
    a, b = _bearing(first), _bearing(second)
    names = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    return [f"{name}: {_short(a.get(name))} and {_short(b.get(name))}" for name in names]


def _short(value: Any) -> str:
    """As text, with no more of a hash than tells it apart."""
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{24,}", r"\1", str(value))


def versions() -> dict[str, str]:
    """Versions of the software that bears on a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
