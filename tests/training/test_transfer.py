import torch

from ganforge.training.state import TrainState
from ganforge.training.transfer import adopt
from toy import PGGAN, toy_config

CPU = torch.device("cpu")


def test_the_same_networks_are_taken_whole() -> None:
    old, new = TrainState.create(toy_config(), CPU), TrainState.create(toy_config(seed=1), CPU)
    taken, there = adopt(new, old.content())
    assert taken == there
    assert old.ema is not None
    for name, tensor in old.ema.state_dict().items():
        assert torch.equal(new.generator.state_dict()[name], tensor)
    for name, tensor in old.discriminator.state_dict().items():
        assert torch.equal(new.discriminator.state_dict()[name], tensor)


def test_new_levels_and_classes_stay_fresh_and_the_rest_is_taken() -> None:
    small = toy_config(network=PGGAN.model_copy(update={"resolution": 8, "classes": 2}), phases=toy_config().phases[:2])
    large = toy_config(network=PGGAN.model_copy(update={"classes": 3}), seed=1)
    old, new = TrainState.create(small, CPU), TrainState.create(large, CPU)
    before = {name: tensor.clone() for name, tensor in new.generator.state_dict().items()}
    taken, there = adopt(new, old.content())
    assert 0 < taken < there
    after, source = new.generator.state_dict(), old.content()["ema"]
    assert torch.equal(after["blocks.0.first.weight"], source["blocks.0.first.weight"])
    assert torch.equal(after["blocks.1.first.weight"], before["blocks.1.first.weight"])
    assert torch.equal(after["classes"], before["classes"])
