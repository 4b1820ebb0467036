import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.objectives import AUGMENTATIONS, augment


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_probability_0_changes_nothing_and_1_changes_every_picture(name: str, channels: int) -> None:
    images = torch.randn(8, channels, 16, 24)
    assert torch.allclose(augment(images, (name,), 0.0, seeded()), images, atol=1e-6)
    changed = augment(images, (name,), 1.0, seeded())
    assert changed.shape == images.shape
    same = [torch.allclose(before, after, atol=1e-6) for before, after in zip(images, changed, strict=True)]
    assert sum(same) <= 1  # a translation by 0 is a translation too


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_reach_the_picture(name: str) -> None:
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(augment(images, (name,), 1.0, seeded()).square().sum(), images)
    assert gradient.abs().sum() > 0


def test_the_same_generator_gives_the_same_pictures() -> None:
    images, policy = torch.randn(4, 3, 16, 16), tuple(AUGMENTATIONS)
    assert torch.equal(augment(images, policy, 0.5, seeded()), augment(images, policy, 0.5, seeded()))


def test_translation_moves_whole_pixels_and_fills_with_grey() -> None:
    images = torch.ones(64, 1, 16, 16)
    moved = augment(images, ("translation",), 1.0, seeded())
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert ((moved == 0).sum(dim=(1, 2, 3)) <= 16 * 16 - 14 * 14).all()


def test_an_unknown_augmentation_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: colour, cutout, translation"):
        augment(torch.zeros(1, 3, 8, 8), ("color",), 1.0, seeded())
