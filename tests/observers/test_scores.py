import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge import checkpoint
from ganforge.errors import ConfigError, EvaluationError
from ganforge.observers.scores import Scores, Scoring
from typed import typed

TRAIN = ["train", "--arch", "dcgan", "--batch", "8", "--set", "network.width_g=4", "--out", "run"]
SCORE = ["--score-every", "16img", "--score", "swd", "--score-n", "16"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a dataset of 24 grey pictures of 16x16 in two classes, and in which we are."""
    random = np.random.default_rng(0)
    for index in range(24):
        folder = tmp_path / "images" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(folder / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "prepare", "./images") == 0
    return tmp_path


def scored(run: Path) -> dict[int, float]:
    """Images shown to the score then."""
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return {line["images"]: line["scores"]["swd"]["value"] for line in lines}


def test_the_best_checkpoint_is_kept_apart_and_is_the_one_with_the_best_score(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *TRAIN, *SCORE, "--kimg", "0.064") == 0
    values = scored(place / "run")
    assert list(values) == [16, 32, 48, 64]
    best = checkpoint.read(place / "run/checkpoints/best.pt")
    assert best["images"] == min(values, key=values.__getitem__)
    assert best["score"]["value"] == min(values.values())
    assert (place / "run/scores.png").exists()
    assert "swd " in capsys.readouterr().err
    assert typed(monkeypatch, "sample", "run/checkpoints/best.pt", "-n", "4") == 0


def test_a_score_in_the_run_is_that_of_evaluate(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, *TRAIN, *SCORE, "--kimg", "0.032") == 0
    assert typed(monkeypatch, "evaluate", "run", "--metrics", "swd", "--n", "16") == 0
    lines = [json.loads(line)["scores"]["swd"] for line in (place / "run/scores.jsonl").read_text().splitlines()]
    assert lines[-1]["value"] == lines[-2]["value"]
    assert lines[-1]["protocol"]["digest"] == lines[-2]["protocol"]["digest"]


def test_scoring_changes_nothing_in_what_is_trained(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, *TRAIN, "--kimg", "0.064") == 0
    assert typed(monkeypatch, *TRAIN[:-1], "scored", *SCORE, "--kimg", "0.064") == 0
    first, second = (checkpoint.newest(place / name)[1]["generator"] for name in ("run", "scored"))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_resumed_run_knows_its_best(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, *TRAIN, *SCORE, "--kimg", "0.032") == 0
    path = place / "run/checkpoints/best.pt"
    content = checkpoint.read(path)
    content["score"]["value"] = -1.0  # no score can be better
    checkpoint.write(path, content)
    assert typed(monkeypatch, "resume", "run", *SCORE, "--kimg", "0.064") == 0
    assert list(scored(place / "run")) == [16, 32, 48, 64]
    assert checkpoint.read(path)["score"]["value"] == -1.0


def test_a_best_long_past_is_said_once_and_recorded(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = iter([5.0, 1.0, *np.linspace(2, 3, 8)])
    monkeypatch.setattr(Scores, "_score", lambda _: next(values))
    monkeypatch.setattr(Scores, "_draw", lambda _: None)
    assert typed(monkeypatch, *TRAIN, *SCORE, "--kimg", "0.16") == 0
    assert capsys.readouterr().err.count("training may be past its best") == 1
    [incident] = [json.loads(line) for line in (place / "run/incidents.jsonl").read_text().splitlines()]
    assert (incident["kind"], incident["images"]) == ("past its best", 112)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--score", "nonsense"], "unknown metric"),
        (["--score", "swd[classifier]"], "or swd alone"),
        (["--score", "fid[nonsense]"], "unknown extractor"),
        (["--score-every", "10min"], "write a count of images"),
        (["--unconditional", "--score", "accuracy"], "needs classes"),
    ],
)
def test_a_score_that_cannot_be_had_is_refused_before_anything_is_trained(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    assert typed(monkeypatch, *TRAIN, *SCORE, *options, "--kimg", "0.032") == 2
    [line] = [text for text in capsys.readouterr().err.splitlines() if text.startswith("ganforge: ")]
    assert words in line
    assert not (place / "run").exists()


def test_a_score_is_named_as_it_is_printed() -> None:
    assert Scoring.parse("1kimg", "kid", 100).key == "kid[efficientnet-lite0]"
    assert Scoring.parse("1kimg", "modes-kl", 100) == Scoring(
        1000, "modes-kl[classifier]", "modes", ("classifier",), 100
    )
    assert Scoring.parse("500img", "swd", 100) == Scoring(500, "swd", "swd", (), 100)
    with pytest.raises(EvaluationError, match="unknown metric"):
        Scoring.parse("1kimg", "f", 100)
    with pytest.raises(ConfigError):
        Scoring.parse("1h", "fid", 100)
