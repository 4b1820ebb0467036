"""Scores of the generator while it trains: a line each, the curve, and the best checkpoint kept apart."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ganforge import checkpoint
from ganforge.config import RunConfig
from ganforge.data.dataset import Dataset
from ganforge.errors import CheckpointError, ConfigError, EvaluationError
from ganforge.evaluation import records
from ganforge.evaluation.curve import Point, draw_curves
from ganforge.evaluation.extractors import CLASSIFIER, EXTRACTORS, load_extractor
from ganforge.evaluation.inputs import Reals, generator_source, open_reals
from ganforge.evaluation.metrics import better_of, find_metric
from ganforge.evaluation.scores import Options, score
from ganforge.observers.base import Observer, Session, passed
from ganforge.observers.checkpoints import Interval, finite
from ganforge.observers.incidents import record
from ganforge.observers.snapshots import sampler
from ganforge.training.loop import StepReport

BEST = "best.pt"
PAST = 5  # scores in a row that are no better than the best before it is said


@dataclass(frozen=True)
class Scoring:
    """What `--score-every` does: which score (`metric[extractor]`) of how many pictures, every how many images."""

    every: int
    key: str
    metric: str
    extractors: tuple[str, ...]
    count: int

    @classmethod
    def parse(cls, every: str, key: str, count: int) -> "Scoring":
        """Read the options. Raises ConfigError or EvaluationError for a score that there is not or that has no best."""
        images = Interval.parse(every, "--score-every").images
        if images is None:
            raise ConfigError(f"--score-every {every}: write a count of images, as 20kimg")
        figure, _, extractor = key.partition("[")
        metric = "modes" if figure.startswith("modes") else figure.partition("/")[0]
        kind = find_metric(metric)
        if better_of(figure) not in ("lower", "higher"):
            raise ConfigError(f"--score {key}: has no best value; choose another, as fid[efficientnet-lite0]")
        if (extractor and not extractor.endswith("]")) or (extractor and kind.extractor == "none"):
            raise ConfigError(f"--score {key}: write metric[extractor], as fid[efficientnet-lite0], or swd alone")
        if kind.extractor == "none":
            return cls(images, figure, metric, (), count)
        name = extractor.removesuffix("]") or (CLASSIFIER if kind.extractor == CLASSIFIER else next(iter(EXTRACTORS)))
        return cls(images, f"{figure}[{name}]", metric, (name,), count)


def open_scoring(scoring: Scoring, config: RunConfig, dataset: Dataset, device: torch.device) -> Reals:
    """The reals that a run is scored against.

    Raises EvaluationError where the classes or the extractor that the score needs are not there: before training, and
    not hours later.
    """
    network = config.network
    shape = (network.channels, *network.size(network.resolution))
    reals = open_reals(str(dataset.path), shape)
    needs = find_metric(scoring.metric).needs
    if ("labels" in needs and not network.classes) or ("real labels" in needs and reals.pictures.labels is None):
        raise EvaluationError(f"--score {scoring.key}: needs classes, and this run has none; choose another")
    for name in scoring.extractors:
        if name != CLASSIFIER:
            load_extractor(name, None, device)
    return reals


class Scores(Observer):
    """Scores what the run would be sampled from, writes `scores.jsonl` and `scores.png`, keeps `checkpoints/best.pt`.

    The best so far is known from the file itself, so a resumed run knows it too. Raises as `open_scoring`.
    """

    def __init__(self, session: Session, scoring: Scoring, say: Callable[[str], None]) -> None:
        self.session, self.scoring, self.say = session, scoring, say
        self.best_path = session.folder / "checkpoints" / BEST
        self.reals = open_scoring(scoring, session.config, session.dataset, session.state.device)
        self.better = better_of(scoring.key.partition("[")[0])
        self.best, self.best_images = self._known()
        self.told = False

    def _known(self) -> tuple[float | None, int]:
        if not self.best_path.exists():
            return None, 0
        try:
            kept = checkpoint.read(self.best_path)
            if kept["score"]["key"] == self.scoring.key and kept["score"]["count"] == self.scoring.count:
                return float(kept["score"]["value"]), int(kept["images"])
        except (CheckpointError, KeyError, TypeError) as error:
            self.say(f"passed over: {error}")
        return None, 0

    def __call__(self, report: StepReport) -> None:
        if not passed(report, self.scoring.every) and report.images < self.session.schedule.images:
            return
        if not finite(self.session.state.sampler.state_dict()):
            return  # the watchdog's business
        value = self._score()
        better = self.best is None or (value < self.best if self.better == "lower" else value > self.best)
        if better:
            self._keep(value)
        shown = f"{report.images / 1000:g} kimg"
        past = "the best yet" if better else f"best {self.best:.4g} at {self.best_images / 1000:g} kimg"
        self.say(f"{self.scoring.key} {value:.4g} at {shown} ({past})")
        self._draw()
        self._look_back(report)

    def _score(self) -> float:
        session, scoring = self.session, self.scoring
        name = checkpoint.checkpoint_name(session.state.images)
        pictures = generator_source(
            sampler(session), scoring.count, name=str(session.folder / name), reals=self.reals.pictures, truncation=None
        )
        options = Options(
            extractors=scoring.extractors,
            count=scoring.count,
            cache=self.reals.cache,
            split=self.reals.split,
            reference=False,
            device=session.state.device,
        )
        scores = score(pictures, self.reals.pictures, [scoring.metric], options)
        records.append(session.folder, name, session.state.images, scores)
        return scores[scoring.key].figure.value

    def _keep(self, value: float) -> None:
        state = self.session.state
        self.best, self.best_images, self.told = value, state.images, False
        about = {"key": self.scoring.key, "count": self.scoring.count, "value": value}
        self.best_path.parent.mkdir(exist_ok=True)
        checkpoint.write(self.best_path, {**state.content(), "score": about})

    def _draw(self) -> None:
        """The curve of all scores that were made as the last one was."""
        key = self.scoring.key
        lines = [line for line in records.read(self.session.folder) if key in line.scores and line.images is not None]
        digest = lines[-1].scores[key]["protocol"]["digest"]
        points = {
            line.images: Point(line.images, line.scores[key]["value"], line.scores[key]["spread"])
            for line in lines
            if line.images is not None and line.scores[key]["protocol"]["digest"] == digest
        }
        draw_curves({key: list(points.values())}, {key: self.better}, self.session.folder / "scores.png")

    def _look_back(self, report: StepReport) -> None:
        """Say once that the best is long past: so the first user to need it found out hundreds of epochs later."""
        if self.told or report.images - self.best_images < PAST * self.scoring.every:
            return
        self.told = True
        best = f"{self.scoring.key} {self.best:.4g} at {self.best_images / 1000:g} kimg"
        what = f"no better than {best} for {PAST} scores: training may be past its best"
        self.say(f"{what}; the best generator is in {self.best_path}")
        record(self.session.folder, "past its best", report.images, what, f"kept {self.best_path}", best=self.best)
