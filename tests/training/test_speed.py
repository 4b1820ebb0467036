import pytest
import torch

from ganforge.training import speed
from ganforge.training.speed import Cost, measure, seconds_left
from toy import toy_config, toy_schedule

CPU = torch.device("cpu")


def test_every_phase_is_timed_within_the_budget() -> None:
    config = toy_config()
    costs = measure(config, toy_schedule(config), CPU, budget=60)
    assert [cost.measured for cost in costs] == [True, True, True]
    assert all(0 < cost.seconds < 1 for cost in costs)


def test_beyond_the_budget_costs_grow_with_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_seconds_an_image", lambda *_: 2.0)
    config = toy_config()
    assert measure(config, toy_schedule(config), CPU, budget=0) == [Cost(2, True), Cost(8, False), Cost(32, False)]


def test_what_is_left_is_the_rest_of_this_phase_and_the_later_ones() -> None:
    schedule = toy_schedule(toy_config())  # 32, 64 and 64 images
    costs = [Cost(1, True), Cost(2, True), Cost(3, True)]
    assert seconds_left(schedule, costs, 0) == 32 + 128 + 192
    assert seconds_left(schedule, costs, 64) == 64 + 192
    assert seconds_left(schedule, costs, 160) == 0
