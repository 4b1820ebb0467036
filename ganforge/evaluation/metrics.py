"""The metrics, by name. Each looks at the evidence of one comparison and gives its figures and its own settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganforge.errors import EvaluationError, unknown
from ganforge.evaluation import distances, memorisation, path_length, similarity, wasserstein
from ganforge.evaluation.classifier import Classifier
from ganforge.evaluation.extractors import CLASSIFIER, INSTALL, Extractor
from ganforge.evaluation.features import Features
from ganforge.evaluation.pictures import GeneratorSource, PictureSource

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Figure:
    """A value and how sure it is: `spread` is a standard deviation, over what `over` says."""

    value: float
    spread: float | None = None
    over: str = ""


@dataclass(frozen=True)
class Measured:
    """Figures by name (without the extractor), and the numbers that the metric itself chose.

    references: what perfect pictures would have, of metrics that know it. notes: findings that are no scores.
    """

    figures: Mapping[str, Figure]
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What the memorisation audit compares with: all training pictures, and held-out ones where there are any."""

    pictures: PictureSource
    features: Mapping[str, Features]
    held_out: Mapping[str, Features] | None


@dataclass
class Evidence:
    """One comparison: two sets of pictures and their features by extractor, and what else a metric may ask for."""

    reals: PictureSource
    generated: PictureSource
    real_features: Mapping[str, Features]
    generated_features: Mapping[str, Features]
    extractors: Mapping[str, Extractor]
    device: torch.device
    seed: int = 0
    spreads: bool = True
    training: Training | None = None
    progress: Progress = lambda stage, done, total: None
    audits: dict[str, memorisation.Audit] = field(default_factory=dict)
    _manifolds: dict[str, distances.Manifolds] = field(default_factory=dict)

    def values(self, extractor: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features of the reals and of the generated pictures."""
        return self.real_features[extractor].values, self.generated_features[extractor].values

    def manifolds(self, extractor: str) -> distances.Manifolds:
        """Precision, recall, density and coverage, computed once."""
        if extractor not in self._manifolds:
            self._manifolds[extractor] = distances.manifolds(*self.values(extractor), self.device)
        return self._manifolds[extractor]

    def advance(self, stage: str, total: int) -> Callable[[int], None]:
        """A counter that reports its sum to `progress`."""
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            self.progress(stage, done, total)

        return step


Compute = Callable[[Evidence, str], Measured]


@dataclass(frozen=True)
class Metric:
    """A metric of the registry.

    about: one line. better: "lower", "higher", or "" where it depends. extractor: "any", "classifier" or "none".
    needs: what the inputs must have: "labels" (both sets), "generator". compared: whether the same metric of one half
    of the reals against the other says what the value would be of perfect pictures.
    """

    about: str
    better: str
    compute: Compute
    extractor: str = "any"
    needs: frozenset[str] = frozenset()
    compared: bool = True


def _fid(evidence: Evidence, extractor: str) -> Measured:
    reals, generated = evidence.values(extractor)
    spread = distances.frechet_spread(reals, generated, evidence.seed) if evidence.spreads else None
    return Measured({"fid": Figure(distances.frechet_distance(reals, generated), spread, "10 bootstrap draws")})


def _kid(evidence: Evidence, extractor: str) -> Measured:
    reals, generated = evidence.values(extractor)
    value, spread = distances.kernel_distance(reals, generated)
    size = min(distances.KID_SUBSET, len(reals), len(generated))
    alike = size == len(reals) == len(generated)
    figure = Figure(value, None if alike else spread, f"{distances.KID_SUBSETS} subsets of {size}")
    return Measured({"kid": figure}, {"subsets": 1 if alike else distances.KID_SUBSETS, "subset": size})


def _is(evidence: Evidence, extractor: str) -> Measured:
    value, spread = distances.inception_score(evidence.generated_features[extractor].logits)
    return Measured({"is": Figure(value, spread, f"{distances.IS_SPLITS} parts")}, {"parts": distances.IS_SPLITS})


def _manifold(name: str, k: int) -> Compute:
    def compute(evidence: Evidence, extractor: str) -> Measured:
        found = evidence.manifolds(extractor)
        value = getattr(found, name)
        count = found.generated if name in ("precision", "density") else found.reals
        spread = (value * (1 - value) / count) ** 0.5 if name != "density" else None
        return Measured({name: Figure(value, spread, f"{count} pictures, binomial")}, {"neighbours": k})

    return compute


def matched_labels(generated: PictureSource, reals: PictureSource) -> NDArray[np.int64]:
    """Labels of the generated pictures as the reals number them, by class names.

    Raises EvaluationError where one set has no labels, or their classes have no name in common.
    """
    for source in (reals, generated):
        if source.labels is None:
            raise EvaluationError(f"{source.name}: has no classes, which this metric needs; leave it out of --metrics")
    assert generated.labels is not None
    if missing := [name for name in generated.classes if name not in reals.classes]:
        raise EvaluationError(
            f"{generated.name}: its class {missing[0]!r} is none of {reals.name}'s; rename it, or leave this metric out"
        )
    place = np.array([reals.classes.index(name) for name in generated.classes], np.int64)
    return place[generated.labels]


def _intra_fid(evidence: Evidence, extractor: str) -> Measured:
    reals, generated = evidence.values(extractor)
    labels, real_labels = matched_labels(evidence.generated, evidence.reals), evidence.reals.labels
    assert real_labels is not None
    values = [
        distances.frechet_distance(reals[real_labels == index], generated[labels == index])
        for index in range(len(evidence.reals.classes))
        if (real_labels == index).sum() > 1 and (labels == index).sum() > 1
    ]
    if not values:
        raise EvaluationError("intra-fid: no class has two pictures in both sets; raise --n")
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    figure = Figure(float(np.mean(values)), spread, f"{len(values)} classes")
    return Measured({"intra-fid": figure}, {"classes": len(values)})


def _accuracy(evidence: Evidence, extractor: str) -> Measured:
    labels = matched_labels(evidence.generated, evidence.reals)
    right = evidence.generated_features[extractor].logits.argmax(axis=1) == labels
    value = float(right.mean())
    spread = (value * (1 - value) / len(right)) ** 0.5
    figure = Figure(value, spread, f"{len(right)} pictures, binomial")
    # The other reals are what the classifier was trained on, so they are no reference; those it was not, are.
    return Measured({"accuracy": figure}, references={"accuracy": _judge(evidence).accuracy})


def _modes(evidence: Evidence, extractor: str) -> Measured:
    """Classes reached, and the divergence of the generated classes from the reals': Metz et al. 2017, section 3.3."""
    assert evidence.reals.labels is not None
    count = len(evidence.reals.classes)
    judged = evidence.generated_features[extractor].logits.argmax(axis=1)
    real = np.bincount(evidence.reals.labels, minlength=count) / len(evidence.reals)
    reached, divergence = _reached(judged, real)
    random = np.random.default_rng((evidence.seed, 5))
    draws = [_reached(judged[random.integers(0, len(judged), len(judged))], real) for _ in range(100)]
    spread = np.std(draws, axis=0, ddof=1)
    over = "100 bootstrap draws"
    return Measured(
        {"modes": Figure(reached, float(spread[0]), over), "modes-kl": Figure(divergence, float(spread[1]), over)},
        {"classes": count},
        notes={"classifier's accuracy on held-back reals": _judge(evidence).accuracy},
    )


def _reached(judged: NDArray[np.int64], real: NDArray[np.float64]) -> tuple[float, float]:
    share = np.bincount(judged, minlength=len(real)) / len(judged)
    seen = share > 0
    # A class that the sample of reals happens to miss counts as one half picture.
    base = np.maximum(real[seen], 0.5 / len(judged))
    return float(seen.sum()), float((share[seen] * np.log(share[seen] / base)).sum())


def _judge(evidence: Evidence) -> Classifier:
    judge = evidence.extractors[CLASSIFIER]
    assert isinstance(judge, Classifier)
    return judge


def _ms_ssim(evidence: Evidence, _: str) -> Measured:
    window = similarity.window_for(*evidence.generated.shape[1:])
    advance = evidence.advance("ms-ssim", len(evidence.generated))
    values = similarity.pair_similarities(evidence.generated, advance=advance)
    spread = float(values.std() / len(values) ** 0.5)
    figure = Figure(float(values.mean()), spread, f"{len(values)} pairs, standard error")
    return Measured({"ms-ssim": figure}, {"pairs": len(values), "window": window.size, "scales": len(window.weights)})


def _swd(evidence: Evidence, _: str) -> Measured:
    levels = wasserstein.pyramid_resolutions(*evidence.reals.shape[1:])
    count = min(len(evidence.reals), len(evidence.generated), wasserstein.PICTURES)
    advance = evidence.advance("swd", 2 * count * len(levels))
    found = wasserstein.sliced_wasserstein(evidence.reals, evidence.generated, seed=evidence.seed, advance=advance)
    over = f"{wasserstein.SLICES} slices of {wasserstein.DIRECTIONS} directions"
    figures = {"swd": Figure(float(np.mean([d.value for d in found])), None, "")}
    figures |= {f"swd/{d.resolution}": Figure(d.value, d.spread, over) for d in found}
    settings = {"pictures": count, "patches": wasserstein.PATCHES, "levels": levels, "times": 1000}
    return Measured(figures, settings)


def _ppl(evidence: Evidence, extractor: str) -> Measured:
    generator = _generator(evidence.generated)
    count = len(evidence.generated)
    lengths = path_length.path_lengths(
        generator,
        evidence.extractors[extractor],
        count,
        evidence.device,
        seed=evidence.seed,
        advance=evidence.advance("ppl", count),
    )
    spread = float(lengths.std() / len(lengths) ** 0.5)
    figure = Figure(float(lengths.mean()), spread, f"{len(lengths)} steps, standard error")
    return Measured({"ppl": figure}, {"step": path_length.EPSILON, "steps": count, "trimmed": path_length.TRIM})


def _generator(source: PictureSource) -> Any:
    while not isinstance(source, GeneratorSource):
        inner = getattr(source, "source", None)
        if inner is None:
            raise EvaluationError(f"{source.name}: ppl needs a generator, not pictures; leave it out of --metrics")
        source = inner
    return source.generator


def _memorisation(evidence: Evidence, extractor: str) -> Measured:
    training = evidence.training
    assert training is not None
    held_out = None if training.held_out is None else training.held_out[extractor].values
    found = memorisation.audit(
        evidence.generated_features[extractor].values, training.features[extractor].values, held_out, evidence.device
    )
    evidence.audits[extractor] = found
    spread = (found.copies * (1 - found.copies) / found.generated) ** 0.5
    return Measured(
        {"memorisation": Figure(found.copies, spread, f"{found.generated} pictures, binomial")},
        {"baseline": found.baseline, "training": len(training.pictures)},
        references={"memorisation": found.unseen},
        notes={"chance": found.chance, "alarm": found.alarm, "limit": found.limit},
    )


_LABELS = frozenset({"labels"})

METRICS: dict[str, Metric] = {
    "fid": Metric("Fréchet distance of features", "lower", _fid),
    "kid": Metric("kernel distance of features: unbiased, so fair on small sets", "lower", _kid),
    "is": Metric("Inception Score: sure of each picture's class, and many classes", "higher", _is),
    "precision": Metric(
        "share of generated pictures among the reals", "higher", _manifold("precision", distances.PRECISION_K)
    ),
    "recall": Metric(
        "share of reals among the generated pictures", "higher", _manifold("recall", distances.PRECISION_K)
    ),
    "density": Metric("how densely reals surround generated pictures", "higher", _manifold("density", 5)),
    "coverage": Metric("share of reals with a generated picture near", "higher", _manifold("coverage", 5)),
    "intra-fid": Metric("mean Fréchet distance class by class", "lower", _intra_fid, needs=_LABELS),
    "accuracy": Metric(
        "share of generated pictures of the class that was asked for",
        "higher",
        _accuracy,
        CLASSIFIER,
        _LABELS,
        compared=False,
    ),
    "modes": Metric(
        "classes reached, and divergence from the reals'", "higher", _modes, CLASSIFIER, frozenset({"real labels"})
    ),
    "ms-ssim": Metric("how alike generated pictures are to each other", "lower", _ms_ssim, "none"),
    "swd": Metric("sliced Wasserstein distance of patches, level by level", "lower", _swd, "none"),
    "ppl": Metric(
        "how far a small step in latent space moves the picture",
        "lower",
        _ppl,
        needs=frozenset({"generator"}),
        compared=False,
    ),
    "memorisation": Metric(
        "share of generated pictures that copy a training picture", "lower", _memorisation, compared=False
    ),
}
OFFLINE = ("fid", "kid", "precision", "recall", "density", "coverage", "ms-ssim", "swd")
WITHOUT_EXTRACTOR = tuple(name for name, metric in METRICS.items() if metric.extractor == "none")


def find_metric(name: str) -> Metric:
    """A metric by name. Raises EvaluationError, which lists the names, for one that is not there."""
    if name not in METRICS:
        raise EvaluationError(f"--metrics: {unknown('metric', name, METRICS)}")
    return METRICS[name]


def better_of(figure: str) -> str:
    """Either "lower" or "higher": which values of a figure (fid, swd/32, modes-kl) are the better ones."""
    if figure == "modes-kl":
        return "lower"
    return METRICS[figure.partition("/")[0]].better


def wanted_metrics(names: str) -> list[str]:
    """Metrics from comma-separated names. Raises EvaluationError for one that is not there, or for none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise EvaluationError(f"--metrics {names!r}: names none; known: {', '.join(METRICS)}")
    for name in wanted:
        find_metric(name)
    return wanted


def possible_metrics(
    pictures: PictureSource, reals: PictureSource, extractors: tuple[str, ...], *, everything: bool
) -> tuple[list[str], str]:
    """The metrics to take where none were named: all that these pictures allow, or those that need no download.

    Also a sentence for the user where something stands in the way, else "".
    """
    packaged = any(name.startswith("efficientnet") for name in extractors)
    if packaged and find_spec("efficientnet_lite_pytorch") is None:
        return list(WITHOUT_EXTRACTOR), f"no extractor installed, so only {', '.join(WITHOUT_EXTRACTOR)}; {INSTALL}"
    if not everything:
        return list(OFFLINE), ""
    names = []
    for name, metric in METRICS.items():
        lacks = (
            ("labels" in metric.needs and (pictures.labels is None or reals.labels is None))
            or ("real labels" in metric.needs and reals.labels is None)
            or ("generator" in metric.needs and not isinstance(pictures, GeneratorSource))
        )
        if not lacks:
            names.append(name)
    return names, ""
