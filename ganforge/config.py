"""The whole configuration of a run as frozen data.

A preset is a function that returns a `RunConfig`; `--set key=value` changes one by `RunConfig.changed`; `run.json`
holds it as JSON. Unknown keys are refused with the known ones listed.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganforge.errors import ConfigError, unknown
from ganforge.schedule import Phase


class Frozen(BaseModel):
    """Frozen data that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkConfig(Frozen):
    """What every pair of networks needs to know. Sizes are the base grid (h, w) times a power of two."""

    base: tuple[int, int] = (4, 4)
    resolution: int = Field(default=32, ge=3, description="shorter side of the largest level, pixels")
    channels: int = Field(default=3, ge=1, le=4)
    classes: int = Field(default=0, ge=0, description="0: unconditional")
    latent: int = Field(default=128, ge=1)
    pack: int = Field(default=1, ge=1, description="pictures the discriminator judges together (PacGAN)")

    @property
    def levels(self) -> int:
        """How many times the base grid is doubled to reach `resolution`. Raises ConfigError if it cannot be."""
        factor, rest = divmod(self.resolution, min(self.base))
        if rest or factor & (factor - 1) or factor == 0:
            raise ConfigError(f"resolution {self.resolution} is not the base grid {self.base} times a power of two")
        return factor.bit_length() - 1

    def size(self, resolution: int) -> tuple[int, int]:
        """(H, W) of the level whose shorter side is `resolution`."""
        factor = resolution // min(self.base)
        return self.base[0] * factor, self.base[1] * factor


class PGGANConfig(NetworkConfig):
    """Progressive growing (Karras et al. 2018, arXiv 1710.10196, table 2 and appendix A)."""

    arch: Literal["pggan"] = "pggan"
    latent: int = Field(default=512, ge=1)
    fmap_base: int = Field(default=8192, ge=1)
    fmap_max: int = Field(default=512, ge=1)
    widths: tuple[int, ...] | None = Field(
        default=None, description="one a level from the base grid up, in place of fmap_*"
    )
    normalize_latent: bool = True
    minibatch_statistic: Literal["deviation", "variance", "none"] = "deviation"
    group: int = Field(default=4, ge=0, description="group size of the minibatch statistic; 0: the whole micro-batch")
    fused: bool = Field(
        default=False, description="up- and down-sampling folded into the convolutions; the same numbers"
    )
    conditioning: Literal["projection", "acgan"] = "projection"

    def width(self, level: int) -> int:
        """Feature maps at a level; level 0 is the base grid. Official `nf(stage)`."""
        if self.widths is not None:
            if level >= len(self.widths):
                raise ConfigError(f"widths has {len(self.widths)} entries, level {level} needs one more")
            return self.widths[level]
        return max(1, min(self.fmap_base >> (level + 1), self.fmap_max))


