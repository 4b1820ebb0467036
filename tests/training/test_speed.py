import pytest
import torch

from ganforge.config import ObjectiveConfig
from ganforge.training import speed
from ganforge.training.speed import Cost, measure, seconds_left
from ganforge.training.state import TrainState
from toy import toy_config, toy_schedule

CPU = torch.device("cpu")


def test_every_phase_is_timed_within_the_budget() -> None:
    config = toy_config()
    costs = measure(config, toy_schedule(config), CPU, budget=60)
    assert [cost.measured for cost in costs] == [True, True, True]
    assert all(0 < cost.seconds < 1 for cost in costs)


def test_lazy_penalties_count_as_often_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 8 images that take 1 s, and 5 s where a penalty comes, every fourth time: 2 s on average."""
    clock = [0.0]

    def step(state: TrainState, *_: object) -> None:
        clock[0] += 5 if state.step % 4 == 0 else 1
        state.step, state.images = state.step + 1, state.images + 8

    monkeypatch.setattr(speed, "train_step", step)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    config = toy_config(objective=ObjectiveConfig(loss="non-saturating", r1=1, every=4))
    assert measure(config, toy_schedule(config), CPU, budget=1e9) == [Cost(2 / 8, True)] * 3


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
