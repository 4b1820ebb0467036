from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge import checkpoint
from ganforge.config import DCGANConfig
from ganforge.errors import CheckpointError, ConfigError
from ganforge.sampling.generator import Generator, load_generator
from ganforge.schedule import Phase
from ganforge.training.state import TrainState
from toy import NETWORKS, toy_config


def saved(path: Path, arch: str = "dcgan", classes: int = 0) -> Path:
    """A checkpoint of fresh networks."""
    network = NETWORKS[arch].model_copy(update={"classes": classes})
    phases = (Phase(resolution=16, length="64img", batch=8, lr_g=1e-3, lr_d=1e-3),)
    changes = {} if arch == "pggan" else {"phases": phases}
    state = TrainState.create(toy_config(network=network, **changes), torch.device("cpu"))
    checkpoint.write(path, state.content())
    return path


def test_a_seed_is_the_same_picture_alone_and_among_others(tmp_path: Path) -> None:
    generator = load_generator(saved(tmp_path / "a.pt"), device="cpu")
    alone, among = generator.latents([7]), generator.latents([3, 7, 11])
    assert torch.equal(alone[0], among[1])
    assert np.abs(generator.render(alone)[0].astype(int) - generator.render(among, batch=2)[1]).max() <= 1


def test_truncated_latents_stay_within_the_bound_and_keep_their_sign(tmp_path: Path) -> None:
    generator = load_generator(saved(tmp_path / "a.pt"), device="cpu")
    whole, cut = generator.latents(range(50)), generator.latents(range(50), 0.7)
    assert cut.abs().max() <= 0.7
    assert torch.equal(whole.sign(), cut.sign())
    with pytest.raises(ConfigError, match="must be over 0"):
        generator.latents([0], 0)


@pytest.mark.parametrize("classes", [0, 3])
def test_standing_statistics_belong_to_the_weights_that_are_drawn_from(tmp_path: Path, classes: int) -> None:
    path = saved(tmp_path / "a.pt", "sagan", classes)
    running, standing = load_generator(path, device="cpu"), load_generator(path, device="cpu", standing=True)
    again = load_generator(path, device="cpu", standing=True)
    assert (running.standing, standing.standing) == (False, True)

    def spreads(generator: Generator) -> torch.Tensor:
        """The standard deviation of each channel that leaves the first normalization, before its gain."""
        seen: list[torch.Tensor] = []
        norm = next(layer for layer in generator.network.modules() if isinstance(layer, torch.nn.BatchNorm2d))
        hook = norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        generator.render(generator.latents(range(256)), batch=256)
        hook.remove()
        return seen[0].std((0, 2, 3)) / (1 if norm.weight is None else norm.weight)

    assert ((spreads(standing) - 1).abs() < 0.2).all()
    assert not ((spreads(running) - 1).abs() < 0.2).all()
    assert np.array_equal(standing.render(standing.latents([1])), again.render(again.latents([1])))


def test_standing_without_batch_normalization_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no batch normalization; leave it out"):
        load_generator(saved(tmp_path / "a.pt", "pggan"), device="cpu", standing=True)


def test_a_file_without_a_generator_is_one_line(tmp_path: Path) -> None:
    content = checkpoint.read(saved(tmp_path / "a.pt"))
    content["config"]["network"] = DCGANConfig(resolution=32, latent=9).model_dump(mode="json")
    checkpoint.write(tmp_path / "b.pt", content)
    with pytest.raises(CheckpointError, match=r"b\.pt: holds no generator") as caught:
        load_generator(tmp_path / "b.pt", device="cpu")
    assert "\n" not in str(caught.value)
