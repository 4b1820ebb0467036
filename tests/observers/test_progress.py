import io
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

from ganforge.config import Gate, UpdatesConfig
from ganforge.data.dataset import Dataset
from ganforge.observers.base import Session, observe
from ganforge.observers.progress import Progress
from ganforge.training.loop import train
from ganforge.training.speed import Cost
from ganforge.training.state import TrainState
from toy import Toy, toy_config, toy_schedule


def shown(terminal: bool, dataset: Dataset, **changes: object) -> str:
    """What a whole toy run shows."""
    config = toy_config(**changes)
    state, schedule = TrainState.create(config, torch.device("cpu")), toy_schedule(config)
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, height=40)
    session = Session(Path("runs/0001-toy"), config, state, schedule, dataset)
    for _ in observe(train(state, Toy(), schedule), [Progress(session, [Cost(0.001, True)] * 3, console)]):
        pass
    return out.getvalue()


@pytest.fixture
def dataset() -> Dataset:
    """Progress never looks at the pictures."""
    return object.__new__(Dataset)


def test_plain_lines_say_phase_alpha_losses_speed_and_time_left(dataset: Dataset) -> None:
    lines = shown(False, dataset).splitlines()
    assert len(lines) >= 3
    assert "8x8 fading  alpha 0.00" in lines[1]
    assert all(part in lines[-1] for part in ("16x16 stable", "alpha 1.00", "loss/d", "loss/g", "penalty/gradient"))
    assert all(part in lines[-1] for part in ("img/s", "elapsed", "left 0s", "0.2/0.2 kimg"))


def test_the_live_display_has_a_row_a_group_of_figures(dataset: Dataset) -> None:
    text = shown(True, dataset)
    for part in ("16x16 stable", "alpha 1.000", "accuracy", "loss", "penalty", "score", "images/s", "left", "batch 8"):
        assert part in text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_ratio_of_updates_is_shown_where_the_gate_changes_it(terminal: bool, dataset: Dataset) -> None:
    gated = UpdatesConfig(gate=Gate(limit=-100.0, window=2, steps=3))
    assert re.search(r"D:G 1\.[1-9]\d:1", shown(terminal, dataset, updates=gated))
    assert "D:G" not in shown(terminal, dataset)


def test_time_left_is_the_plans_at_first_and_what_is_seen_after_a_few_seconds(dataset: Dataset) -> None:
    config = toy_config()
    state, schedule = TrainState.create(config, torch.device("cpu")), toy_schedule(config)
    session = Session(Path("runs/0001-toy"), config, state, schedule, dataset)
    progress = Progress(session, [Cost(0.01, True)] * 3, Console(file=io.StringIO()))
    report = next(train(state, Toy(), schedule))
    expected = {0.0: 1.0, 2.5: 2.0, 5.0: 3.0, 60.0: 3.0}  # seconds seen at three times the planned ones an image
    for seen, times in expected.items():
        progress.window = [(0.0, 0), (seen, 8)]
        assert progress.left(report, 0.03) == pytest.approx((160 - 8) * 0.01 * times)
