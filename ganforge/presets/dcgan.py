"""DCGAN presets: the paper's recipe, the MNIST article's, one for Fashion-MNIST, and a small one for any pictures."""

from collections.abc import Callable

from ganforge.config import (
    DataConfig,
    DCGANConfig,
    EMAConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    UpdatesConfig,
)
from ganforge.schedule import Phase, Span


def dcgan_paper_64() -> RunConfig:
    """DCGAN as in the paper, 64x64 (Radford et al. 2016): G 1024-512-256-128, Adam 2e-4, beta1 0.5, batch 128.

    Latent 100, N(0, 0.02) weights, batch normalization, leaky ReLU 0.2, no augmentation (section 4). The paper draws
    latents evenly; here as everywhere they are normal. It gives one epoch of 3 million bedrooms as enough: 3,000 kimg.
    """
    return RunConfig(
        preset="dcgan-paper-64",
        network=DCGANConfig(resolution=64, width_g=128, width_d=128),
        objective=ObjectiveConfig(loss="non-saturating"),
        phases=(Phase(resolution=64, length=Span(3000, "kimg"), batch=128, lr_g=2e-4, lr_d=2e-4),),
        optimizer=OptimizerConfig(betas=(0.5, 0.999)),
        ema=EMAConfig(half_life=0),
        data=DataConfig(mirror=False),
    )


def dcgan_mnist() -> RunConfig:
    """Digits at 28x28 with the Keras networks of an article on MNIST: batch 64, Adam 1e-4, 50,000 steps.

    G: dense 7*7*64, doubling and 5x5 convolutions 128-64-64, BN momentum 0.8 (Keras' sense), leaky ReLU 0.3, tanh. D:
    5x5 convolutions 64-64-128-128, dropout 0.3, 0.4, 0.4. BCE; D is updated on the fakes, then on the reals, then G.
    Adam with Keras' betas (0.9, 0.999) and epsilon 1e-7. Reported: legible, varied digits; 2,000 steps are too few.
    """
    return RunConfig(
        preset="dcgan-mnist",
        network=DCGANConfig(base=(7, 7), resolution=28, channels=1, latent=100, variant="upsampling"),
        objective=ObjectiveConfig(loss="non-saturating"),
        phases=(Phase(resolution=28, length=Span(50000, "step"), batch=64, lr_g=1e-4, lr_d=1e-4),),
        updates=UpdatesConfig(split=True),
        optimizer=OptimizerConfig(betas=(0.9, 0.999), eps=1e-7),
        ema=EMAConfig(half_life=0),
        data=DataConfig(mirror=False),
    )


def dcgan_fashion() -> RunConfig:
    """Fashion-MNIST at 28x28 with the paper's networks, 25 epochs, batch 64, Adam 2e-4, beta1 0.5.

    Widths, batch, rates and length of PyTorch's DCGAN example; with an averaged generator.
    """
    return dcgan_paper_64().changed(
        {
            "preset": "dcgan-fashion",
            "network.base": (7, 7),
            "network.resolution": 28,
            "network.channels": 1,
            "network.width_g": 64,
            "network.width_d": 64,
            "phases.0.resolution": 28,
            "phases.0.length": "25epoch",
            "phases.0.batch": 64,
            "ema.half_life": 5,
        },
        "dcgan-fashion",
    )


def dcgan_small() -> RunConfig:
    """A good DCGAN for one card or a CPU: 64x64, batch 64, averaged generator, classes where there are labels."""
    return dcgan_paper_64().changed(
        {
            "preset": "dcgan-small",
            "network.width_g": 64,
            "network.width_d": 64,
            "network.classes": 10,
            "phases.0.batch": 64,
            "phases.0.length": "2000kimg",
            "ema.half_life": 5,
            "data.mirror": True,
        },
        "dcgan-small",
    )


def default_dcgan(
    base: tuple[int, int], resolution: int, channels: int, classes: int, count: int, gpu: bool
) -> RunConfig:
    """`dcgan-small` scaled to the pictures' size, count and colour, and to the device.

    On a CPU shorter; at most 500 passes over the pictures. Grey pictures (digits, clothes, letters) are not mirrored,
    coloured ones are.
    """
    config = dcgan_small()
    kimg = min(2000 if gpu else 500, max(count / 2, 20))
    phase = config.phases[0].model_copy(update={"resolution": resolution, "length": Span(kimg, "kimg")})
    network = config.network.model_copy(
        update={"base": base, "resolution": resolution, "channels": channels, "classes": classes}
    )
    return config.model_copy(update={"network": network, "phases": (phase,), "data": DataConfig(mirror=channels != 1)})


DCGAN_PRESETS: dict[str, Callable[[], RunConfig]] = {
    "dcgan-small": dcgan_small,
    "dcgan-paper-64": dcgan_paper_64,
    "dcgan-mnist": dcgan_mnist,
    "dcgan-fashion": dcgan_fashion,
}
