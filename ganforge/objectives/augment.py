"""Differentiable augmentation of all that the discriminator sees, for small sets of pictures.

DiffAugment (Zhao et al. 2020, arXiv 2006.10738): colour, translation, cutout. Each transformation is applied to each
picture with probability p; with p adapted in the run it is the idea of ADA (Karras et al. 2020, arXiv 2006.06676).
All random numbers come from the caller's generator, so that a step is a function of its seed.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge.errors import ConfigError, unknown

Draw = Callable[..., Tensor]


def _brightness_saturation_contrast(images: Tensor, draw: Draw, apply: Tensor) -> Tensor:
    """Brightness +-0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; an alpha channel is left alone."""
    colours = images[:, :3] if images.shape[1] == 4 else images
    strength = apply.to(images.dtype)
    colours = colours + (draw(len(images), 1, 1, 1) - 0.5) * strength
    mean = colours.mean(dim=1, keepdim=True)
    colours = torch.lerp(mean, colours, 1 + (draw(len(images), 1, 1, 1) * 2 - 1) * strength)
    mean = colours.mean(dim=(1, 2, 3), keepdim=True)
    colours = torch.lerp(mean, colours, 1 + (draw(len(images), 1, 1, 1) - 0.5) * strength)
    return torch.cat([colours, images[:, 3:]], dim=1) if images.shape[1] == 4 else colours


def _translation(images: Tensor, draw: Draw, apply: Tensor) -> Tensor:
    """Shifted by whole pixels, up to an eighth of each side; what comes in is mid-grey (0)."""
    count, _, height, width = images.shape
    reach = torch.tensor([height, width]) // 8
    if int(reach.max()) == 0:
        return images
    top, left = (int(value) for value in reach)
    padded = F.pad(images, (left, left, top, top))
    offset = apply.reshape(-1)
    dy = torch.where(offset, (draw(count) * (2 * top + 1)).long().clamp(max=2 * top), top)
    dx = torch.where(offset, (draw(count) * (2 * left + 1)).long().clamp(max=2 * left), left)
    rows = dy[:, None, None] + torch.arange(height, device=images.device)[None, :, None]
    columns = dx[:, None, None] + torch.arange(width, device=images.device)[None, None, :]
    index = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows, columns].permute(0, 3, 1, 2)


def _cutout(images: Tensor, draw: Draw, apply: Tensor) -> Tensor:
    """A square of half of each side set to mid-grey (0), its centre anywhere in the picture."""
    count, _, height, width = images.shape
    cy, cx = draw(count, 1, 1, 1) * height, draw(count, 1, 1, 1) * width
    y = torch.arange(height, device=images.device).reshape(1, 1, -1, 1) + 0.5
    x = torch.arange(width, device=images.device).reshape(1, 1, 1, -1) + 0.5
    inside = ((y - cy).abs() < height / 4) & ((x - cx).abs() < width / 4) & apply
    return images * (~inside).to(images.dtype)


AUGMENTATIONS: dict[str, Callable[[Tensor, Draw, Tensor], Tensor]] = {
    "colour": _brightness_saturation_contrast,
    "translation": _translation,
    "cutout": _cutout,
}


def augment(
    images: Tensor,
    policy: tuple[str, ...],
    p: Tensor | float,
    generator: torch.Generator,
    part: slice | None = None,
    batch: int | None = None,
) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1], each transformation of `policy` applied to each with probability `p`.

    Where they are `part` of a `batch`, numbers are drawn for all of that, so that each picture gets the same ones
    however a batch is divided. Raises ConfigError for a transformation that is not in `AUGMENTATIONS`.
    """

    def draw(*shape: int) -> Tensor:
        if part is None or batch is None:
            return torch.rand(*shape, generator=generator).to(images.device, non_blocking=True)
        return torch.rand(batch, *shape[1:], generator=generator)[part].to(images.device, non_blocking=True)

    for name in policy:
        if name not in AUGMENTATIONS:
            raise ConfigError(unknown("augmentation", name, AUGMENTATIONS))
        apply = draw(len(images), 1, 1, 1) < p
        images = AUGMENTATIONS[name](images, draw, apply)
    return images
