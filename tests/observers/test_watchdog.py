"""What a run's watchdog notices, what it leaves alone, and the way back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganforge import checkpoint
from ganforge.cli.session import recover
from ganforge.errors import TrainingError
from ganforge.observers import Checkpoints, Interval, Session, observe
from ganforge.observers.diversity import Diversity
from ganforge.observers.rollback import roll_back
from ganforge.observers.watchdog import Fall, Trouble, Watchdog
from ganforge.training.loop import StepReport, train
from ganforge.training.state import TrainState
from toy import Toy, toy_config, toy_schedule


class Pictures:
    """A dataset of random pictures."""

    count, classes, labels = 100, ("a", "b", "c"), np.arange(100) % 3

    def level(self, resolution: int) -> Any:
        return np.random.default_rng(0).integers(0, 256, (100, 3, resolution, resolution)).astype(np.uint8)


def make_session(folder: Path, **changes: object) -> Session:
    config = toy_config(**changes)
    state = TrainState.create(config, torch.device("cpu"))
    return Session(folder, config, state, toy_schedule(config), Pictures())  # type: ignore[arg-type]


def spoil(session: Session) -> None:
    with torch.no_grad():
        for parameter in session.state.discriminator.parameters():
            parameter.fill_(torch.nan)


def watched(session: Session, watchdog: Watchdog, *more: Any) -> Iterator[StepReport]:
    for report in observe(train(session.state, Toy(), session.schedule), [watchdog, *more]):
        yield report
        if watchdog.trouble:
            return


def test_a_nan_is_noticed_at_its_step_and_rolled_back_and_the_end_is_reached(tmp_path: Path) -> None:
    session, said = make_session(tmp_path), []
    for count in (1, 2):
        watchdog = Watchdog(session, "rollback", "warn", said.append)
        saving = Checkpoints(session, Interval.parse("16img"), say=said.append, healthy=watchdog.fine)
        for report in watched(session, watchdog, saving):
            if report.images == 72 and count == 1:
                spoil(session)
        if count == 1:
            assert watchdog.trouble is not None
            assert (watchdog.trouble.kind, watchdog.trouble.images) == ("not finite", 80)
            assert checkpoint.newest(tmp_path)[1]["images"] == 64
            recover(session, watchdog.trouble, count)
            assert (session.state.images, session.state.salt, session.state.lr_scale) == (64, 1, 0.5)
            assert checkpoint.newest(tmp_path)[1]["salt"] == 1
    assert session.state.images == 160
    (incident,) = [json.loads(line) for line in (tmp_path / "incidents.jsonl").read_text().splitlines()]
    assert incident["kind"] == "not finite"
    assert "loss/d" in incident["what"]
    assert incident["step figures"]["loss/d"] == "nan"
    assert "rolled back to 0.064 kimg, learning rates times 0.5" in incident["done"]
    assert all((tmp_path / name).exists() for name in incident["pictures"])


def test_without_a_checkpoint_the_way_back_is_the_start(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    next(train(session.state, Toy(), session.schedule))
    spoil(session)
    roll_back(session, Trouble("not finite", "planted", "rollback", 8, 0), 1)
    fresh = TrainState.create(session.config, torch.device("cpu"))
    assert session.state.images == 0
    assert all(
        torch.equal(one, other)
        for one, other in zip(session.state.discriminator.parameters(), fresh.discriminator.parameters(), strict=True)
    )


def test_checkpoints_from_after_the_trouble_began_are_removed(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    list(observe(train(session.state, Toy(), session.schedule), [Checkpoints(session, Interval.parse("16img"), 99)]))
    roll_back(session, Trouble("loss spike", "planted", "rollback", 130, 100), 2)
    assert session.state.images == 96
    assert session.state.lr_scale == 0.25
    assert checkpoint.list_checkpoints(tmp_path)[-1].name == checkpoint.checkpoint_name(96)


@pytest.mark.parametrize(("action", "count", "said"), [("stop", 1, "planted at 0.1"), ("rollback", 4, "3 rollbacks")])
def test_stop_and_too_many_rollbacks_are_one_line(action: Any, count: int, said: str, tmp_path: Path) -> None:
    session = make_session(tmp_path)
    with pytest.raises(TrainingError, match=said):
        recover(session, Trouble("loss spike", "planted", action, 100, 90), count)
    assert "stopped" in (tmp_path / "incidents.jsonl").read_text()


def test_a_warning_is_said_once_and_the_run_goes_on(tmp_path: Path) -> None:
    session, said = make_session(tmp_path), []
    watchdog = Watchdog(session, "warn", "warn", said.append)
    for report in watched(session, watchdog):
        if report.images == 72:
            spoil(session)
    assert session.state.images == 160
    assert watchdog.trouble is None
    assert len(said) == 1
    assert "NaN" in said[0]


def step(images: int, loss: float) -> StepReport:
    session_position = toy_schedule(toy_config()).at(0)
    metrics = {"loss/d": torch.tensor(loss), "loss/g": torch.tensor(0.0)}
    return StepReport(images // 8, images - 8, images, session_position, metrics, True, 0, False)


def test_a_loss_that_jumps_is_noticed_and_noise_and_single_outliers_are_not(tmp_path: Path) -> None:
    watchdog = Watchdog(make_session(tmp_path), "stop", "warn")
    watchdog.prober.measure = lambda _: Diversity(1.0, (), 0.0)  # type: ignore[method-assign]
    random = np.random.default_rng(0)
    for index in range(1, 300):
        loss = float(random.standard_t(3)) + index / 100 + (500 if index % 50 == 0 else 0)
        watchdog(step(8 * index, loss))
    assert watchdog.trouble is None
    for index in range(300, 305):
        watchdog(step(8 * index, 500.0))
    assert watchdog.trouble is not None
    assert watchdog.trouble.kind == "loss spike"


def test_diversity_that_falls_is_told_and_early_sameness_is_not() -> None:
    fall = Fall()
    rising = [Diversity(share, (share, share), 0.0) for share in (0.01, 0.02, 0.1, 0.4, 0.6, 0.8, 0.7, 0.8)]
    assert [fall.after(seen, index) for index, seen in enumerate(rising)] == [None] * 8
    assert fall.after(Diversity(0.8, (0.8, 0.02), 0.0), 9) == (
        "class 1: its pictures have become alike: 2% of the real ones' differences, 80% before"
    )
    assert "the pictures have become alike" in str(fall.after(Diversity(0.1, (0.1, 0.1), 0.0), 10))


def test_two_pictures_over_and_over_are_twins() -> None:
    fall = Fall()
    assert not any(fall.after(Diversity(0.9, (), 0.01), index) for index in range(5))
    assert "nearly one picture" in str(fall.after(Diversity(0.9, (), 0.5), 6))


def test_a_run_that_never_became_diverse_is_told_late() -> None:
    fall = Fall()
    assert fall.after(Diversity(0.05, (), 0.9), 50_000) is None
    assert "never become diverse" in str(fall.after(Diversity(0.05, (), 0.9), 100_000))


def test_looking_changes_nothing_of_the_run(tmp_path: Path) -> None:
    plain, seen = make_session(tmp_path / "a"), make_session(tmp_path / "b")
    for _ in train(plain.state, Toy(), plain.schedule):
        pass
    watchdog = Watchdog(seen, "rollback", "warn")
    for report in watched(seen, watchdog):
        watchdog._collapse(report)
    one, other = plain.state.content(), seen.state.content()
    for name in ("generator", "discriminator", "ema"):
        assert all(torch.equal(value, other[name][key]) for key, value in one[name].items())
