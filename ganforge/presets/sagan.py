"""SAGAN and SNGAN presets: the papers' recipes, every case of one study of them, and small ones for one card or a CPU.

The study is a series of articles (PyTorch, 2019) that ran SAGAN on CIFAR-10, STL-10, anime faces and Oxford flowers.
Its Inception Scores are the best over checkpoints every 5 epochs, by its own measurement: context, not a target.
"""

from collections.abc import Callable
from typing import Any

from ganforge.config import (
    AugmentConfig,
    DataConfig,
    EMAConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    SAGANConfig,
    UpdatesConfig,
)
from ganforge.schedule import Phase, Span

GATE = {"limit": 0.5, "window": 5, "steps": 4}
TTUR_G, TTUR_D, BALANCED = 1e-4, 4e-4, 2e-4


def sagan_cifar10_case0() -> RunConfig:
    """CIFAR-10, conditional, equal rates, no attention; the study's Inception Score: 4.371.

    G: dense 4x4x256, blocks 256-256-256. D: blocks of 128, halving to 8x8, two flat ones. Spectral normalization in
    both, Xavier, hinge, Adam (0, 0.9) at 2e-4 and 2e-4, batch 256, 100 epochs, each step G first.
    """
    return RunConfig(
        preset="sagan-cifar10-case0",
        network=SAGANConfig(
            resolution=32,
            classes=10,
            width_g=256,
            max_width_g=256,
            width_d=128,
            max_width_d=128,
            smallest=7,  # 8x8 at 32 pixels, and 7x7 at 28
            flat=2,
            attention_g=(),
            attention_d=(),
            norm_epsilon=1e-4,
        ),
        objective=ObjectiveConfig(loss="hinge"),
        phases=(Phase(resolution=32, length=Span(100, "epoch"), batch=256, lr_g=BALANCED, lr_d=BALANCED),),
        updates=UpdatesConfig(order="g-first"),
        optimizer=OptimizerConfig(betas=(0.0, 0.9)),
        ema=EMAConfig(half_life=0),
        data=DataConfig(mirror=False),
    )


def sagan_cifar10_case1() -> RunConfig:
    """CIFAR-10, conditional, TTUR, no attention; the study's Inception Score: 5.559.

    Case 0 with rates 1e-4 for G and 4e-4 for D (TTUR, Heusel et al. 2017).
    """
    return _variant(sagan_cifar10_case0(), "sagan-cifar10-case1", rates=(TTUR_G, TTUR_D))


def sagan_cifar10_case2() -> RunConfig:
    """CIFAR-10, conditional, TTUR, attention at 8x8; the study's Inception Score: 6.530.

    Case 1 with self-attention in both networks: 4,386,308 and 1,075,586 parameters, as two independent 32x32 SAGANs.
    """
    return _variant(sagan_cifar10_case1(), "sagan-cifar10-case2", attention=True)


def sagan_cifar10_case3() -> RunConfig:
    """CIFAR-10, conditional, equal rates, no attention, D-loss limit 0.5; the study's Inception Score: 6.372.

    Case 0 behind the gate (when the mean of the last five D losses is at least 0.5, D trains alone for four steps),
    200 epochs.
    """
    return _variant(sagan_cifar10_case0(), "sagan-cifar10-case3", gate=True, length="200epoch")


def sagan_cifar10_case4() -> RunConfig:
    """CIFAR-10, conditional, TTUR, no attention, D-loss limit 0.5; the study's Inception Score: 6.525.

    Case 1 behind the gate, 200 epochs.
    """
    return _variant(sagan_cifar10_case1(), "sagan-cifar10-case4", gate=True, length="200epoch")


def sagan_cifar10_case5() -> RunConfig:
    """CIFAR-10, conditional, TTUR, attention, D-loss limit 0.5; the study's Inception Score: 6.241.

    Case 2 behind the gate, 200 epochs.
    """
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-case5", gate=True, length="200epoch")