class SAGANConfig(NetworkConfig):
    """SN-ResNet with or without self-attention (Zhang et al. 2019, 1805.08318; Miyato et al. 2018, 1802.05957).

    The generator: dense to a small grid, a doubling residual block a level, BN, ReLU, convolution, tanh. The
    discriminator: halving residual blocks down to `smallest`, `flat` blocks that keep the size, ReLU, sum, linear.
    """

    arch: Literal["sagan"] = "sagan"
    dense: int | None = Field(default=None, ge=1, description="shorter side of the dense layer's grid; None: the base")
    width_g: int = Field(default=64, ge=1, description="maps of the last block; doubled a level towards the base")
    max_width_g: int = Field(default=256, ge=1)
    widths_g: tuple[int, ...] | None = Field(
        default=None, description="the dense layer's maps, then each block's, in place of width_g and max_width_g"
    )
    width_d: int = Field(default=64, ge=1, description="maps of the first block; doubled block by block")
    max_width_d: int = Field(default=256, ge=1)
    widths_d: tuple[int, ...] | None = Field(
        default=None, description="each block's maps, in place of width_d and max_width_d"
    )
    smallest: int = Field(default=4, ge=1, description="the discriminator halves no further than this shorter side")
    flat: int = Field(default=1, ge=0, description="blocks of the discriminator after the last halving")
    attention_g: tuple[int, ...] | None = Field(
        default=None, description="resolutions with self-attention; None: a quarter of the pictures'"
    )
    attention_d: tuple[int, ...] | None = Field(default=None, description="likewise in the discriminator")
    spectral_g: bool = Field(default=True, description="spectral normalization in the generator")
    spectral_picture: bool = Field(default=True, description="with spectral_g: of its last convolution too")
    spectral_score: bool = Field(default=True, description="spectral normalization of the discriminator's last layer")
    initialization: Literal["xavier", "orthogonal"] = "xavier"
    norm_epsilon: float = Field(default=1e-5, gt=0, description="in the variance of batch normalization")
    fused: bool = Field(
        default=True, description="up- and down-sampling folded into the convolutions; the same numbers"
    )

    def generator_plan(self) -> list[tuple[int, int]]:
        """(resolution, width) of the dense layer and after each block. Raises ConfigError."""
        dense = self.dense or min(self.base)
        factor, rest = divmod(self.resolution, dense)
        whole = all(side * dense % min(self.base) == 0 for side in self.base)
        if rest or factor < 1 or factor & (factor - 1) or not whole:
            raise ConfigError(
                f"network.dense: {dense} doubled never gives {self.resolution} pixels; "
                "set it to null for the dataset's base grid"
            )
        levels = factor.bit_length() - 1
        rule = [min(self.width_g << (levels - level), self.max_width_g) for level in range(levels + 1)]
        widths = self._given("widths_g", self.widths_g, rule)
        return [(dense << k, width) for k, width in enumerate(widths)]

    def discriminator_plan(self) -> list[tuple[int, int, bool]]:
        """(resolution after, width, whether it halves) of each block. Raises ConfigError."""
        sizes, size = [], self.size(self.resolution)
        while size[0] % 2 == 0 and size[1] % 2 == 0 and min(size) // 2 >= self.smallest:
            size = size[0] // 2, size[1] // 2
            sizes.append(min(size))
        blocks = [(side, True) for side in sizes] + [(min(size), False)] * self.flat
        if not blocks:
            raise ConfigError(
                f"network.smallest: at {self.resolution} pixels the discriminator has no block; "
                "set it lower, or network.flat to 1"
            )
        widths = self._given(
            "widths_d", self.widths_d, [min(self.width_d << k, self.max_width_d) for k in range(len(blocks))]
        )
        return [(side, width, halves) for (side, halves), width in zip(blocks, widths, strict=True)]

    def attention(self, role: Literal["g", "d"]) -> tuple[int, ...]:
        """The resolutions with self-attention in the generator or the discriminator. Raises ConfigError."""
        sides = (
            [side for side, _ in self.generator_plan()]
            if role == "g"
            else [side for side, _, halves in self.discriminator_plan() if halves]
        )
        wanted = self.attention_g if role == "g" else self.attention_d
        if wanted is None:
            return tuple(side for side in sides if side * 4 == self.resolution)
        for side in wanted:
            if side not in sides:
                raise ConfigError(
                    f"network.attention_{role}: {side} is not one of its resolutions, {', '.join(map(str, sides))}; "
                    "name some of these, or null for a quarter of the pictures' size"
                )
        return wanted

    def _given(self, name: str, given: tuple[int, ...] | None, rule: list[int]) -> list[int]:
        if given is not None and len(given) != len(rule):
            raise ConfigError(f"network.{name}: {len(given)} widths, but {self.resolution} pixels need {len(rule)}")
        return rule if given is None else list(given)


