import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganforge.errors import EvaluationError
from ganforge.evaluation import classifier
from ganforge.evaluation.metrics import METRICS, OFFLINE, better_of, possible_metrics, wanted_metrics
from ganforge.evaluation.pictures import ArraySource, GeneratorSource
from ganforge.evaluation.protocol import differences
from ganforge.evaluation.scores import Options, Scores, score

Draw = Callable[..., ArraySource]
FEATURE_METRICS = ("fid", "kid", "precision", "recall", "density", "coverage")


def options(**changes: Any) -> Options:
    return Options(**{"extractors": ("tiny",), **changes})


def value(scores: Scores, name: str) -> float:
    return scores[f"{name}[tiny]"].figure.value


def changed(source: ArraySource, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> ArraySource:
    return ArraySource(change(source.take(np.arange(len(source)))), name="changed")


class Painter:
    """A generator that paints its class's colour, as discs do."""

    images, ema, standing, device, classes = 5000, True, False, torch.device("cpu"), tuple("abcd")

    def __init__(self, draw: Draw, wrong: bool = False) -> None:
        source = draw(400, 7)
        assert source.labels is not None
        self.pictures = source.take(np.arange(400)).transpose(0, 2, 3, 1)
        self.by_class = [np.flatnonzero(source.labels == index) for index in range(4)]
        self.wrong = wrong

    def latents(self, seeds: list[int], truncation: float | None = None) -> Tensor:
        return torch.tensor(seeds, dtype=torch.float32)[:, None]

    def render(self, latents: Tensor, labels: Tensor | None = None, batch: int = 64) -> NDArray[np.uint8]:
        assert labels is not None
        rows = [
            self.by_class[0 if self.wrong else int(label)][int(seed) % 60]
            for seed, label in zip(latents[:, 0], labels, strict=True)
        ]
        return np.asarray(self.pictures[rows])


@pytest.mark.usefixtures("tiny")
def test_two_parts_of_one_set_score_near_nothing(draw: Draw) -> None:
    scores = score(draw(300, 0), draw(300, 1), FEATURE_METRICS, options())
    far = score(changed(draw(300, 0), lambda x: 255 - x), draw(300, 1), FEATURE_METRICS, options())
    for name in ("fid", "kid"):
        assert value(scores, name) < 0.3 * value(far, name)
    for name in ("precision", "recall", "density", "coverage"):
        assert value(scores, name) > 0.7
        assert value(scores, name) > value(far, name)


@pytest.mark.usefixtures("tiny")
def test_noise_is_worse_step_by_step(draw: Draw) -> None:
    steps = []
    for deviation in (0, 20, 40, 80, 160):
        noise = np.random.default_rng(0).normal(0, deviation, (64, 3, 32, 32))
        noisy = changed(draw(64, 0), lambda x, n=noise: np.clip(x + n, 0, 255).astype(np.uint8))
        steps.append(score(noisy, draw(64, 1), ("fid", "kid", "swd"), options(reference=False)))
    for key in ("fid[tiny]", "kid[tiny]", "swd"):
        values = [step[key].figure.value for step in steps]
        assert values == sorted(values), key


@pytest.mark.usefixtures("tiny")
def test_one_picture_repeated_has_no_recall_and_coverage(draw: Draw) -> None:
    collapsed = changed(draw(300, 0), lambda x: np.repeat(x[:1], 300, axis=0))
    scores = score(collapsed, draw(300, 1), ("recall", "coverage", "ms-ssim"), options(reference=False))
    assert value(scores, "recall") < 0.01
    assert value(scores, "coverage") < 0.05
    assert scores["ms-ssim"].figure.value == pytest.approx(1)


@pytest.mark.usefixtures("tiny")
def test_half_of_the_classes_missing_shows_in_coverage(draw: Draw) -> None:
    whole = score(draw(300, 0), draw(300, 1), ("coverage", "recall"), options(reference=False))
    half = score(draw(300, 0, classes=2), draw(300, 1), ("coverage", "recall"), options(reference=False))
    assert value(half, "coverage") < 0.7 * value(whole, "coverage")
    assert value(half, "recall") < 0.7 * value(whole, "recall")


@pytest.mark.usefixtures("tiny")
def test_copies_of_training_pictures_are_found(draw: Draw) -> None:
    reals = draw(600, 1)
    copies = reals.take(np.arange(30))
    made = changed(draw(300, 0), lambda x: np.concatenate([copies, x[30:]]))
    scores = score(made, reals, ("memorisation",), options(), held_out=draw(400, 2))
    assert scores.audits["tiny"].alarm
    assert value(scores, "memorisation") >= 0.1
    assert scores["memorisation[tiny]"].reference == scores.audits["tiny"].unseen
    clean = score(draw(300, 0), reals, ("memorisation",), options(), held_out=draw(400, 2))
    assert not clean.audits["tiny"].alarm
    picture, real = scores.audits["tiny"].pairs[0]
    index = [np.array([number]) for number in (picture, real)]
    assert np.array_equal(scores.pictures.take(index[0]), scores.training.take(index[1]))


@pytest.mark.usefixtures("tiny")
def test_every_figure_carries_its_protocol(draw: Draw) -> None:
    source = GeneratorSource(Painter(draw), 120, name="painter", truncation=0.7)
    scores = score(source, draw(200, 1), ("fid", "swd"), options(count=100, seed=4))
    content = json.loads(json.dumps(scores.as_dict()))
    assert set(content) == {"fid[tiny]", "swd", "swd/32", "swd/16"}
    protocol = content["fid[tiny]"]["protocol"]
    assert (protocol["generated_count"], protocol["reals_count"]) == (100, 100)
    assert protocol["generated_facts"]["ema"] is True
    assert protocol["generated_facts"]["truncation"] == 0.7
    assert protocol["generated_facts"]["seeds"] == "0-119"
    assert protocol["seed"] == 4
    assert protocol["weights"] == "0" * 64
    assert protocol["versions"]["torch"]
    assert content["swd"]["protocol"]["extractor"] is None
    assert content["swd/16"]["protocol"]["settings"]["levels"] == [32, 16]


@pytest.mark.usefixtures("tiny")
def test_unlike_scores_can_be_told_apart(draw: Draw) -> None:
    first, again, fewer = (
        score(draw(200, seed), draw(200, 9), ("fid",), options(count=count))["fid[tiny]"].protocol.as_dict()
        for seed, count in ((0, 200), (1, 200), (0, 100))
    )
    assert differences(first, again) == []
    assert any("generated_count" in line for line in differences(first, fewer))


@pytest.mark.usefixtures("tiny")
def test_reference_is_the_reals_against_other_reals(draw: Draw) -> None:
    reals = draw(400, 1)
    found = score(draw(100, 0), reals, ("fid",), options(count=200))["fid[tiny]"]
    assert found.reference_count == 200
    order = np.random.default_rng(0).permutation(400)
    pixels = reals.take(order)
    halves = [ArraySource(x, name="half") for x in (pixels[:200], pixels[200:])]
    other = score(halves[0], halves[1], ("fid",), options(reference=False))["fid[tiny]"]
    assert found.reference == pytest.approx(other.figure.value, abs=1e-6)
    assert other.reference is None


@pytest.mark.usefixtures("tiny")
def test_repeats_are_independent_sets_and_give_the_interval(draw: Draw) -> None:
    found = score(draw(300, 0), draw(100, 1), ("fid",), options(count=100, repeats=3, reference=False))
    fid = found["fid[tiny]"]
    assert fid.figure.over == "3 independent sets"
    assert fid.figure.spread is not None
    assert 0 < fid.figure.spread < fid.figure.value
    assert fid.protocol.generated_count == 100
    assert fid.protocol.repeats == 3


def test_real_features_are_made_once(draw: Draw, tiny: Any, tmp_path: Path) -> None:
    score(draw(50, 0), draw(100, 9), ("fid",), options(count=50, cache=tmp_path))
    assert tiny.calls == 50 + 100
    score(draw(50, 1), draw(100, 9), ("fid", "kid", "recall"), options(count=50, cache=tmp_path))
    assert tiny.calls == 50 + 100 + 50


@pytest.mark.usefixtures("tiny")
def test_progress_ends_at_the_whole(draw: Draw) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        seen[stage] = (done, total)

    score(draw(70, 0), draw(70, 1), ("fid", "swd", "ms-ssim"), options(), progress=progress)
    assert {"real pictures by tiny", "generated pictures", "swd", "ms-ssim"} <= set(seen)
    assert all(done == total for done, total in seen.values())


@pytest.fixture
def quick_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"WIDTHS": (8, 16, 32), "BATCH": 32, "LEAST_STEPS": 60, "STEPS": 60}.items():
        monkeypatch.setattr(classifier, name, number)


