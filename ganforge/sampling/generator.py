"""The one way to a trained generator, and the one way to pixels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganforge import checkpoint
from ganforge.config import RunConfig
from ganforge.errors import CheckpointError, ConfigError
from ganforge.images import to_uint8
from ganforge.networks import Generator as Network
from ganforge.networks import build_generator
from ganforge.networks.statistics import batch_normalized, standing_statistics

SETTLING = 1024  # pictures that standing statistics are measured over


@dataclass
class Generator:
    """A network ready to draw, with what a user needs to know about it.

    `images`: real pictures shown in its training; `ema`: whether it is the average; `standing`: whether batch
    normalization's statistics were measured anew.
    """

    network: Network
    config: RunConfig
    images: int
    ema: bool
    device: torch.device
    source: str = ""
    standing: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; empty for an unconditional network."""
        count = self.config.network.classes
        names = self.config.data.classes
        return names if len(names) == count else tuple(str(index) for index in range(count))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures it draws now."""
        with torch.no_grad():
            labels = self.labels([0]) if self.classes else None
            return tuple(self.network(self.latents([0]).to(self.device), labels).shape[2:])

    def latents(self, seeds: Sequence[int], truncation: float | None = None) -> Tensor:
        """Latents (n, latent), one seed at a time: seed 7 is the same picture in a grid, in a walk and alone.

        `truncation` t > 0 draws from N(0, 1) cut off at +-t (Brock et al. 2019, section 3.1).
        """
        size = self.config.network.latent
        rows = [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        latents = torch.stack(rows) if rows else torch.empty(0, size)
        if truncation is None:
            return latents
        if truncation <= 0:
            raise ConfigError(f"--truncation {truncation:g}: must be over 0, as 0.7")
        # The same quantile of the truncated normal: a monotone map, so a seed keeps its character.
        bound = math.erf(truncation / math.sqrt(2))
        quantile = torch.erf(latents.double() / math.sqrt(2)) * bound
        return (torch.erfinv(quantile) * math.sqrt(2)).float()

    def labels(self, names: Sequence[int | str]) -> Tensor:
        """Class names or numbers as int64 (n,). Raises ConfigError for one that is not there."""
        known = self.classes
        indices = []
        for name in names:
            if name in known:
                indices.append(known.index(str(name)))
            elif str(name).isdigit() and int(name) < len(known):
                indices.append(int(name))
            else:
                raise ConfigError(f"class {name!r}: this generator's are {', '.join(known) or 'none (unconditional)'}")
        return torch.tensor(indices, dtype=torch.int64, device=self.device)

    @torch.no_grad()
    def render(self, latents: Tensor, labels: Tensor | None = None, batch: int = 64) -> npt.NDArray[np.uint8]:
        """Pictures uint8 (N, H, W, C) of latents (N, latent); labels as the network takes them.

        Without labels a conditional network draws its classes in turn.
        """
        if self.config.network.classes and labels is None:
            labels = torch.arange(len(latents), device=self.device) % self.config.network.classes
        training = self.network.training
        self.network.eval()
        pieces = []
        for start in range(0, len(latents), batch):
            here = None if labels is None else labels[start : start + batch].to(self.device)
            images = self.network(latents[start : start + batch].to(self.device), here)
            pieces.append(to_uint8(images.float()))
        self.network.train(training)
        return np.concatenate(pieces)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. Raises ConfigError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device {name}: not a device; write auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; try --device cpu"
        )
    return device


def find_generator(what: str | None, root: Path = Path("runs")) -> tuple[Path, str]:
    """The checkpoint or exported generator that `what` names (a file, or a run's newest checkpoint), and a sentence."""
    if what is not None and Path(what).is_file():
        return Path(what), f"generator {what}"
    run, sentence = checkpoint.find_run(what, root)
    path, _, damaged = checkpoint.newest(run)
    return path, "; ".join([f"{sentence}, {path.name}", *damaged])


def run_checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints, oldest first."""
    return checkpoint.list_checkpoints(run)


def load_generator(path: Path, *, device: str = "auto", live: bool = False, standing: bool = False) -> Generator:
    """The generator in a checkpoint (`.pt`) or an exported file (`.safetensors`): the average, or the `live` one.

    `standing` measures the mean and variance of batch normalization anew for these very weights, instead of the running
    ones that training left. Raises CheckpointError, one line, for any file that holds no generator, ConfigError for
    `standing` without batch normalization.
    """
    place = choose_device(device)
    content = _exported(path) if path.suffix == ".safetensors" else checkpoint.read(path)
    try:
        config = RunConfig.parse(content["config"], str(path))
        average = content.get("ema")
        weights = content["generator"] if live or average is None else average
        network = build_generator(config.network)
        network.load_state_dict(weights)
        images = int(content["images"])
    except (KeyError, TypeError, RuntimeError, ConfigError) as error:
        first = str(error).strip().split("\n")[0]
        raise CheckpointError(f"{path}: holds no generator this ganforge can build ({first})") from None
    network.to(place).eval().requires_grad_(False)
    generator = Generator(network, config, images, average is not None and not live, place, str(path), standing)
    if standing:
        if not batch_normalized(network):
            raise ConfigError(f"--standing: {path} has no batch normalization; leave it out")
        standing_statistics(network, _settling(generator))
    return generator


def _settling(generator: Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Latents and labels, the classes in turn, to measure statistics over: always the same ones."""
    classes = generator.config.network.classes
    for start in range(0, SETTLING, 64):
        seeds = range(-1 - start, -65 - start, -1)  # no seed that anybody's picture has
        labels = torch.arange(start, start + 64, device=generator.device) % classes if classes else None
        yield generator.latents(seeds).to(generator.device), labels


def _exported(path: Path) -> dict[str, Any]:
    """An exported generator's content in a checkpoint's form."""
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = (file.metadata() or {}).get("ganforge")
            if about is None:
                raise CheckpointError(f"{path}: not exported by ganforge (no configuration in it)")
            content: dict[str, Any] = json.loads(about)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: not a safetensors file that can be read ({error})") from None
    return {**content, "generator": weights, "ema": weights if content.get("ema") else None}
