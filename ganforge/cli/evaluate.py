"""`ganforge evaluate`: scores of a generator or of any pictures, with the protocol that made them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganforge.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ganforge.evaluation.inputs import Reals
    from ganforge.evaluation.pictures import PictureSource
    from ganforge.evaluation.scores import Options, Score, Scores


def evaluate(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Run, checkpoint, exported generator, folder of pictures, dataset, or .npz; else the newest run.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The real pictures: a dataset or any folder of pictures.", show_default="the run's dataset"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="fid, kid, is, precision, recall, density, coverage, intra-fid, accuracy, modes, ms-ssim, swd, ppl,"
            " memorisation; all: every one that these pictures allow.",
            show_default="those that need nothing downloaded",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--n", help="Pictures of each set, at most.", min=2)] = 10_000,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="efficientnet-lite0, efficientnet-lite0@112, inception, classifier; several with commas.",
            show_default="efficientnet-lite0, or inception with --weights",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The FID Inception weights, where they are not cached.", show_default=False)
    ] = None,
    repeats: Annotated[int, typer.Option(help="Independent sets of generated pictures, for the interval.", min=1)] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the scores there too.", show_default=False)
    ] = None,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="Score every checkpoint of the run, and draw the curve.")
    ] = False,
    split: Annotated[str, typer.Option(help="Which reals of a dataset: training or holdout.")] = "training",
    truncation: Annotated[float | None, typer.Option(help="Cut latents off at this many deviations, as 0.7.")] = None,
    live: Annotated[bool, typer.Option("--live", help="The trained generator itself, not its average.")] = False,
    standing: Annotated[
        bool, typer.Option("--standing", help="Measure batch normalization's statistics anew for these weights.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Chooses the reals, and where patches lie.")] = 0,
    reference: Annotated[
        bool, typer.Option("--reference/--no-reference", help="The same score of real pictures against others.")
    ] = True,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Where memorisation shows its nearest pairs.", show_default="memorisation.png, by the run"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Score generated pictures against real ones; every figure carries its protocol."""
    from ganforge.evaluation.scores import Options
    from ganforge.sampling.generator import choose_device

    options = Options(
        extractors=_extractors(extractor, weights),
        weights=weights,
        count=count,
        repeats=repeats,
        seed=seed,
        split=split,
        reference=reference,
        device=choose_device(device),
    )
    task = _Task(what, data, metrics, options, truncation, live, standing, gallery)
    results = task.checkpoints() if all_checkpoints else [task.once()]
    if json_file is not None:
        # The last result by its keys; with several checkpoints, all of them under `checkpoints`.
        write_json(json_file, results[-1] if len(results) == 1 else {**results[-1], "checkpoints": results})


def _extractors(given: str | None, weights: Path | None) -> tuple[str, ...]:
    from ganforge.errors import unknown
    from ganforge.evaluation.extractors import CLASSIFIER, EXTRACTORS

    if given is None:
        return ("inception",) if weights is not None else ("efficientnet-lite0",)
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in EXTRACTORS and name != CLASSIFIER:
            raise ConfigError(f"--extractor: {unknown('extractor', name, [*EXTRACTORS, CLASSIFIER])}")
    if weights is not None and "inception" not in names:
        raise ConfigError(f"--weights {weights}: only the extractor inception takes them; add --extractor inception")
    return names


