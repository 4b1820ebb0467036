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


def pggan_small() -> RunConfig:
    """A good default for one 8-GB card, or a patient CPU, and about 5,000 pictures."""
    return RunConfig(
        preset="pggan-small",
        network=PGGANConfig(resolution=128, latent=128, fmap_base=2048, fmap_max=128, fused=True),
        objective=ObjectiveConfig(loss="non-saturating", r1=2),
        phases=grow(
            [4, 8, 16, 32, 64, 128],
            fade="300kimg",
            stable="300kimg",
            batch={4: 32, 128: 16},
            rate={4: 2e-3},
            reset=False,
        ),
        optimizer=OptimizerConfig(betas=(0.0, 0.99)),
        ema=EMAConfig(half_life=10),
        augment=AugmentConfig(policy=("colour", "translation", "cutout"), p=0, target=0.6, ramp=500),
    )


def default_pggan(
    base: tuple[int, int], resolution: int, channels: int, classes: int, count: int, gpu: bool
) -> RunConfig:
    """`pggan-small` scaled to the dataset's size and count and to the device."""
    lowest = min(base)
    resolutions = [lowest << level for level in range((resolution // lowest).bit_length())]
    config = pggan_small()
    width = 128 if gpu else 64
    network = config.network.model_copy(
        update={
            "base": base,
            "resolution": resolution,
            "channels": channels,
            "classes": classes,
            "fmap_max": width,
            "fmap_base": width * 16,
        }
    )
    each = 300 if gpu else 30
    phases = grow(
        resolutions,
        fade=f"{each}kimg",
        stable=f"{each}kimg",
        batch={lowest: 32, 128: 16},
        rate={lowest: 2e-3},
        reset=False,
    )
    return config.model_copy(update={"network": network, "phases": phases})


PGGAN_PRESETS: dict[str, Callable[[], RunConfig]] = {"pggan-small": pggan_small}