class DCGANConfig(NetworkConfig):
    """DCGAN (Radford et al. 2016, arXiv 1511.06434), and the upsampling variant of the MNIST article."""

    arch: Literal["dcgan"] = "dcgan"
    latent: int = Field(default=100, ge=1)
    variant: Literal["paper", "upsampling"] = Field(
        default="paper", description="transposed convolutions; or dense, doubling and 5x5 convolutions as in Keras"
    )
    width_g: int = Field(default=64, ge=1, description="maps of the last hidden layer; doubled towards the base")
    max_width_g: int = Field(default=1024, ge=1)
    width_d: int = Field(default=64, ge=1, description="maps of the first layer; doubled towards the base")
    max_width_d: int = Field(default=1024, ge=1)
    norm_d: Literal["batch", "spectral", "none"] | None = Field(
        default=None, description="normalization in the discriminator; None: batch for paper, none for upsampling"
    )

    @property
    def discriminator_norm(self) -> str:
        """`batch`, `spectral` or `none`: `norm_d`, or else the variant's own."""
        return self.norm_d or ("batch" if self.variant == "paper" else "none")

    def generator_widths(self) -> list[int]:
        """Hidden feature maps of the generator, from the base grid up, one a level below the pictures'."""
        return [min(self.width_g << (self.doublings() - 1 - k), self.max_width_g) for k in range(self.doublings())]

    def discriminator_widths(self) -> list[int]:
        """Feature maps of the paper variant's discriminator, from the first layer down to the base grid."""
        return [min(self.width_d << k, self.max_width_d) for k in range(self.doublings())]

    def doublings(self) -> int:
        """`levels`, at least 1. Raises ConfigError."""
        if self.levels < 1:
            raise ConfigError(f"resolution {self.resolution} is the base grid itself; DCGAN needs at least twice that")
        return self.levels


AnyNetworkConfig = Annotated[PGGANConfig | SAGANConfig | DCGANConfig, Field(discriminator="arch")]


class ObjectiveConfig(Frozen):
    """A loss by name, and the penalties on the discriminator as weights (0: absent).

    gradient: WGAN-GP, weight * E[(|grad D(mix)| - target)^2] / target^2 (Gulrajani et al. 2017; Karras et al. 2018,
    appendix). r1, r2: gamma / 2 * E[|grad D|^2] on real or fake pictures (Mescheder et al. 2018). drift: weight *
    E[D(real)^2]. `every`: gradient penalties only every so many updates, times that number (Karras et al. 2020).
    """

    loss: str = "non-saturating"
    gradient: float = Field(default=0, ge=0)
    gradient_target: float = Field(default=1, gt=0)
    gradient_epsilon: float = Field(default=0, ge=0, description="inside the root of the norm")
    r1: float = Field(default=0, ge=0)
    r2: float = Field(default=0, ge=0)
    drift: float = Field(default=0, ge=0)
    every: int = Field(default=1, ge=1)
    acgan: float = Field(default=1, ge=0, description="weight of the class loss where the network is an AC-GAN")


class Gate(Frozen):
    """The D-loss rule of the SAGAN article: when the mean of the last `window` D losses is at least `limit` and no
    D-only stretch is under way, the next `steps` steps train D alone."""

    limit: float
    window: int = Field(default=5, ge=1)
    steps: int = Field(default=4, ge=1)


class UpdatesConfig(Frozen):
    """Who is updated when. `split`: D is updated on the fake batch and then on the real one (the MNIST article)."""

    order: Literal["d-first", "g-first"] = "d-first"
    d_per_g: int = Field(default=1, ge=1)
    split: bool = False
    gate: Gate | None = None


class OptimizerConfig(Frozen):
    """Adam (Kingma & Ba 2015); the learning rates stand in the phases."""

    betas: tuple[float, float] = (0.0, 0.99)
    eps: float = Field(default=1e-8, gt=0)


class EMAConfig(Frozen):
    """Average of the generator's weights with a half-life in thousands of images; 0 turns it off.

    At most `ramp` of the images since the phase began, so that a new level's average forgets its initial weights.
    """

    half_life: float = Field(default=10, ge=0)
    ramp: float = Field(default=0.05, gt=0)


