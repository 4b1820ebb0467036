"""Ways through the space of latents, and from class to class, as even steps: what an interpolation shows.

Keys are the latents of chosen seeds, each drawn from N(0, I). A generator has only ever seen such latents, so a way
that leaves their shell (of radius about sqrt(latent)) shows pictures that are duller than the generator can do: the
straight line between two keys dips to 0.71 of the radius. Each curve here stays on the shell in its own manner.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor

from ganforge.errors import ConfigError, unknown

Curve: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From float64 keys (K + 1, latent) and places (F,), each in [0, K], to points (F, latent); place k is key k."""

Ease: TypeAlias = Callable[[Tensor], Tensor]
"""From shares of time to shares of length, both in [0, 1]."""

_FINE: Final = 64
"""Points a segment at which a curve's length is measured."""


def slerp(keys: Tensor, places: Tensor) -> Tensor:
    """Great arcs: the direction turns evenly, and the norm goes linearly from one key's to the next one's.

    Shoemake 1985, "Animating rotation with quaternion curves"; for latents White 2016, "Sampling generative networks",
    section 2.1. Between opposite keys, where the arc is not unique, a fixed one is taken.
    """
    segment, share = _split(keys, places)
    norms = keys.norm(dim=1, keepdim=True)
    units = keys / norms.clamp_min(1e-12)
    units = torch.where(norms > 1e-12, units, _fallback(units))
    start, end = units[:-1], units[1:]
    cosine = (start * end).sum(dim=1, keepdim=True)
    across = end - cosine * start
    sine = across.norm(dim=1, keepdim=True)
    angle = torch.atan2(sine, cosine)[segment] * share
    across = torch.where(sine > 1e-6, across / sine.clamp_min(1e-12), _perpendicular(start))
    direction = torch.cos(angle) * start[segment] + torch.sin(angle) * across[segment]
    return direction * torch.lerp(norms[:-1][segment], norms[1:][segment], share)


def lerp(keys: Tensor, places: Tensor) -> Tensor:
    """Straight lines, corrected: (1 - t) a + t b divided by sqrt((1 - t)^2 + t^2).

    Without the divisor the variance of a point would fall to a half in the middle; with it each point of the way
    between two independent draws from N(0, I) is itself distributed as N(0, I).
    """
    segment, share = _split(keys, places)
    return torch.lerp(keys[:-1][segment], keys[1:][segment], share) / torch.sqrt((1 - share) ** 2 + share**2)


EASINGS: Final[dict[str, Ease]] = {
    "even": lambda share: share,
    "smooth": lambda share: share * share * (3 - 2 * share),
}
"""How the share of a segment's length that has been walked depends on the share of its time; `smooth` rests at keys."""


def walk(latents: Tensor, frames: int, curve: str = "slerp", loop: bool = True, easing: str = "even") -> Tensor:
    """A latent for each frame of a walk from key to key.

    Args:
        latents: (K, latent), the keys; at least 2, or 1 for `noise`.
        frames: how many; at least 1.
        curve: a name in `CURVES`.
        loop: go back to the first key at the end; the frame after the last one is then the first one, and is left out.
        easing: a name in `EASINGS`.

    Returns:
        (frames, latent) in the dtype and on the device of `latents`, evenly spread along the whole curve's length.

    Raises:
        ConfigError: an unknown curve or easing, no frame, or too few keys.
    """
    if curve not in CURVES:
        raise ConfigError(unknown("curve", curve, CURVES))
    if easing not in EASINGS:
        raise ConfigError(unknown("easing", easing, EASINGS))
    if frames < 1:
        raise ConfigError(f"a walk of {frames} frames: --frames must be at least 1")
    points = CURVES[curve](latents.detach().double().cpu(), frames, loop, EASINGS[easing])
    return points.to(latents.dtype).to(latents.device)


def _slerp_walk(keys: Tensor, frames: int, loop: bool, ease: Ease) -> Tensor:
    return _through(keys, slerp, frames, loop, ease)


def _lerp_walk(keys: Tensor, frames: int, loop: bool, ease: Ease) -> Tensor:
    return _through(keys, lerp, frames, loop, ease)


def _through(keys: Tensor, curve: Curve, frames: int, loop: bool, ease: Ease) -> Tensor:
    if len(keys) < 2:
        raise ConfigError("a walk goes from one latent to another: give at least two seeds, as --seeds 0,1")
    keys = torch.cat([keys, keys[:1]]) if loop else keys
    return curve(keys, _even_places(keys, curve, frames, loop, ease))