class _Task:
    """One call of the command: what is scored, against what, and what is printed."""

    def __init__(
        self,
        what: str | None,
        data: str | None,
        metrics: str | None,
        options: "Options",
        truncation: float | None,
        live: bool,
        standing: bool,
        gallery: Path | None,
    ) -> None:
        self.what, self.data, self.metrics, self.options = what, data, metrics, options
        self.truncation, self.live, self.standing, self.gallery = truncation, live, standing, gallery

    def once(self) -> dict[str, Any]:
        """Score the one thing that was named."""
        from ganforge.evaluation.inputs import is_pictures
        from ganforge.sampling.generator import find_generator

        if is_pictures(self.what):
            return self._pictures()
        path, sentence = find_generator(self.what)
        _say(sentence)
        return self._checkpoint(path)[0]

    def checkpoints(self) -> list[dict[str, Any]]:
        """Score every checkpoint of a run, oldest first, and draw the curve."""
        from ganforge.evaluation.curve import Point, draw_curves
        from ganforge.evaluation.metrics import better_of
        from ganforge.sampling.generator import find_generator, run_checkpoints

        newest, sentence = find_generator(self.what)
        run = _run_of(newest)
        if run is None:
            raise ConfigError(f"--all-checkpoints: {newest} is not in a run; name a run")
        _say(f"{sentence}; all of its checkpoints")
        results: list[dict[str, Any]] = []
        curves: dict[str, list[Point]] = {}
        better: dict[str, str] = {}
        for path in run_checkpoints(run):
            result, scores = self._checkpoint(path)
            results.append(result)
            for score in scores:
                point = Point(int(result["images"]), score.figure.value, score.figure.spread)
                curves.setdefault(score.key, []).append(point)
                better[score.key] = better_of(score.protocol.metric)
        picture = run / "scores.png"
        draw_curves(curves, better, picture)
        print(picture)
        return results

    def _pictures(self) -> dict[str, Any]:
        from ganforge.data.dataset import FACTS
        from ganforge.evaluation.inputs import open_pictures, open_reals

        assert self.what is not None
        path, split = Path(self.what), self.options.split
        if path.is_dir() and not (path / FACTS).exists():
            reals = open_reals(self.data, None, split=split)
            pictures = open_pictures(self.what, reals.pictures.shape)
        else:
            pictures = open_pictures(self.what, None)
            reals = open_reals(self.data, pictures.shape, split=split)
        scores = self._score(pictures, reals)
        self._show(scores, Path())
        return scores.as_dict()

    def _checkpoint(self, path: Path) -> tuple[dict[str, Any], "Scores"]:
        from ganforge.evaluation import records
        from ganforge.evaluation.inputs import generator_shape, generator_source, open_reals
        from ganforge.sampling.generator import load_generator

        generator = load_generator(path, device=str(self.options.device), live=self.live, standing=self.standing)
        reals = open_reals(
            self.data, generator_shape(generator), split=self.options.split, trained_on=generator.config.data.path
        )
        pictures = generator_source(
            generator,
            self.options.count * self.options.repeats,
            name=str(path),
            reals=reals.pictures,
            truncation=self.truncation,
        )
        scores = self._score(pictures, reals)
        run = _run_of(path)
        self._show(scores, run or Path())
        if run is not None:
            records.append(run, path.name, generator.images, scores)
        return {"checkpoint": path.name, "images": generator.images, **scores.as_dict()}, scores

    def _score(self, pictures: "PictureSource", reals: "Reals") -> "Scores":
        from dataclasses import replace

        from ganforge.evaluation.scores import score

        _say(f"reals: {reals.pictures.name} ({len(reals.pictures)} pictures, {reals.split})")
        for source in (reals.pictures, pictures):
            if source.resizing != "none":
                _say(f"{source.name}: {source.resizing}")
        options = replace(self.options, cache=reals.cache, split=reals.split)
        names = self._names(pictures, reals)
        with _Progress() as progress:
            return score(pictures, reals.pictures, names, options, held_out=reals.held_out, progress=progress)

    def _names(self, pictures: "PictureSource", reals: "Reals") -> list[str]:
        from ganforge.evaluation.metrics import possible_metrics, wanted_metrics

        if self.metrics is not None and self.metrics != "all":
            return wanted_metrics(self.metrics)
        names, sentence = possible_metrics(
            pictures, reals.pictures, self.options.extractors, everything=self.metrics == "all"
        )
        if sentence:
            _say(sentence)
        return names

    def _show(self, scores: "Scores", folder: Path) -> None:
        from ganforge.evaluation.memorisation import gallery

        _table(list(scores))
        for extractor, audit in scores.audits.items():
            name = self.gallery or folder / "memorisation.png"
            gallery(audit, scores.pictures, scores.training).save(name)
            verdict = "copies of training pictures: beyond chance" if audit.alarm else "no sign of copying"
            print(
                f"memorisation[{extractor}]: {verdict} ({audit.copies:.2%} against {audit.unseen:.2%} of"
                f" {audit.baseline}; chance {audit.chance:.1e}); nearest pairs in {name}"
            )


def _run_of(checkpoint: Path) -> Path | None:
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None


def _say(message: str) -> None:
    from ganforge.cli.session import say

    say(message)


def results_console() -> "Console":
    """For results: on stdout, wide enough for a table where it goes to no terminal."""
    import sys

    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 120
    return console


def results_table(*headings: str) -> "Table":
    """A table of figures: names to the left, figures to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("score", "spread") else "right", no_wrap=True)
    return table


def _table(scores: "list[Score]") -> None:
    """The scores to stdout, and under them the protocol that they share."""
    from rich.text import Text

    console = results_console()
    table = results_table("score", "value", "spread", "reals")
    for score in scores:
        spread = "" if score.figure.spread is None else f"± {number(score.figure.spread)}  ({score.figure.over})"
        mark = "" if score.reference is None else number(score.reference)
        # As text, not markup: the extractor's brackets are part of the name.
        table.add_row(Text(score.key), number(score.figure.value), spread, mark)
    console.print(table)
    for line in _protocol_lines(scores):
        console.print(line, markup=False, soft_wrap=True)


def number(value: float) -> str:
    """A figure with as many digits as it deserves."""
    size = abs(value)
    digits = 2 if size >= 100 else 3 if size >= 1 else 5
    return f"{value:.{digits}f}" if size >= 1e-5 or size == 0 else f"{value:.1e}"


def _protocol_lines(scores: "list[Score]") -> list[str]:
    first = scores[0].protocol
    facts = ", ".join(f"{name} {value}" for name, value in first.generated_facts.items() if value is not None)
    lines = [
        f"generated: {first.generated_count} of {first.generated}{f' ({facts})' if facts else ''}",
        f"reals: {first.reals_count} of {first.reals} ({first.split}; {first.reals_digest[:8]}), {first.size},"
        f" seed {first.seed}",
    ]
    if count := max(score.reference_count for score in scores):
        lines.append(f"column reals: {count} real pictures against {count} others")
    seen = {score.protocol.extractor: score.protocol for score in scores if score.protocol.extractor}
    for name, protocol in seen.items():
        lines.append(f"{name}: weights {(protocol.weights or '')[:8]}, {protocol.prepares}")
    return lines


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write what was printed to `--json`'s file."""
    import json

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--json {file}: cannot be written ({error.strerror})") from error


class _Progress:
    """A bar with the time left in a terminal, a line every ten seconds elsewhere; both on stderr."""

    def __init__(self) -> None:
        import time

        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._clock = time.monotonic
        self._began = self._last = self._clock()
        self._stage, self._tasks = "", dict[str, Any]()
        self._bar = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> "_Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._bar is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bar.add_task(stage, total=total)
            self._bar.update(self._tasks[stage], completed=done)
            return
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._last = stage, now, now
        if now - self._last >= 10 and 0 < done < total:
            self._last = now
            left = (now - self._began) / done * (total - done)
            _say(f"{stage}: {done} of {total}, {left:.0f}s left")