@pytest.mark.usefixtures("tiny", "quick_classifier")
def test_classes_of_a_conditional_generator_are_judged(draw: Draw, tmp_path: Path) -> None:
    names, reals = ("accuracy", "modes", "intra-fid"), draw(400, 1)
    right = score(GeneratorSource(Painter(draw), 200, name="right"), reals, names, options(cache=tmp_path))
    wrong = score(GeneratorSource(Painter(draw, True), 200, name="wrong"), reals, names, options(cache=tmp_path))
    assert right["accuracy[classifier]"].figure.value > 0.9
    assert right["accuracy[classifier]"].reference == pytest.approx(1, abs=0.1)
    assert wrong["accuracy[classifier]"].figure.value == pytest.approx(0.25, abs=0.1)
    assert right["modes[classifier]"].figure.value == 4
    assert wrong["modes[classifier]"].figure.value < 4
    assert right["modes-kl[classifier]"].figure.value < 0.05
    assert wrong["modes-kl[classifier]"].figure.value > 0.8
    assert value(wrong, "intra-fid") > 3 * value(right, "intra-fid")


@pytest.mark.usefixtures("quick_classifier")
def test_classifier_is_an_extractor_too(draw: Draw) -> None:
    near = score(draw(200, 0), draw(200, 1), ("kid",), options(extractors=("classifier",), reference=False))
    far = score(draw(200, 0, classes=1), draw(200, 1), ("kid",), options(extractors=("classifier",), reference=False))
    assert near["kid[classifier]"].figure.value < 0.5 * far["kid[classifier]"].figure.value