def _noise_walk(keys: Tensor, frames: int, loop: bool, ease: Ease) -> Tensor:
    """A smooth random way, the same for the same keys: a stationary Gaussian process.

    Each coordinate is a sum of H sinusoids with N(0, 1) amplitudes over sqrt(H), so that every point is distributed as
    N(0, I) and the speed is about the same all along; whole periods close the loop without a seam. H grows with the
    number of keys such that the way is about as long as a slerp through them. A walk that does not loop is half of a
    loop twice as lively. There are no keys to rest at, so `ease` plays no part.
    """
    digest = hashlib.sha256(keys.to(torch.float32).contiguous().numpy().tobytes()).digest()
    chance = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    harmonics = max(2, math.ceil(0.43 * len(keys))) * (1 if loop else 2)
    amplitudes = torch.randn(2 * harmonics, keys.shape[1], generator=chance, dtype=torch.float64)
    times = _shares(frames, loop) * (1.0 if loop else 0.5)
    angles = 2 * math.pi * times[:, None] * torch.arange(1, harmonics + 1, dtype=torch.float64)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=1) @ amplitudes / math.sqrt(harmonics)


CURVES: Final[dict[str, Callable[[Tensor, int, bool, Ease], Tensor]]] = {
    "slerp": _slerp_walk,
    "lerp": _lerp_walk,
    "noise": _noise_walk,
}
"""Walks by name, from float64 keys (K, latent), frames, loop and easing to points (frames, latent)."""


def class_walk(classes: Sequence[int], frames: int, loop: bool = True, *, total: int, easing: str = "even") -> Tensor:
    """Class weights for each frame of a walk from class to class, for generators that blend embeddings.

    Args:
        classes: class indices to pass, in order; one class alone stays.
        frames: how many; at least 1.
        loop: go back to the first class at the end, as in `walk`.
        total: how many classes there are.
        easing: a name in `EASINGS`.

    Returns:
        float32 (frames, total), each row at least 0 and with sum 1, of which at most two classes in a row are not 0.

    Raises:
        ConfigError: a class that is not there, none at all, or an unknown easing.
    """
    if easing not in EASINGS:
        raise ConfigError(unknown("easing", easing, EASINGS))
    if not classes or not all(0 <= number < total for number in classes):
        raise ConfigError(f"classes {list(classes)}: a class walk needs numbers from 0 to {total - 1}")
    keys = torch.eye(total, dtype=torch.float64)[list(classes)]
    keys = torch.cat([keys, keys[:1]]) if loop or len(classes) == 1 else keys
    segment, share = _split(keys, _shares(frames, loop) * (len(keys) - 1))
    share = EASINGS[easing](share)
    return torch.lerp(keys[:-1][segment], keys[1:][segment], share).float()


def _shares(frames: int, loop: bool) -> Tensor:
    """Each frame's share of the whole way: from 0 up to 1, which a loop leaves out because it is 0 again."""
    return torch.arange(frames, dtype=torch.float64) / (frames if loop else max(1, frames - 1))


def _split(keys: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """The segment of each place (F,), and how far along it the place is (F, 1)."""
    segment = places.long().clamp(0, len(keys) - 2)
    return segment, (places - segment)[:, None]


def _even_places(keys: Tensor, curve: Curve, frames: int, loop: bool, ease: Ease) -> Tensor:
    """Places (frames,) that are evenly spread along the curve's length."""
    fine = torch.linspace(0, len(keys) - 1, _FINE * (len(keys) - 1) + 1, dtype=torch.float64)
    steps = curve(keys, fine).diff(dim=0).norm(dim=1)
    # Identical keys make a segment without length, and dividing by it no sense: it is given a length nobody sees.
    length = torch.cat([torch.zeros(1, dtype=torch.float64), torch.cumsum(steps + 1e-9 * (1 + steps.max()), dim=0)])
    ends = length[::_FINE].contiguous()
    walked = _shares(frames, loop) * length[-1]
    segment = (torch.searchsorted(ends, walked, right=True) - 1).clamp(0, len(ends) - 2)
    span = ends[segment + 1] - ends[segment]
    walked = ends[segment] + span * ease((walked - ends[segment]) / span)
    right = torch.searchsorted(length, walked, right=True).clamp(1, len(length) - 1)
    share = (walked - length[right - 1]) / (length[right] - length[right - 1])
    return torch.lerp(fine[right - 1], fine[right], share.clamp(0, 1))


def _fallback(like: Tensor) -> Tensor:
    """A unit vector for keys that have no direction."""
    first = torch.zeros_like(like)
    first[:, 0] = 1
    return first


def _perpendicular(units: Tensor) -> Tensor:
    """A unit vector at a right angle to each: the axis that is least along it, made perpendicular."""
    axis = torch.nn.functional.one_hot(units.abs().argmin(dim=1), units.shape[1]).to(units.dtype)
    across = axis - (axis * units).sum(dim=1, keepdim=True) * units
    lengths: Tensor = across.norm(dim=1, keepdim=True)
    return across / lengths.clamp_min(1e-12)