def sagan_cifar10_case6() -> RunConfig:
    """CIFAR-10, unconditional, TTUR, attention; the study's Inception Score: 5.673.

    Case 2 without classes.
    """
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-case6", classes=0)


def sagan_cifar10_case7() -> RunConfig:
    """CIFAR-10, unconditional, TTUR, attention, D-loss limit 0.5; the study's Inception Score: 6.423.

    Case 5 without classes.
    """
    return _variant(sagan_cifar10_case5(), "sagan-cifar10-case7", classes=0)


def sagan_cifar10_lrscale0() -> RunConfig:
    """CIFAR-10, case 2 with batch 64 and a quarter of the rates; the study's Inception Score: 6.908.

    Rates in proportion to the batch (reference 256): 2.5e-5 and 1e-4. Good for longer than unscaled rates.
    """
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-lrscale0", batch=64, rates=(TTUR_G / 4, TTUR_D / 4))


def sagan_cifar10_lrscale1() -> RunConfig:
    """CIFAR-10, case 2 with batch 128 and half of the rates; the study's Inception Score: 6.835."""
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-lrscale1", batch=128, rates=(TTUR_G / 2, TTUR_D / 2))


def sagan_cifar10_lrscale2() -> RunConfig:
    """CIFAR-10, case 2 with batch 64, rates unscaled; the study's Inception Score: 6.883."""
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-lrscale2", batch=64)


def sagan_cifar10_lrscale3() -> RunConfig:
    """CIFAR-10, case 2 with batch 128, rates unscaled; the study's Inception Score: 6.602."""
    return _variant(sagan_cifar10_case2(), "sagan-cifar10-lrscale3", batch=128)


def sagan_stl10_case0() -> RunConfig:
    """STL-10 at 48x48, conditional, equal rates, no attention; the study's Inception Score: 6.073.

    The 13,000 labelled pictures of train and test. G: dense 6x6x512, blocks 256-128-64, last convolution without
    spectral normalization. D: 64 (24), 128 (12), 256 (6), 512 (3), 1024 flat. Batch 256, 400 epochs, else as on
    CIFAR-10.
    """
    network = {
        "base": (3, 3),
        "dense": 6,
        "width_g": 64,
        "max_width_g": 512,
        "width_d": 64,
        "max_width_d": 1024,
        "smallest": 3,
        "flat": 1,
        "spectral_picture": False,
    }
    return _variant(sagan_cifar10_case0(), "sagan-stl10-case0", resolution=48, length="400epoch", network=network)


def sagan_stl10_case1() -> RunConfig:
    """STL-10 at 48x48, conditional, TTUR, no attention; the study's Inception Score: 6.122."""
    return _variant(sagan_stl10_case0(), "sagan-stl10-case1", rates=(TTUR_G, TTUR_D))


def sagan_stl10_case2() -> RunConfig:
    """STL-10 at 48x48, conditional, TTUR, attention at 12x12; the study's Inception Score: 5.640."""
    return _variant(sagan_stl10_case1(), "sagan-stl10-case2", attention=True)


def sagan_animeface_96() -> RunConfig:
    """Anime faces at 96x96 in 176 classes, TTUR, attention at 24x24; in the study every class collapsed by epoch 50.

    G: dense 3x3x1024, blocks 1024-512-256, attention, 128-64, last convolution without spectral normalization. D: 64
    (48), 128 (24), attention, 256, 512, 1024 (3), 1024 flat, last layer without spectral normalization. Batch 128,
    rates 5e-5 and 2e-4, 250 epochs. Pictures looked clean, but from epoch 50 on each class was one picture.
    """
    network = {
        "dense": None,
        "max_width_g": 1024,
        "spectral_score": False,
    }
    return _variant(
        sagan_stl10_case2(),
        "sagan-animeface-96",
        resolution=96,
        classes=176,
        attention=True,
        batch=128,
        rates=(TTUR_G / 2, TTUR_D / 2),
        length="250epoch",
        network=network,
    )


