"""What ganforge tells its user when the user's input, or the machine, is at fault.

Every error that is not a defect of ours derives from `GanforgeError`. The command line prints such an error as one
line, `ganforge: what, where, and the remedy`, and exits with 2; anything else is a traceback and exit code 1.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GanforgeError(Exception):
    """The user's input was refused: the message is one line that says what, where, and the remedy."""


class DataError(GanforgeError):
    """Pictures, labels or a dataset folder that cannot be used."""


class ConfigError(GanforgeError):
    """An option or a configuration that makes no sense."""


class CheckpointError(GanforgeError):
    """A checkpoint, run folder or exported generator that cannot be used."""


class EvaluationError(GanforgeError):
    """A score that cannot be computed."""


class TrainingError(GanforgeError):
    """A run that cannot go on."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not in a registry: lists the names, the nearest one first if there is one."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown {what} {name!r}{hint}; known: {', '.join(names)}"
