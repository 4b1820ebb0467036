import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganforge.evaluation.path_length import EPSILON, path_lengths, slerp


class Turning(nn.Module):
    """The latent's angle as the brightness of two halves, so that features turn with it `speed` times."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed = speed

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        angle = self.speed * torch.atan2(latents[:, 1], latents[:, 0])
        return torch.stack([angle.cos(), angle.sin()], dim=1)[:, None, :, None]


class Generator:
    classes: tuple[str, ...] = ()

    def __init__(self, speed: float) -> None:
        self.network = Turning(speed)

    def latents(self, seeds: list[int]) -> Tensor:
        return torch.stack([torch.randn(2, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


class Plain:
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return (pictures / 127.5 - 1).flatten(1), pictures


def test_slerp_goes_from_one_to_the_other_on_the_sphere() -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    for place, expected in ((0.0, [3.0, 0.0]), (0.5, [3 / math.sqrt(2)] * 2), (1.0, [0.0, 3.0])):
        assert slerp(a, b, torch.tensor([[place]]))[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_length_is_the_square_of_the_speed(cpu: torch.device) -> None:
    extractor: Any = Plain()
    slow, fast = (path_lengths(Generator(speed), extractor, 100, cpu).mean() for speed in (1.0, 3.0))
    assert fast == pytest.approx(9 * slow, rel=1e-2)


def test_length_is_the_angle_between_the_latents(cpu: torch.device) -> None:
    generator, extractor = Generator(1.0), Plain()
    lengths = path_lengths(generator, extractor, 1, cpu)  # type: ignore[arg-type]
    a, b = generator.latents([0, 1])
    angle = math.acos(float(torch.nn.functional.cosine_similarity(a, b, dim=0)))
    assert lengths[0] == pytest.approx((2 * math.sin(angle * EPSILON / 2) / EPSILON) ** 2, rel=1e-3)


def test_the_lowest_and_highest_hundredth_are_left_out(cpu: torch.device) -> None:
    extractor: Any = Plain()
    assert len(path_lengths(Generator(1.0), extractor, 200, cpu)) == 196
    assert np.isfinite(path_lengths(Generator(1.0), extractor, 200, cpu)).all()
