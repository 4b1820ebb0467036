"""Claims about standing statistics."""

import pytest
import torch

from ganforge.config import DCGANConfig, PGGANConfig, SAGANConfig
from ganforge.networks import build_generator
from ganforge.networks.statistics import batch_normalized, standing_statistics

SAGAN = SAGANConfig(resolution=8, width_g=4, width_d=4, latent=8, classes=3)


def _batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(5)
    return [(torch.randn(6, 8), torch.randint(3, (6,))) for _ in range(count)]


def test_statistics_are_the_plain_average_over_the_batches() -> None:
    torch.manual_seed(0)
    generator = build_generator(SAGAN)
    norm = generator.blocks[0].norm1.norm
    inputs: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    standing_statistics(generator, _batches(3))
    hook.remove()
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0))


def test_pictures_no_longer_depend_on_what_was_averaged_before() -> None:
    torch.manual_seed(0)
    generator = build_generator(SAGAN)
    latents, labels = _batches(1)[0]
    standing_statistics(generator, _batches(2))
    first = generator.eval()(latents, labels)
    for layer in generator.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.add_(1.0)
    assert not torch.allclose(generator(latents, labels), first)
    standing_statistics(generator, _batches(2))
    torch.testing.assert_close(generator(latents, labels), first)


@pytest.mark.parametrize("training", [True, False])
def test_modes_momenta_and_singular_vectors_are_left_as_they_were(training: bool) -> None:
    generator = build_generator(SAGAN).train(training)
    with torch.no_grad():
        generator.dense.weight.add_(0.1)
    vectors = generator.dense.u.clone()
    standing_statistics(generator, _batches(2))
    assert torch.equal(generator.dense.u, vectors)
    assert all(module.training == training for module in generator.modules())
    assert generator.norm.momentum == 0.1


def test_no_batch_changes_nothing() -> None:
    generator = build_generator(SAGAN)
    generator(*_batches(1)[0])
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    standing_statistics(generator, [])
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_only_batch_normalized_networks_are_named_so() -> None:
    assert batch_normalized(build_generator(SAGAN))
    assert batch_normalized(build_generator(DCGANConfig(resolution=8, width_g=4, width_d=4)))
    assert not batch_normalized(build_generator(PGGANConfig(resolution=8, fmap_max=4)))
