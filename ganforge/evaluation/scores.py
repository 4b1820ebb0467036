"""Scoring: pictures against real pictures, every figure with its protocol, its interval and the reals' own figure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganforge.errors import EvaluationError
from ganforge.evaluation import wasserstein
from ganforge.evaluation.allocation import keep_freed_memory
from ganforge.evaluation.classifier import trained_classifier
from ganforge.evaluation.extractors import CLASSIFIER, Extractor, load_extractor
from ganforge.evaluation.features import Features, extract, extract_kept
from ganforge.evaluation.memorisation import Audit
from ganforge.evaluation.metrics import Evidence, Figure, Measured, Metric, Progress, Training, find_metric
from ganforge.evaluation.pictures import ArraySource, GeneratorSource, PictureSource, SpooledSource, part, shuffled
from ganforge.evaluation.protocol import Protocol, versions

COUNT = 10_000


@dataclass(frozen=True)
class Options:
    """How to score.

    count: pictures of each set at most. repeats: independent sets of generated pictures. seed: chooses reals, halves,
    patches. cache: where features of reals are kept, or None. split: which reals these are, in words.
    """

    extractors: tuple[str, ...] = ("efficientnet-lite0",)
    weights: Path | None = None
    count: int = COUNT
    repeats: int = 1
    seed: int = 0
    cache: Path | None = None
    split: str = "training"
    reference: bool = True
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Score:
    """One figure. reference: the same metric of one part of the reals against another, `reference_count` each, or what
    the metric itself knows of real pictures (count 0). notes: what else it found.
    """

    key: str
    figure: Figure
    protocol: Protocol
    reference: float | None = None
    reference_count: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "value": self.figure.value,
            "spread": self.figure.spread,
            "over": self.figure.over,
            "reference": self.reference,
            "reference_count": self.reference_count,
            "notes": dict(self.notes),
            "protocol": self.protocol.as_dict(),
        }


@dataclass(frozen=True)
class Scores:
    """Scores by key, `metric[extractor]`, and the audits of memorisation by extractor with the pictures they name."""

    by_key: Mapping[str, Score]
    audits: Mapping[str, Audit]
    pictures: PictureSource
    training: PictureSource

    def __getitem__(self, key: str) -> Score:
        return self.by_key[key]

    def __iter__(self) -> Iterator[Score]:
        return iter(self.by_key.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: key to figure, reference and protocol."""
        return {key: score.as_dict() for key, score in self.by_key.items()}


