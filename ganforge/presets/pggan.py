"""PGGAN presets: the paper's recipes and our users' own set-ups."""

from collections.abc import Callable

from ganforge.config import (
    AugmentConfig,
    EMAConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PGGANConfig,
    RunConfig,
)
from ganforge.schedule import Phase, Span


def grow(
    resolutions: list[int], *, fade: str, stable: str, batch: dict[int, int], rate: dict[int, float], reset: bool = True
) -> tuple[Phase, ...]:
    """One row a resolution: `stable` at the first, `fade` and then `stable` at each later one (the paper, section 2).

    `batch` and `rate` hold from the resolution they name up to the next one named; lengths need one unit.
    """
    faded, kept = Span.parse(fade), Span.parse(stable)
    phases = []
    for index, resolution in enumerate(resolutions):
        here = max((named for named in batch if named <= resolution), default=min(batch))
        there = max((named for named in rate if named <= resolution), default=min(rate))
        length = kept.value + (faded.value if index else 0)
        phases.append(
            Phase(
                resolution=resolution,
                length=Span(length, kept.unit),
                fade=faded if index else Span(0, kept.unit),
                batch=batch[here],
                lr_g=rate[there],
                lr_d=rate[there],
                reset_optimizers=reset and index > 0,
            )
        )
    return tuple(phases)


def _small_phases(resolutions: list[int], unit: float, batch: dict[int, int], rate: float) -> tuple[Phase, ...]:
    """`unit` kimg to fade in each level and as much to settle; the last one settles for as long as all before it."""
    phases = list(
        grow(
            resolutions,
            fade=f"{unit:g}kimg",
            stable=f"{unit:g}kimg",
            batch=batch,
            rate={resolutions[0]: rate},
            reset=False,
        )
    )
    before = sum(phase.length.value for phase in phases[:-1])
    last = phases[-1]
    return (*phases[:-1], last.model_copy(update={"length": Span(last.fade.value + max(before, unit), "kimg")}))


def pggan_small() -> RunConfig:
    """A good default for one 8-GB card and about 5,000 pictures, 4 to 128.

    Up to 128 feature maps, non-saturating loss with R1 every fourth step, batch 32 (16 at 128), rates 2e-3, adaptive
    augmentation for small sets. R1 and not WGAN-GP because at equal time on two CPU cores (cartoon faces to 32x32,
    4 minutes each) its faces had eyes, mouths and clean hair where WGAN-GP's were still smears.
    """
    return RunConfig(
        preset="pggan-small",
        network=PGGANConfig(resolution=128, latent=128, fmap_base=2048, fmap_max=128, fused=True),
        objective=ObjectiveConfig(loss="non-saturating", r1=1, every=4),
        phases=_small_phases([4, 8, 16, 32, 64, 128], 150, {4: 32, 128: 16}, 2e-3),
        optimizer=OptimizerConfig(betas=(0.0, 0.99)),
        ema=EMAConfig(half_life=10),
        augment=AugmentConfig(policy=("colour", "translation", "cutout"), p=0, target=0.6, ramp=500),
    )


