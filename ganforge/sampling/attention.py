"""Pictures of where a SAGAN's generator looks, after figure 5 of Zhang et al. 2019 (arXiv 1805.08318)."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import ConfigError
from ganforge.images import Pictures, enlarge, grid, over_checkerboard
from ganforge.networks.sagan import SAGANGenerator
from ganforge.sampling.generator import Generator

COLOURS: Final = ((235, 60, 50), (40, 160, 70), (50, 110, 235), (240, 160, 20), (170, 70, 200), (20, 180, 190))
_SIDE: Final = 96
_DIMMED: Final = 0.35


def attention_sheet(
    generator: Generator,
    latents: Tensor,
    labels: Tensor | None = None,
    *,
    points: int = 5,
    resolution: int | None = None,
) -> Image.Image:
    """One row a picture: the picture with its query points, then for each point where it looks.

    The points are chosen for each picture so that they look at different things: the middle first, then always the
    place whose map is farthest from those of all points before it. A map is drawn in its point's colour over the dimmed
    picture, its own maximum brightest.

    Args:
        generator: of a SAGAN with self-attention.
        latents: (N, latent).
        labels: as the network takes them; without them a conditional network draws its classes in turn.
        points: query points a picture, 1 to 6.
        resolution: of the attention layer to look into, shorter side in pixels; else its largest.

    Raises:
        ConfigError: a network without self-attention, or none at that resolution, or a count of points out of range.
    """
    if not 1 <= points <= len(COLOURS):
        raise ConfigError(f"--attention: {points} query points; choose 1 to {len(COLOURS)}")
    if generator.config.network.classes and labels is None:
        labels = torch.arange(len(latents), device=generator.device) % generator.config.network.classes
    maps = attention_maps(generator, latents, labels, resolution)
    pictures = _coloured(generator.render(latents, labels))
    factor = math.ceil(_SIDE / min(pictures.shape[1:3]))
    cells = []
    for picture, looks in zip(enlarge(pictures, factor), maps, strict=True):
        chosen = _varied(looks, points)
        cells.append(_marked(picture, chosen, looks.shape[:2]))
        cells += [_seen(picture, looks, place, COLOURS[index]) for index, place in enumerate(chosen)]
    return grid(np.stack(cells), columns=points + 1, scale=1)


@torch.no_grad()
def attention_maps(
    generator: Generator, latents: Tensor, labels: Tensor | None = None, resolution: int | None = None
) -> npt.NDArray[np.float32]:
    """Where each place of the attention layer looks: (N, H, W, h, w); each place's map over h x w sums to 1.

    H x W is the layer's grid, h x w half of it (keys are pooled). Raises ConfigError as `attention_sheet`.
    """
    network = generator.network
    places = sorted(generator.config.network.attention("g")) if isinstance(network, SAGANGenerator) else []  # type: ignore[union-attr]
    if not isinstance(network, SAGANGenerator) or not places:
        raise ConfigError("--attention: this generator has no self-attention; train one with --arch sagan")
    if resolution is not None and resolution not in places:
        raise ConfigError(f"--attention {resolution}: this generator attends at {', '.join(map(str, places))}")
    side = resolution or places[-1]
    training = network.training
    network.eval()
    found = network.attention_maps(latents.to(generator.device), labels)[side].float().cpu()
    network.train(training)
    base = generator.config.network.base
    height, width = base[0] * side // min(base), base[1] * side // min(base)
    maps: npt.NDArray[np.float32] = found.reshape(len(latents), height, width, *found.shape[2:]).numpy()
    return maps


Place = tuple[int, int]


def _varied(looks: npt.NDArray[np.float32], points: int) -> list[Place]:
    """Places (row, column) whose maps differ most, the middle first; looks is (H, W, h, w)."""
    height, width = looks.shape[:2]
    rows = looks.reshape(height * width, -1)
    chosen = [height // 2 * width + width // 2]
    distance = np.full(len(rows), np.inf)
    for _ in range(points - 1):
        distance = np.minimum(distance, np.abs(rows - rows[chosen[-1]]).sum(axis=1))
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return [divmod(place, width) for place in chosen]


def _coloured(pictures: Pictures) -> Pictures:
    """Any pictures as RGB."""
    if pictures.shape[3] == 4:
        return over_checkerboard(pictures)
    return np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures


def _marked(picture: Pictures, places: list[Place], size: tuple[int, ...]) -> Pictures:
    image = Image.fromarray(picture)
    for place, colour in zip(places, COLOURS, strict=False):
        _dot(image, place, size, colour)
    return np.asarray(image)


def _seen(picture: Pictures, looks: npt.NDArray[np.float32], place: Place, colour: tuple[int, int, int]) -> Pictures:
    """The dimmed picture, lit in `colour` where the place looks."""
    look = torch.from_numpy(looks[place])[None, None]
    wide = F.interpolate(look, size=picture.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    light = (wide / wide.max().clamp(min=1e-12)).numpy()[..., None]
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2) * _DIMMED
    image = Image.fromarray(np.rint(grey * (1 - light) + np.asarray(colour) * light).astype(np.uint8))
    _dot(image, place, looks.shape[:2], colour)
    return np.asarray(image)


def _dot(image: Image.Image, place: Place, size: tuple[int, ...], colour: tuple[int, int, int]) -> None:
    x, y = (place[1] + 0.5) * image.width / size[1], (place[0] + 0.5) * image.height / size[0]
    radius = max(min(image.size) / 24, 2)
    ImageDraw.Draw(image).ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white", width=max(int(radius / 3), 1)
    )
