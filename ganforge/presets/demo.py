"""The quickstart's network, and its schedule fitted to the machine it runs on."""

from collections.abc import Sequence

from ganforge.config import EMAConfig, ObjectiveConfig, OptimizerConfig, PGGANConfig, RunConfig
from ganforge.schedule import Phase, Span

# Of the time there is: most of it at the last level, where the faces become faces.
SHARES = {8: 0.06, 16: 0.16, 32: 0.78}
FADE = {16: 0.5, 32: 0.25}


def demo_config() -> RunConfig:
    """A PGGAN of 64 and fewer feature maps that grows from 8x8 to 32x32, non-saturating with R1.

    Chosen by what was measured on two CPU cores: at equal time R1 gave better faces than WGAN-GP, and to begin at
    8x8 lost nothing against 4x4.
    """
    phases = tuple(
        Phase(
            resolution=resolution,
            length=Span(1000, "img"),
            fade=Span(1000 * FADE.get(resolution, 0), "img"),
            batch=16,
            lr_g=2e-3,
            lr_d=2e-3,
        )
        for resolution in SHARES
    )
    return RunConfig(
        preset="demo",
        network=PGGANConfig(base=(4, 4), resolution=32, latent=64, widths=(64, 64, 64, 32), fused=True),
        objective=ObjectiveConfig(loss="non-saturating", r1=1, every=4),
        phases=phases,
        optimizer=OptimizerConfig(betas=(0.0, 0.99)),
        ema=EMAConfig(half_life=2, ramp=0.2),
    )


def fitted(config: RunConfig, costs: Sequence[float], seconds: float) -> RunConfig:
    """The demo's phases in images, so that at `costs` seconds an image (one a phase) they take `seconds` in all."""
    phases = []
    for phase, cost in zip(config.phases, costs, strict=True):
        images = max(seconds, 5.0) * SHARES[phase.resolution] / cost
        images = max(round(images / phase.batch) * phase.batch, phase.batch)
        fade = Span(round(images * FADE.get(phase.resolution, 0)), "img")
        phases.append(phase.model_copy(update={"length": Span(images, "img"), "fade": fade}))
    return config.model_copy(update={"phases": tuple(phases)})