def default_pggan(
    base: tuple[int, int], resolution: int, channels: int, classes: int, count: int, gpu: bool
) -> RunConfig:
    """`pggan-small` scaled to the dataset's size and count and to the device.

    Without classes, as the paper's: on 3,000 emoji of nine uneven classes a conditional run of 60 kimg drew one picture
    a class. `--conditional` uses them. A CPU gets half the feature maps, batch 16 and a tenth of the length; a large
    set on a GPU a longer run.
    """
    lowest, config = min(base), pggan_small()
    resolutions = [lowest << level for level in range((resolution // lowest).bit_length())]
    width = 128 if gpu else 64
    changes = {
        "base": base,
        "resolution": resolution,
        "channels": channels,
        "classes": 0,
        "latent": width,
        "fmap_max": width,
        "fmap_base": width * 16,
    }
    unit = min(max(count * 0.03, 50), 600) if gpu else 10
    batch = {lowest: 32, 128: 16} if gpu else {lowest: 16}
    return config.model_copy(
        update={
            "network": config.network.model_copy(update=changes),
            "phases": _small_phases(resolutions, unit, batch, 2e-3),
            "ema": config.ema if gpu else EMAConfig(half_life=3, ramp=0.2),
        }
    )


def pggan_paper_1gpu() -> RunConfig:
    """Karras et al. 2018 on one GPU, to 1024x1024: the official code's preset for one GPU, version 2.

    12,000 kimg: 600 at 4x4, then 600 fading and 600 stable a level, the rest at 1024. Batch 128 to 16x16, 64 at 32, 32
    at 64, 16 at 128, 8 at 256, 4 above; rates 1e-3, 1.5e-3 from 128, 2e-3 from 256, 3e-3 from 512; Adam (0, 0.99),
    optimizers reset at each growth; WGAN-GP 10, drift 0.001; average of the generator 0.999 a step.
    The paper reports FID 7.30 on CelebA-HQ 1024; the README two days on eight V100, two weeks on one.
    """
    levels = [4 << level for level in range(9)]
    phases = grow(
        levels,
        fade="600kimg",
        stable="600kimg",
        batch={4: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
        rate={4: 1e-3, 128: 1.5e-3, 256: 2e-3, 512: 3e-3},
    )
    rest = 12_000 - sum(phase.length.value for phase in phases)
    last = phases[-1].model_copy(update={"length": Span(phases[-1].length.value + rest, "kimg")})
    return RunConfig(
        preset="pggan-paper-1gpu",
        network=PGGANConfig(resolution=1024),
        objective=ObjectiveConfig(loss="wgan", gradient=10, drift=1e-3),
        phases=(*phases[:-1], last),
        optimizer=OptimizerConfig(betas=(0.0, 0.99)),
        # 0.999 a step at the official batch of 16 halves in 11,085 images.
        ema=EMAConfig(half_life=11.085, ramp=1.0),
    )


def pggan_paper_cifar10() -> RunConfig:
    """Karras et al. 2018 on CIFAR-10, unconditional: Inception Score 8.80 at best, 8.56 +- 0.06 over ten runs.

    The official Theano branch: 20,000 kimg, 400 fading and 400 stable a level; at most 128 feature maps, latent 128,
    gradient penalty with target 750, batch 16, rate 1e-3, average 0.999.
    """
    phases = grow([4, 8, 16, 32], fade="400kimg", stable="400kimg", batch={4: 16}, rate={4: 1e-3})
    rest = 20_000 - sum(phase.length.value for phase in phases)
    last = phases[-1].model_copy(update={"length": Span(phases[-1].length.value + rest, "kimg")})
    return pggan_paper_1gpu().changed(
        {
            "preset": "pggan-paper-cifar10",
            "network": PGGANConfig(resolution=32, fmap_max=128, latent=128).model_dump(mode="json"),
            "objective.gradient_target": 750,
            "phases": [phase.model_dump(mode="json") for phase in (*phases[:-1], last)],
        }
    )


def pggan_food101_256() -> RunConfig:
    """One class of Food-101 to 256x256 (an article, TensorFlow): good to 64x64, disorderly from 128 on.

    4 stable, 8 fading, 8 stable … 256 stable: 1,000 steps a phase to 64, 2,000 at 128, 4,000 at 256; batch 16 to 64,
    8 at 128, 4 at 256; WGAN-GP and drift 0.001. Its author suspects the batch: `--batch 16` with `--micro-batch auto`
    keeps 16 to the end. Rates are not stated; here the paper's 1e-3. No average is mentioned; here none.
    """
    phases = []
    for resolution in (4, 8, 16, 32, 64, 128, 256):
        steps = {128: 2000, 256: 4000}.get(resolution, 1000)
        fade = 0 if resolution == 4 else steps
        batch = {128: 8, 256: 4}.get(resolution, 16)
        phases.append(
            Phase(
                resolution=resolution,
                length=Span(steps + fade, "step"),
                fade=Span(fade, "step"),
                batch=batch,
                lr_g=1e-3,
                lr_d=1e-3,
            )
        )
    return pggan_paper_1gpu().changed(
        {
            "preset": "pggan-food101-256",
            "network.resolution": 256,
            "phases": [phase.model_dump(mode="json") for phase in phases],
            "ema.half_life": 0,
        }
    )


def pggan_food101_256_batch128() -> RunConfig:
    """The second try of the Food-101 article: batch 128 at the low levels, on two GPUs.

    It reports that this takes nearly ten times as long (4 to 5 days to 256) and that two GPUs about halve the time of
    the 4x4 phase; no better picture is shown. The article gives 128 for the low levels only; from 32x32 on the batches
    here are those of the paper's one-GPU preset. Two GPUs: `--gpus 2`; one trains it with `--micro-batch auto`.
    """
    config = pggan_food101_256()
    batches = {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8}
    changes = {f"phases.{i}.batch": batches[phase.resolution] for i, phase in enumerate(config.phases)}
    return config.changed({"preset": "pggan-food101-256-batch128", **changes})


def pggan_animeface_256() -> RunConfig:
    """Anime faces to 256x256 on one GTX 1080 (an article, PyTorch): clean to 128, one hair colour and noise at 256.

    Each size fades in for the first half of its epochs (the paper: 800k images each; the article writes 80k, and shows
    the grids of epochs 0 to 5, so here six epochs a size); batch 16 from 4 to 64, 8 at 128, 5 at 256. Pixel norm,
    minibatch standard deviation over the whole batch, WGAN-GP 10 without drift. Its author suspects the batch of 5.
    """
    phases = []
    for resolution in (4, 8, 16, 32, 64, 128, 256):
        phases.append(
            Phase(
                resolution=resolution,
                length=Span(6, "epoch"),
                fade=Span(0 if resolution == 4 else 3, "epoch"),
                batch={128: 8, 256: 5}.get(resolution, 16),
                lr_g=1e-3,
                lr_d=1e-3,
            )
        )
    return pggan_paper_1gpu().changed(
        {
            "preset": "pggan-animeface-256",
            "network.resolution": 256,
            "network.group": 0,
            "objective.drift": 0,
            "phases": [phase.model_dump(mode="json") for phase in phases],
            "ema.half_life": 0,
        }
    )


def pggan_character_256() -> RunConfig:
    """4,077 pictures of one character to 256x256, two days on one V100 (an article, Chainer 3): stable; some blends.

    Widths 512 512 256 128 64 32 16, latent 512 Gaussian not normalised, linear output; Adam 1e-3, batch 16; WGAN-GP 10
    with 1e-6 inside the norm's root, drift 0.001, D first; minibatch variance in place of deviation; a fade of 20,000
    steps and 100 epochs a depth; a random crop of up to 16 pixels, not mirrored, no average. It found PGGAN clearly
    more stable than other GANs, and wished to train on general characters first: `ganforge train --from RUN`.
    """
    phases = [
        Phase(
            resolution=4 << level,
            length=Span(100, "epoch"),
            # 20,000 steps of 16 in its 4,077 pictures: 78.5 epochs, kept as such so that it fits every set.
            fade=Span(0 if level == 0 else round(20_000 * 16 / 4_077, 3), "epoch"),
            batch=16,
            lr_g=1e-3,
            lr_d=1e-3,
        )
        for level in range(7)
    ]
    return pggan_paper_1gpu().changed(
        {
            "preset": "pggan-character-256",
            "network.resolution": 256,
            "network.widths": [512, 512, 256, 128, 64, 32, 16],
            "network.normalize_latent": False,
            "network.minibatch_statistic": "variance",
            "network.group": 0,
            "objective.gradient_epsilon": 1e-6,
            "phases": [phase.model_dump(mode="json") for phase in phases],
            "ema.half_life": 0,
            "data.crop": 16,
        }
    )


PGGAN_PRESETS: dict[str, Callable[[], RunConfig]] = {
    "pggan-paper-1gpu": pggan_paper_1gpu,
    "pggan-paper-cifar10": pggan_paper_cifar10,
    "pggan-food101-256": pggan_food101_256,
    "pggan-food101-256-batch128": pggan_food101_256_batch128,
    "pggan-animeface-256": pggan_animeface_256,
    "pggan-character-256": pggan_character_256,
    "pggan-small": pggan_small,
}
