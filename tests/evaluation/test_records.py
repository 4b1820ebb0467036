import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ganforge.errors import EvaluationError
from ganforge.evaluation.records import Record, comparable, find_record, read, standing


def entry(value: float, **changes: Any) -> dict[str, Any]:
    """A score as it is kept; `changes` to its protocol."""
    protocol = {"metric": "kid", "extractor": "e", "reals_count": 500, "generated": "a", "generated_facts": {}}
    return {"value": value, "spread": None, "reference": None, "protocol": protocol | changes}


def record(name: str, scores: Mapping[str, Mapping[str, Any]]) -> Record:
    return Record(name, 1000, scores)


def run_with(path: Path, *lines: str) -> Path:
    path.mkdir(parents=True)
    (path / "run.json").write_text("{}")
    (path / "scores.jsonl").write_text("".join(lines))
    return path


def line(images: int, value: float) -> str:
    return json.dumps({"checkpoint": "c", "images": images, "scores": {"kid[e]": entry(value)}}) + "\n"


def test_scores_made_alike_are_compared_over_what_all_have() -> None:
    first, second = record("a", {"kid[e]": entry(1), "swd": entry(2)}), record("b", {"kid[e]": entry(3, generated="b")})
    assert comparable([first, second]) == ["kid[e]"]


@pytest.mark.parametrize("change", [{"reals_count": 400}, {"extractor": "f"}, {"generated_facts": {"truncation": 0.7}}])
def test_scores_made_unlike_are_refused_by_what_differs(change: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match=f"kid.*of a and b were not made alike.*{next(iter(change))}"):
        comparable([record("a", {"kid[e]": entry(1)}), record("b", {"kid[e]": entry(1, **change)})])


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(EvaluationError, match="a has kid; b has swd"):
        comparable([record("a", {"kid": entry(1)}), record("b", {"swd": entry(1)})])


def test_a_runs_last_line_is_taken_and_a_torn_one_passed_over(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", line(1000, 0.5), line(2000, 0.4), line(3000, 0.3)[:40])
    found = find_record(str(run))
    assert (found.images, found.scores["kid[e]"]["value"]) == (2000, 0.4)
    assert len(read(run)) == 2


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", line(1000, 0.5), "nonsense\n", line(3000, 0.3))
    with pytest.raises(EvaluationError, match="line 2"):
        read(run)


def test_what_has_no_scores_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.json").write_text('{"a": 1}')
    for path, words in ((tmp_path / "picture.json", "no scores"), (run_with(tmp_path / "run"), "not scored yet")):
        with pytest.raises(EvaluationError, match=words):
            find_record(str(path))
    with pytest.raises(EvaluationError, match="no such run"):
        find_record(str(tmp_path / "nothing"))


def test_the_best_is_marked_and_what_cannot_be_told_from_it() -> None:
    assert standing([3.0, 1.0, 1.2], [0.1, 0.1, 0.1], "lower") == ["", "best", "even"]
    assert standing([3.0, 1.0, 2.9], [None, None, None], "higher") == ["best", "", ""]
    assert standing([3.0, 1.0], [None, None], "") == ["", ""]