def score(
    pictures: PictureSource,
    reals: PictureSource,
    metrics: Sequence[str],
    options: Options | None = None,
    *,
    held_out: PictureSource | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Scores:
    """Score `pictures` against `reals` by each of `metrics`.

    held_out: reals that were not trained on, for the memorisation audit. progress: called with a stage, and how many of
    how many pictures it has done.

    Raises EvaluationError, one line, where an extractor cannot be had, or the sets lack what a metric needs.
    """
    options = options or Options()
    chosen = {name: find_metric(name) for name in dict.fromkeys(metrics)}
    _check(pictures, reals, chosen, options)
    if options.device.type == "cpu":
        keep_freed_memory()
    return _Scoring(pictures, reals, chosen, options, held_out, progress).run()


def _check(pictures: PictureSource, reals: PictureSource, metrics: Mapping[str, Metric], options: Options) -> None:
    if pictures.shape != reals.shape:
        raise EvaluationError(
            f"{pictures.name} has pictures of (channels, height, width) {pictures.shape}, {reals.name} of"
            f" {reals.shape}; score against reals of the same size"
        )
    least = min(len(pictures) // options.repeats, len(reals), options.count)
    if least < 2:
        raise EvaluationError(
            f"{least} pictures to compare ({pictures.name}: {len(pictures)}, in {options.repeats} sets; {reals.name}:"
            f" {len(reals)}; --n {options.count}); at least 2 are needed, and thousands for figures that hold"
        )
    for name, metric in metrics.items():
        if "labels" in metric.needs and pictures.labels is None:
            raise EvaluationError(f"{pictures.name}: has no classes, which {name} needs; leave it out of --metrics")
        if metric.needs & {"labels", "real labels"} and reals.labels is None:
            raise EvaluationError(f"{reals.name}: has no classes, which {name} needs; leave it out of --metrics")
        if "generator" in metric.needs and not isinstance(pictures, GeneratorSource):
            raise EvaluationError(f"{pictures.name}: {name} needs a generator, not pictures; leave it out of --metrics")


class _Scoring:
    """One scoring, step by step: extractors, features of the reals, then each set of generated pictures."""

    def __init__(
        self,
        pictures: PictureSource,
        reals: PictureSource,
        metrics: Mapping[str, Metric],
        options: Options,
        held_out: PictureSource | None,
        progress: Progress,
    ) -> None:
        self._metrics, self._options, self._held_out, self._progress = metrics, options, held_out, progress
        self._real_source = self._spooled(reals)
        self._reals = shuffled(self._real_source, options.seed)
        generator = isinstance(pictures, GeneratorSource)
        self._pictures = pictures if generator else shuffled(pictures, options.seed)
        self._count = min(options.count, len(pictures) // options.repeats)
        self._real_count = min(options.count, len(reals))
        self._half = min(options.count, len(reals) // 2)
        self._extractors = self._load()

    @staticmethod
    def _spooled(source: PictureSource) -> PictureSource:
        # What lies in an array is read as fast from there.
        return source if isinstance(source, ArraySource) else SpooledSource(source, wasserstein.PICTURES)

    def _load(self) -> dict[str, Extractor]:
        options = self._options
        names = [name for name in options.extractors if any(m.extractor == "any" for m in self._metrics.values())]
        if any(metric.extractor == CLASSIFIER for metric in self._metrics.values()) and CLASSIFIER not in names:
            names.append(CLASSIFIER)
        loaded: dict[str, Extractor] = {}
        for name in names:
            if name == CLASSIFIER:
                loaded[name] = trained_classifier(
                    self._real_source,
                    options.cache,
                    options.device,
                    seed=options.seed,
                    advance=lambda done, total: self._progress("training the classifier", done, total),
                )
            else:
                loaded[name] = load_extractor(name, options.weights, options.device)
        return loaded

    def run(self) -> Scores:
        real_features = self._real_features()
        training = self._training(real_features)
        measured: dict[tuple[str, str | None], list[Measured]] = {}
        audits: dict[str, Audit] = {}
        pictures: PictureSource = self._pictures
        for repeat in range(self._options.repeats):
            whole = part(self._pictures, repeat * self._count, (repeat + 1) * self._count)
            evidence = self._evidence(SpooledSource(whole, wasserstein.PICTURES), real_features, training)
            for key, result in self._measure(evidence).items():
                measured.setdefault(key, []).append(result)
            if repeat == 0:
                audits, pictures = evidence.audits, evidence.generated
        reference = self._reference(real_features)
        by_key: dict[str, Score] = {}
        for (name, extractor), results in measured.items():
            for score_ in self._scores(name, extractor, results, reference.get((name, extractor))):
                by_key[score_.key] = score_
        return Scores(by_key, audits, pictures, self._reals)

    def _real_features(self) -> dict[str, Features]:
        """Of as many shuffled reals as the scores, the two halves and the audit need."""
        count = len(self._reals) if "memorisation" in self._metrics else max(self._real_count, 2 * self._half)
        found = {}
        for name, extractor in self._extractors.items():
            advance = _Counter(self._progress, f"real pictures by {name}", count)
            found[name] = extract_kept(
                self._reals, count, extractor, self._options.cache, self._options.device, advance
            )
        return found

    def _training(self, features: Mapping[str, Features]) -> Training | None:
        if "memorisation" not in self._metrics:
            return None
        held_out = None
        if self._held_out is not None:
            held_out = {
                name: extract_kept(
                    self._held_out, len(self._held_out), extractor, self._options.cache, self._options.device
                )
                for name, extractor in self._extractors.items()
            }
        return Training(self._reals, features, held_out)

    def _evidence(self, generated: PictureSource, reals: Mapping[str, Features], training: Training | None) -> Evidence:
        advance = _Counter(self._progress, "generated pictures", len(generated))
        names = list(self._extractors)
        made: list[Features] = []
        if names:
            made = extract(generated, list(self._extractors.values()), self._options.device, advance)
        return Evidence(
            reals=part(self._reals, 0, self._real_count),
            generated=generated,
            real_features={name: features[: self._real_count] for name, features in reals.items()},
            generated_features=dict(zip(names, made, strict=True)),
            extractors=self._extractors,
            device=self._options.device,
            seed=self._options.seed,
            spreads=self._options.repeats == 1,
            training=training,
            progress=self._progress,
        )

    def _measure(self, evidence: Evidence, *, reference: bool = False) -> dict[tuple[str, str | None], Measured]:
        found: dict[tuple[str, str | None], Measured] = {}
        for name, metric in self._metrics.items():
            if reference and not metric.compared:
                continue
            if metric.extractor == "none":
                found[name, None] = metric.compute(evidence, "")
            elif metric.extractor == CLASSIFIER:
                found[name, CLASSIFIER] = metric.compute(evidence, CLASSIFIER)
            else:
                for extractor in self._options.extractors:
                    found[name, extractor] = metric.compute(evidence, extractor)
        return found

    def _reference(self, features: Mapping[str, Features]) -> dict[tuple[str, str | None], Measured]:
        """The metrics of one part of the reals against another, disjoint, of `_half` pictures each."""
        half = self._half
        if not self._options.reference or half < 2:
            return {}
        evidence = Evidence(
            reals=part(self._reals, half, 2 * half),
            generated=part(self._reals, 0, half),
            real_features={name: found[half : 2 * half] for name, found in features.items()},
            generated_features={name: found[:half] for name, found in features.items()},
            extractors=self._extractors,
            device=self._options.device,
            seed=self._options.seed,
            spreads=False,
            progress=lambda stage, done, total: self._progress(f"{stage}, reals against reals", done, total),
        )
        return self._measure(evidence, reference=True)

    def _scores(
        self, name: str, extractor: str | None, results: Sequence[Measured], reference: Measured | None
    ) -> Iterator[Score]:
        protocol = self._protocol(name, extractor, results[0])
        for figure_name, first in results[0].figures.items():
            figure = first
            if len(results) > 1:
                values = [result.figures[figure_name].value for result in results]
                over = f"{len(values)} independent sets"
                figure = Figure(float(np.mean(values)), float(np.std(values, ddof=1)), over)
            mark: float | None
            if reference is not None:
                mark, count = float(reference.figures[figure_name].value), self._half
            else:
                mark, count = results[0].references.get(figure_name), 0
            yield Score(
                key=figure_name if extractor is None else f"{figure_name}[{extractor}]",
                figure=figure,
                protocol=replace(protocol, metric=figure_name),
                reference=mark,
                reference_count=count,
                notes=results[0].notes,
            )

    def _protocol(self, name: str, extractor: str | None, result: Measured) -> Protocol:
        loaded = None if extractor is None else self._extractors[extractor]
        channels, height, width = self._reals.shape
        return Protocol(
            metric=name,
            extractor=extractor,
            weights=None if loaded is None else loaded.digest,
            prepares=None if loaded is None else loaded.prepares,
            size=f"{height}x{width}x{channels}",
            reals=self._reals.name,
            reals_digest=self._real_source.digest,
            reals_count=self._real_count,
            reals_resizing=self._reals.resizing,
            split=self._options.split,
            generated=self._pictures.name,
            generated_count=self._count,
            generated_resizing=self._pictures.resizing,
            seed=self._options.seed,
            repeats=self._options.repeats,
            settings=dict(result.settings),
            generated_facts=dict(self._pictures.facts),
            versions=versions(),
        )


class _Counter:
    """Adds up what is done and reports it."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total, self._done = progress, stage, total, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._progress(self._stage, self._done, self._total)