def test_other_sizes_are_refused(draw: Draw) -> None:
    with pytest.raises(EvaluationError, match="score against reals of the same size"):
        score(draw(10, 0, side=16), draw(10, 1), ("swd",), options())


def test_too_few_pictures_are_refused(draw: Draw) -> None:
    with pytest.raises(EvaluationError, match="1 pictures to compare"):
        score(draw(1, 0), draw(10, 1), ("swd",), options())


@pytest.mark.parametrize("name", ["accuracy", "intra-fid", "modes"])
def test_metrics_of_classes_need_classes(draw: Draw, name: str) -> None:
    plain = changed(draw(10, 1), lambda x: x)
    with pytest.raises(EvaluationError, match=f"no classes, which {name} needs"):
        score(draw(10, 0), plain, (name,), options())


def test_path_length_needs_a_generator(draw: Draw) -> None:
    with pytest.raises(EvaluationError, match="ppl needs a generator, not pictures"):
        score(draw(10, 0), draw(10, 1), ("ppl",), options())


def test_other_class_names_are_refused(draw: Draw, tiny: Any) -> None:
    other = draw(20, 0)
    other.classes = tuple("abcx")
    with pytest.raises(EvaluationError, match="'x'"):
        score(other, draw(20, 1), ("intra-fid",), options())


def test_unknown_metric_lists_the_known() -> None:
    with pytest.raises(EvaluationError, match=r"unknown metric 'fidd' \(did you mean fid\?\)"):
        wanted_metrics("swd,fidd")
    with pytest.raises(EvaluationError, match="names none"):
        wanted_metrics(" , ")


def test_all_metrics_are_those_that_the_pictures_allow(draw: Draw) -> None:
    plain = changed(draw(10, 1), lambda x: x)
    names, _ = possible_metrics(plain, plain, ("tiny",), everything=True)
    assert set(METRICS) - set(names) == {"accuracy", "intra-fid", "modes", "ppl"}
    generator = GeneratorSource(Painter(draw), 10, name="painter")
    assert possible_metrics(generator, draw(10, 1), ("tiny",), everything=True)[0] == list(METRICS)


def test_without_the_extra_the_default_needs_none(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganforge.evaluation import metrics

    assert possible_metrics(draw(4, 0), draw(4, 1), ("efficientnet-lite0",), everything=False) == (list(OFFLINE), "")
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    names, sentence = possible_metrics(draw(4, 0), draw(4, 1), ("efficientnet-lite0",), everything=False)
    assert names == ["ms-ssim", "swd"]
    assert "ganforge[eval]" in sentence


def test_every_figure_says_which_values_are_better() -> None:
    assert better_of("swd/32") == better_of("fid") == better_of("modes-kl") == "lower"
    assert better_of("modes") == "higher"