def sagan_flowers_96() -> RunConfig:
    """Oxford flowers at 96x96 in 102 classes, TTUR, attention; in the study every class collapsed by epoch 100.

    `sagan-animeface-96` with 102 classes and 400 epochs.
    """
    return _variant(sagan_animeface_96(), "sagan-flowers-96", classes=102, length="400epoch")


def sngan_cifar10() -> RunConfig:
    """SNGAN, CIFAR-10, unconditional (Miyato et al. 2018): Inception Score 8.22, FID 21.7; 5.9 to 6 in the study.

    No attention, no spectral normalization in G, five D updates for one of G, D first, Adam (0, 0.9) at 2e-4, batch 64,
    50,000 generator updates. The authors' linear decay of the rate to 0 is left out: phases have constant rates.
    """
    config = _variant(
        sagan_cifar10_case0(), "sngan-cifar10", classes=0, batch=64, length="50000step", network={"norm_epsilon": 1e-5}
    )
    return _sngan(config)


def sngan_stl10() -> RunConfig:
    """SNGAN, STL-10 at 48x48, conditional, 5:1; the study's Inception Score: 7.136 (with 1:1 under 4).

    The networks of `sagan-stl10-case0` without spectral normalization in G, batch 64, 50,000 generator updates.
    """
    return _sngan(_variant(sagan_stl10_case0(), "sngan-stl10", batch=64, length="50000step"))


def sngan_animeface_96() -> RunConfig:
    """SNGAN, anime faces at 96x96 in 176 classes, 5:1; in the study its classes did not collapse.

    The networks of `sagan-animeface-96` without attention and without spectral normalization in G, equal rates of 2e-4,
    batch 64, 50,000 generator updates.
    """
    config = _variant(sagan_animeface_96(), "sngan-animeface-96", batch=64, length="50000step")
    return _sngan(_variant(config, "sngan-animeface-96", attention=False, rates=(BALANCED, BALANCED)))


def sngan_flowers_96() -> RunConfig:
    """SNGAN, Oxford flowers at 96x96 in 102 classes, 5:1; in the study its classes did not collapse.

    `sngan-animeface-96` with 102 classes.
    """
    return _variant(sngan_animeface_96(), "sngan-flowers-96", classes=102)


def sagan_paper_128() -> RunConfig:
    """SAGAN, ImageNet at 128x128 in 1,000 classes (Zhang et al. 2019): Inception Score 52.52, FID 18.65.

    G: dense 4x4x1024, blocks 1024-512-256-128-64, attention at 32x32. D mirrored: 64-128-256-512-1024 and one flat.
    Hinge, TTUR 1e-4 and 4e-4, Adam (0, 0.9), batch 256, one million steps (256,000 kimg).
    """
    network = {
        "width_g": 64,
        "max_width_g": 1024,
        "width_d": 64,
        "max_width_d": 1024,
        "smallest": 4,
        "flat": 1,
        "norm_epsilon": 1e-5,
    }
    config = _variant(
        sagan_cifar10_case1(), "sagan-paper-128", resolution=128, classes=1000, length="256000kimg", network=network
    )
    return _variant(config, "sagan-paper-128", attention=True).changed({"updates.order": "d-first"})


def sagan_small() -> RunConfig:
    """A strong SAGAN for one card: 64x64, attention at 16x16, TTUR, averaged generator, augmentation that adapts.

    Conditional where the pictures have labels. Orthogonal initialisation and moderate widths; ours, no one's report.
    """
    return RunConfig(
        preset="sagan-small",
        network=SAGANConfig(resolution=64, classes=10, max_width_g=512, max_width_d=512, initialization="orthogonal"),
        objective=ObjectiveConfig(loss="hinge"),
        phases=(Phase(resolution=64, length=Span(3000, "kimg"), batch=64, lr_g=TTUR_G, lr_d=TTUR_D),),
        optimizer=OptimizerConfig(betas=(0.0, 0.9)),
        ema=EMAConfig(half_life=10),
        augment=AugmentConfig(policy=("colour", "translation", "cutout"), p=0, target=0.6, ramp=500),
    )