class AugmentConfig(Frozen):
    """Differentiable augmentation of all the discriminator sees (Zhao et al. 2020; Karras et al. 2020).

    `p` is the probability of each transformation of `policy`; with `target` set it starts at `p` and is adapted so that
    the mean sign of D(real) comes to the target, at most 1 over `ramp` thousand images.
    """

    policy: tuple[str, ...] = ()
    p: float = Field(default=1.0, ge=0, le=1)
    target: float | None = Field(default=None, ge=-1, le=1)
    ramp: float = Field(default=500, gt=0)


class DataConfig(Frozen):
    """Which dataset folder, and what is done to its pictures on the way in."""

    path: str = ""
    name: str = ""
    digest: str = ""
    count: int = Field(default=0, ge=0)
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = Field(default=(), description="fake labels are drawn in these shares; (): evenly")
    mirror: bool = Field(default=False, description="a fair coin flips each picture left to right")
    crop: int = Field(default=0, ge=0, description="random crop of up to so many pixels, at the largest level")


class RunConfig(Frozen):
    """Everything that decides a run."""

    preset: str = ""
    network: AnyNetworkConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    phases: tuple[Phase, ...]
    kimg: float | None = Field(default=None, gt=0, description="length of the whole run; None: as the phases say")
    updates: UpdatesConfig = UpdatesConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: EMAConfig = EMAConfig()
    augment: AugmentConfig = AugmentConfig()
    data: DataConfig = DataConfig()
    precision: Literal["fp32", "bf16"] = "fp32"
    micro_batch: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default=0, description="pictures computed at once; 0: the whole batch; auto: probed at each growth"
    )
    freeze_d: int = Field(
        default=0, ge=0, description="layers of the discriminator, from the picture on, left as they are"
    )
    channels_last: bool = True
    deterministic: bool = False
    seed: int = 0

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str = "configuration") -> Self:
        """Check plain data. Raises ConfigError, one line, naming the key at fault and the keys that are known."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"{where}: {_first_line(error, cls)}") from None

    def changed(self, changes: Mapping[str, Any], where: str = "--set") -> Self:
        """A copy with dotted keys changed: `{"objective.r1": 10, "phases.0.batch": 32}`. Raises ConfigError."""
        data = self.model_dump(mode="json")
        for key, value in changes.items():
            _assign(data, key, value, where)
        return type(self).parse(data, where)


def parse_assignments(texts: list[str]) -> dict[str, Any]:
    """`["seed=3", "objective.loss=hinge"]` as a dictionary; values are JSON, else text."""
    changes: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {text!r}: write key=value, as --set objective.r1=10")
        try:
            changes[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            changes[key.strip()] = value
    return changes


def _assign(data: Any, key: str, value: Any, where: str) -> None:
    *parents, last = key.split(".")
    node = data
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else _item(node, parent)
        if not isinstance(node, dict | list):
            raise ConfigError(f"{where} {key}: {unknown('key', parent, data)}")
    if isinstance(node, list):
        if _item(node, last) is None:
            raise ConfigError(f"{where} {key}: the list has entries 0 to {len(node) - 1}")
        node[int(last)] = value
    elif last not in node:
        raise ConfigError(f"{where} {key}: {unknown('key', last, node)}")
    else:
        node[last] = value


def _item(node: Any, index: str) -> Any:
    return node[int(index)] if isinstance(node, list) and index.isdigit() and int(index) < len(node) else None


def _first_line(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    path = [part for part in first["loc"] if part not in ("pggan", "sagan", "dcgan")]
    where = ".".join(map(str, path))
    if first["type"] == "extra_forbidden":
        node: Any = model
        for part in path[:-1]:
            field = getattr(node, "model_fields", {}).get(part)
            node = field.annotation if field else None
        known = getattr(node, "model_fields", None)
        return unknown("key", where, known) if known else f"unknown key {where!r}"
    return f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]} (got {first.get('input')!r:.80})"
