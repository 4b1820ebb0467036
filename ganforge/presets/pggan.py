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

    A CPU gets half the feature maps, batch 16 and a tenth of the length; a large set on a GPU a longer run.
    """
    lowest, config = min(base), pggan_small()
    resolutions = [lowest << level for level in range((resolution // lowest).bit_length())]
    width = 128 if gpu else 64
    changes = {
        "base": base,
        "resolution": resolution,
        "channels": channels,
        "classes": classes,
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


PGGAN_PRESETS: dict[str, Callable[[], RunConfig]] = {"pggan-small": pggan_small}
