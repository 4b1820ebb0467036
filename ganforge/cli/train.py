"""`ganforge train`: from a dataset folder to a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from ganforge.cli.session import Options
    from ganforge.cli.settings import Origin
    from ganforge.config import RunConfig
    from ganforge.data.dataset import Dataset


def train(
    arch: Annotated[str | None, typer.Option(help="pggan, sagan or dcgan.", show_default="pggan")] = None,
    data: Annotated[str | None, typer.Option(help="Dataset folder; else the only or newest below datasets/.")] = None,
    max_res: Annotated[int | None, typer.Option(help="Shorter side to train to; else the dataset's largest.")] = None,
    preset: Annotated[str | None, typer.Option(help="A preset's name, or a JSON file.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value of the configuration.")] = None,
    kimg: Annotated[float | None, typer.Option(help="Length of the whole run, thousands of images shown.")] = None,
    kimg_per_phase: Annotated[float | None, typer.Option(help="Length of every phase, thousands of images.")] = None,
    fade: Annotated[float | None, typer.Option(help="The share of each phase that fades, 0 to 1.")] = None,
    batch: Annotated[str | None, typer.Option(help="Batch size, or by resolution: 4:128,64:32.")] = None,
    lr_scale: Annotated[
        str | None, typer.Option(help="linear: rates in proportion to --batch, as against the preset's own batch.")
    ] = None,
    micro_batch: Annotated[
        str | None, typer.Option(help="Pictures computed at once, gradients accumulated; auto: the most that fit.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; else runs/<number>-<arch>-<dataset>.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    gpus: Annotated[
        int | None, typer.Option(min=1, help="Processes that train together, a GPU each (without any, on the CPU).")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    augment: Annotated[str | None, typer.Option(help="none, diffaugment or ada (adaptive), for few pictures.")] = None,
    conditional: Annotated[
        bool | None,
        typer.Option("--conditional/--unconditional", help="With the pictures' classes or without; else as usual."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Fine-tune: begin with the weights of this run or checkpoint.")
    ] = None,
    freeze_d: Annotated[
        int | None, typer.Option(help="Leave so many of the discriminator's first layers as they are.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    checkpoint_every: Annotated[str, typer.Option(help="A time or images: 10min, 5kimg.")] = "10min",
    keep: Annotated[int, typer.Option(help="Newest checkpoints kept, beside each phase's last.")] = 3,
    on_trouble: Annotated[
        str, typer.Option(help="At NaNs and divergence: warn, rollback (at most 3 times) or stop.")
    ] = "rollback",
    on_collapse: Annotated[str, typer.Option(help="When the pictures become alike: warn, rollback or stop.")] = "warn",
    score_every: Annotated[
        str | None, typer.Option(help="Score the generator as it trains, as 20kimg; the best is kept apart.")
    ] = None,
    score: Annotated[
        str, typer.Option(help="Which score, as kid[efficientnet-lite0], accuracy[classifier] or swd.")
    ] = "fid[efficientnet-lite0]",
    score_n: Annotated[int, typer.Option(help="Pictures of each set for that score.", min=2)] = 2000,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write figures and grids for TensorBoard; says how to open it.")
    ] = False,
    histograms: Annotated[
        bool, typer.Option("--tensorboard-histograms", help="With histograms of all weights too.")
    ] = False,
    auto_resume: Annotated[
        bool, typer.Option("--auto-resume", help="Start, or go on where --out has a run: always the same command.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same numbers in every run on the same GPU; slower.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained and how long it takes; train nothing.")
    ] = False,
) -> None:
    """Train a network on a dataset folder, from the start."""
    from ganforge.checkpoint import is_run
    from ganforge.cli.ranks import ranks
    from ganforge.cli.resume import go_on
    from ganforge.cli.session import Options, say
    from ganforge.cli.settings import Wishes, configure, open_origin
    from ganforge.data.dataset import find_dataset
    from ganforge.errors import ConfigError

    with ranks(gpus, device) as place:
        watch = on_trouble, on_collapse, score_every, score, score_n
        options = Options.parse(checkpoint_every, keep, tensorboard, histograms, *watch)
        if auto_resume and out is None:
            raise ConfigError("--auto-resume: say which run with --out FOLDER, so that the same command finds it again")
        if auto_resume and out is not None and is_run(out):
            say(f"run {out} is there: going on with its own settings")
            raise typer.Exit(go_on(out, place, options, {}))
        dataset, sentence = find_dataset(data)
        say(sentence)
        origin = open_origin(source)
        wishes = Wishes(
            arch=arch,
            preset=preset,
            max_res=max_res,
            assignments=tuple(assign or ()),
            kimg=kimg,
            kimg_per_phase=kimg_per_phase,
            fade=fade,
            batch=batch,
            micro_batch=micro_batch,
            precision=precision,
            augment=augment,
            freeze_d=freeze_d,
            conditional=conditional,
            lr_scale=lr_scale,
            seed=seed,
            source=origin.config if origin else None,
        )
        config, reason = configure(wishes, dataset, gpu=place.type == "cuda")
        if deterministic:
            config = config.changed({"deterministic": True}, "--deterministic")
        say(reason)
        raise typer.Exit(_begin(config, dataset, origin, place, options, out, plan=plan, again=auto_resume))


def _begin(
    config: "RunConfig",
    dataset: "Dataset",
    origin: "Origin | None",
    place: "torch.device",
    options: "Options",
    out: Path | None,
    *,
    plan: bool,
    again: bool,
) -> int:
    """Say what will be trained, make the run folder, and train; returns the exit code."""
    from ganforge.cli.launcher import name_run
    from ganforge.cli.ranks import describe_ranks
    from ganforge.cli.session import begin_run, describe, one_writer, plan_costs, resolve_schedule, run_session, say
    from ganforge.observers import Session
    from ganforge.training.state import TrainState
    from ganforge.training.transfer import adopt

    options.check(config, dataset, place)
    schedule = resolve_schedule(config, dataset)
    costs = plan_costs(config, schedule, place)
    describe(config, schedule, costs)
    if plan:
        return 0
    folder = _run_folder(out, f"{config.network.arch}-{dataset.name}", again=again)
    say(f"run {folder}")
    name_run(folder)
    with one_writer(folder):
        state = TrainState.create(config, place)
        if origin:
            taken, there = adopt(state, origin.content)
            say(f"{taken} of {there} tensors taken from {origin.path}; the others are new")
        begin_run(folder, config, state if origin else None)
        describe_ranks(state, schedule)
        code = run_session(Session(folder, config, state, schedule, dataset), options, costs)
    if code == 0:
        say(f"done: {folder}/samples has the grids; next: ganforge interpolate {folder} --out walk.gif")
        print(folder)
    return code


def _run_folder(out: Path | None, name: str, *, again: bool) -> Path:
    from ganforge.checkpoint import is_run, new_run
    from ganforge.errors import ConfigError

    begun = {"checkpoints"} if again else set()  # all that a run has that was killed while it began
    try:
        if out is None:
            return new_run(name)
        full = out.is_dir() and any(path.name[0] != "." and path.name not in begun for path in out.iterdir())
        if is_run(out) or full or (out.exists() and not out.is_dir()):
            raise ConfigError(f"--out {out}: is there already; name another, or go on with ganforge resume {out}")
        out.mkdir(parents=True, exist_ok=True)
        return out
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: {error.strerror}; name another place with --out") from None
