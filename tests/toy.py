"""Small pictures and configurations that the training tests share."""

import numpy as np
import numpy.typing as npt

from ganforge.config import DCGANConfig, EMAConfig, NetworkConfig, ObjectiveConfig, PGGANConfig, RunConfig, SAGANConfig
from ganforge.schedule import Phase, Schedule

PGGAN = PGGANConfig(resolution=16, latent=8, fmap_max=8, fmap_base=128)
NETWORKS: dict[str, NetworkConfig] = {
    "pggan": PGGAN,
    "sagan": SAGANConfig(resolution=16, latent=8),
    "dcgan": DCGANConfig(resolution=16, latent=8),
}


class Toy:
    """Random pictures with labels, a function of the position: what a dataset's stream is to the loop."""

    def take(
        self, start: int, count: int, resolution: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
        pictures = [
            np.random.default_rng(index).integers(0, 256, (3, resolution, resolution))
            for index in range(start, start + count)
        ]
        return np.stack(pictures).astype(np.uint8), np.arange(start, start + count) % 3


def toy_config(**changes: object) -> RunConfig:
    """A PGGAN to 16x16 in 160 images: stable 4, fading and stable 8 and 16."""
    phases = (
        Phase(resolution=4, length="32img", batch=8, lr_g=1e-3, lr_d=1e-3),
        Phase(resolution=8, length="64img", fade="32img", batch=8, lr_g=1e-3, lr_d=1e-3, reset_optimizers=True),
        Phase(resolution=16, length="64img", fade="32img", batch=8, lr_g=1e-3, lr_d=1e-3),
    )
    values = {
        "network": PGGAN,
        "objective": ObjectiveConfig(loss="wgan", gradient=10, drift=1e-3),
        "phases": phases,
        "ema": EMAConfig(half_life=0.05, ramp=0.5),
        **changes,
    }
    return RunConfig.parse(RunConfig(**values).model_dump(mode="json"))


def toy_schedule(config: RunConfig) -> Schedule:
    return Schedule.resolve(config.phases, dataset_size=100, images_per_batch=config.updates.d_per_g, kimg=config.kimg)