def default_sagan(
    base: tuple[int, int], resolution: int, channels: int, classes: int, count: int, gpu: bool
) -> RunConfig:
    """`sagan-small` scaled to the pictures' size, count and colour, and to the device.

    On a CPU narrower, shorter and at higher, equal rates: on Fashion-MNIST at 28x28 the classes of 74% of its pictures
    can be told after 21,000 images, where the card's rates are at 12% after 15,000. At most 500 passes over the
    pictures. Grey pictures (digits, clothes, letters) are not mirrored, coloured ones are.
    """
    config = sagan_small()
    narrow = {} if gpu else {"width_g": 32, "max_width_g": 128, "width_d": 32, "max_width_d": 128, "latent": 64}
    pace = {} if gpu else {"batch": 32, "lr_g": 5e-4, "lr_d": 5e-4}
    kimg = min(3000 if gpu else 300, max(count / 2, 20))
    phase = config.phases[0].model_copy(update={"resolution": resolution, "length": Span(kimg, "kimg"), **pace})
    network = config.network.model_copy(
        update={"base": base, "resolution": resolution, "channels": channels, "classes": classes, **narrow}
    )
    return config.model_copy(update={"network": network, "phases": (phase,), "data": DataConfig(mirror=channels != 1)})


def _variant(
    config: RunConfig,
    name: str,
    *,
    rates: tuple[float, float] | None = None,
    batch: int | None = None,
    length: str | None = None,
    resolution: int | None = None,
    classes: int | None = None,
    attention: bool | None = None,
    gate: bool = False,
    network: dict[str, Any] | None = None,
) -> RunConfig:
    """Another preset's configuration under a new name, changed in what is named."""
    changes: dict[str, Any] = {"preset": name}
    changes |= {f"network.{key}": value for key, value in (network or {}).items()}
    if rates:
        changes |= {"phases.0.lr_g": rates[0], "phases.0.lr_d": rates[1]}
    if resolution:
        changes |= {"network.resolution": resolution, "phases.0.resolution": resolution}
    if attention is not None:
        # At a quarter of the pictures' size, as in all of these sources, whatever that size is.
        places: list[int] | None = None if attention else []
        changes |= {"network.attention_g": places, "network.attention_d": places}
    given = {"phases.0.batch": batch, "phases.0.length": length, "network.classes": classes}
    changes |= {key: value for key, value in given.items() if value is not None}
    return config.changed(changes | ({"updates.gate": GATE} if gate else {}), name)


def _sngan(config: RunConfig) -> RunConfig:
    changes = {"network.spectral_g": False, "updates.order": "d-first", "updates.d_per_g": 5}
    return config.changed(changes, config.preset)


SAGAN_PRESETS: dict[str, Callable[[], RunConfig]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        sagan_small,
        sagan_cifar10_case0,
        sagan_cifar10_case1,
        sagan_cifar10_case2,
        sagan_cifar10_case3,
        sagan_cifar10_case4,
        sagan_cifar10_case5,
        sagan_cifar10_case6,
        sagan_cifar10_case7,
        sagan_cifar10_lrscale0,
        sagan_cifar10_lrscale1,
        sagan_cifar10_lrscale2,
        sagan_cifar10_lrscale3,
        sagan_stl10_case0,
        sagan_stl10_case1,
        sagan_stl10_case2,
        sagan_animeface_96,
        sagan_flowers_96,
        sagan_paper_128,
        sngan_cifar10,
        sngan_stl10,
        sngan_animeface_96,
        sngan_flowers_96,
    )
}
