"""All that changes while a run trains, as one object that a checkpoint holds whole."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.config import Gate, RunConfig
from ganforge.errors import CheckpointError
from ganforge.networks import Discriminator, Generator, build_discriminator, build_generator
from ganforge.schedule import Position
from ganforge.training.randomness import seed_for


@dataclass
class GateState:
    """The D-loss rule's memory: the last few D losses, and how many D-only steps are still to come."""

    recent: list[float] = field(default_factory=list)
    remaining: int = 0

    def closed(self) -> bool:
        """Whether the generator waits in the step that begins now."""
        return self.remaining > 0

    def after_step(self, gate: Gate, loss: float) -> None:
        """Take in a step's D loss: one D-only step fewer to come, or the beginning of a stretch of them."""
        self.recent = [*self.recent, loss][-gate.window :]
        if self.remaining:
            self.remaining -= 1
        elif len(self.recent) == gate.window and sum(self.recent) / gate.window >= gate.limit:
            self.remaining = gate.steps


@dataclass
class TrainState:
    """Networks, optimizers, the clock, and what adapts in a run.

    `images` is the clock: real images shown. `figures` are the metrics, smoothed. `augment_p` is the probability of
    augmentation, adapted where the configuration says so. `salt` counts rollbacks, each of which makes other
    randomness; `lr_scale` holds until `lr_scale_until` images. `memory` is what those who watch the run remember of it,
    plain types by watcher: training never reads it.
    """

    config: RunConfig
    device: torch.device
    generator: Generator
    discriminator: Discriminator
    ema: Generator | None
    optimizer_g: torch.optim.Adam
    optimizer_d: torch.optim.Adam
    augment_p: Tensor
    gate: GateState = field(default_factory=GateState)
    images: int = 0
    step: int = 0
    phase: int = -1
    salt: int = 0
    lr_scale: float = 1.0
    lr_scale_until: int = 0
    micro_batch: int = 0
    figures: dict[str, Tensor] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, config: RunConfig, device: torch.device) -> "TrainState":
        """Fresh networks, a function of the configuration's seed alone."""
        torch.manual_seed(seed_for(config.seed, "networks"))
        generator, discriminator = build_generator(config.network), build_discriminator(config.network)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        generator.to(device).to(memory_format=layout)
        discriminator.to(device).to(memory_format=layout)
        for layer in discriminator.input_side()[: config.freeze_d]:
            layer.requires_grad_(False)
        ema = copy.deepcopy(generator).eval().requires_grad_(False) if config.ema.half_life else None
        return cls(
            config=config,
            device=device,
            generator=generator,
            discriminator=discriminator,
            ema=ema,
            optimizer_g=_adam(generator, config),
            optimizer_d=_adam(discriminator, config),
            augment_p=torch.tensor(config.augment.p, device=device),
            micro_batch=config.micro_batch if isinstance(config.micro_batch, int) else 0,
        )

    @property
    def sampler(self) -> Generator:
        """The generator that pictures are drawn from: the average where there is one."""
        return self.ema or self.generator

    def enter(self, position: Position) -> None:
        """Put networks and optimizers where the schedule says."""
        for network in (self.generator, self.discriminator, self.ema):
            if network is not None:
                network.set_stage(position.stage)
        if position.index != self.phase:
            if self.phase >= 0 and position.phase.reset_optimizers:
                self.optimizer_g.state.clear()
                self.optimizer_d.state.clear()
            self.phase = position.index
        scale = self.lr_scale if self.images < self.lr_scale_until else 1.0
        _set_rate(self.optimizer_g, position.lr_g * scale)
        _set_rate(self.optimizer_d, position.lr_d * scale)

    @torch.no_grad()
    def average(self, position: Position, images: int) -> None:
        """Move the averaged generator towards the trained one by a step that showed `images` images."""
        if self.ema is None:
            return
        config = self.config.ema
        half_life = min(config.half_life * 1000, config.ramp * (self.images - position.start))
        share = 1 - math.exp2(-images / half_life) if half_life > 0 else 1.0
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), share)
        for average, buffer in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            average.copy_(buffer)

    @torch.no_grad()
    def smooth(self, metrics: dict[str, Tensor]) -> None:
        """Move the smoothed figures, which displays and logs show, a fiftieth of the way to a step's metrics.

        They are a part of the state so that the log of a resumed run is the log of the run that was not stopped.
        """
        for name, value in metrics.items():
            past = self.figures.get(name)
            self.figures[name] = value.clone() if past is None else past.lerp_(value, 0.02)

    def content(self) -> dict[str, Any]:
        """Plain types and references to the live tensors: what a checkpoint holds."""
        return {
            "config": self.config.model_dump(mode="json"),
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "augment_p": self.augment_p,
            "gate": {"recent": list(self.gate.recent), "remaining": self.gate.remaining},
            "images": self.images,
            "step": self.step,
            "phase": self.phase,
            "salt": self.salt,
            "lr_scale": self.lr_scale,
            "lr_scale_until": self.lr_scale_until,
            "micro_batch": self.micro_batch,
            "figures": dict(self.figures),
            "memory": self.memory,
            "made_with": self.made_with,
        }

    @property
    def made_with(self) -> dict[str, str]:
        """What the last bit of every figure depends on beside the run: torch, the device and, on a CPU, its threads."""
        threads = torch.get_num_threads()
        cpu = f"CPU ({threads} thread{'s'[: threads > 1]})"
        return {
            "torch": f"torch {torch.__version__}",
            "device": cpu if self.device.type == "cpu" else self.device.type.upper(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint's content. Raises CheckpointError when it does not fit the configuration."""
        try:
            self.generator.load_state_dict(content["generator"])
            self.discriminator.load_state_dict(content["discriminator"])
            if self.ema is not None:
                self.ema.load_state_dict(content["ema"] or content["generator"])
            self.optimizer_g.load_state_dict(content["optimizer_g"])
            self.optimizer_d.load_state_dict(content["optimizer_d"])
            self.augment_p = content["augment_p"].to(self.device)
            self.figures = {name: value.to(self.device) for name, value in content["figures"].items()}
            self.gate = GateState(**content["gate"])
            self.memory = copy.deepcopy(content.get("memory", {}))
            for name in ("images", "step", "phase", "salt", "lr_scale", "lr_scale_until", "micro_batch"):
                setattr(self, name, content[name])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            first = str(error).strip().split("\n")[0]
            raise CheckpointError(f"the checkpoint does not fit the run's configuration ({first})") from None


def _adam(network: nn.Module, config: RunConfig) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=0.0, betas=config.optimizer.betas, eps=config.optimizer.eps)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
