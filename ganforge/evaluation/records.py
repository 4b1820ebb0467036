"""Scores as they are kept, in a run's `scores.jsonl` or in a file of `--json`, and set side by side."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganforge.checkpoint import find_run
from ganforge.errors import CheckpointError, EvaluationError
from ganforge.evaluation.protocol import differences
from ganforge.evaluation.scores import Scores

FILE = "scores.jsonl"


@dataclass(frozen=True)
class Record:
    """What was scored once. scores: `metric[extractor]` to what `Score.as_dict` gives. images: shown by then."""

    name: str
    images: int | None
    scores: Mapping[str, Mapping[str, Any]]


def append(run: Path, checkpoint: str, images: int, scores: Scores) -> None:
    """Add a line to a run's scores."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint": checkpoint,
        "images": images,
        "scores": scores.as_dict(),
    }
    with (run / FILE).open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def read(run: Path) -> list[Record]:
    """A run's scores, oldest line first; a last line that a kill cut short is passed over."""
    try:
        lines = (run / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{run / FILE}: cannot be read ({error!s:.80})") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            records.append(Record(str(run), int(content["images"]), _scores(content["scores"])))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise EvaluationError(f"{run / FILE}, line {number}: not a line of scores; remove it") from error
    return records


def find_record(what: str) -> Record:
    """The scores that `what` names: a file of `--json`, or the last line of a run's. Raises EvaluationError."""
    path = Path(what)
    if path.is_file():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            record = Record(what, content.get("images"), _scores(content))
        except (OSError, ValueError, AttributeError) as error:
            raise EvaluationError(f"{what}: cannot be read as scores ({error!s:.60}); make it with --json") from None
        if not record.scores:
            raise EvaluationError(f"{what}: holds no scores; make it with ganforge evaluate --json {what}")
        return record
    try:
        run, _ = find_run(what)
    except CheckpointError as error:
        raise EvaluationError(f"{error}; compare takes runs, and files of evaluate --json") from None
    records = read(run)
    if not records:
        raise EvaluationError(f"{run}: not scored yet; score it with ganforge evaluate {run}")
    return records[-1]


def _scores(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        key: entry for key, entry in content.items() if isinstance(entry, dict) and {"value", "protocol"} <= set(entry)
    }


def comparable(records: Sequence[Record]) -> list[str]:
    """The scores that all of `records` have.

    Raises EvaluationError where there are none, or where two protocols are unlike: says which, and in what.
    """
    first, *others = records
    shared = [key for key in first.scores if all(key in record.scores for record in others)]
    if not shared:
        have = "; ".join(f"{record.name} has {', '.join(record.scores)}" for record in records)
        raise EvaluationError(f"no score that all have ({have}); evaluate them with the same --metrics")
    for key in shared:
        for record in others:
            unlike = differences(first.scores[key]["protocol"], record.scores[key]["protocol"])
            if unlike:
                raise EvaluationError(
                    f"{key} of {first.name} and {record.name} were not made alike ({'; '.join(unlike)}); "
                    "evaluate both in the same way"
                )
    return shared


def standing(values: Sequence[float], spreads: Sequence[float | None], better: str) -> list[str]:
    """For each value "best", "even" (the best one is within twice the two spreads together), or ""."""
    if better not in ("lower", "higher"):
        return [""] * len(values)
    best = (min if better == "lower" else max)(range(len(values)), key=values.__getitem__)
    marks = []
    for value, spread in zip(values, spreads, strict=True):
        both = math.hypot(spread or 0, spreads[best] or 0)
        marks.append("even" if abs(value - values[best]) <= 2 * both else "")
    marks[best] = "best"
    return marks
