"""What a run's watchdog notices, what it leaves alone, and the way back."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganforge import checkpoint
from ganforge.cli.session import recover
from ganforge.config import EMAConfig
from ganforge.data.demo import render_face
from ganforge.errors import TrainingError
from ganforge.observers import Checkpoints, Interval, Session, observe
from ganforge.observers.diversity import CLASS_FELL, FELL, WIDTHS, Diversity, Fall, Features, Prober, distances
from ganforge.observers.rollback import roll_back
from ganforge.observers.watchdog import Trouble, Watchdog, finite
from ganforge.schedule import Phase
from ganforge.training.loop import StepReport, train
from ganforge.training.state import TrainState
from toy import NETWORKS, Toy, toy_config, toy_schedule


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
            recover(session, watchdog.trouble)
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
    roll_back(session, Trouble("not finite", "planted", "rollback", 8, 0))
    fresh = TrainState.create(session.config, torch.device("cpu"))
    assert session.state.images == 0
    assert all(
        torch.equal(one, other)
        for one, other in zip(session.state.discriminator.parameters(), fresh.discriminator.parameters(), strict=True)
    )


def test_checkpoints_from_after_the_trouble_began_are_removed(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    list(observe(train(session.state, Toy(), session.schedule), [Checkpoints(session, Interval.parse("16img"), 99)]))
    roll_back(session, Trouble("loss spike", "planted", "rollback", 130, 100))
    assert session.state.images == 96
    assert session.state.lr_scale == 0.5
    assert checkpoint.list_checkpoints(tmp_path)[-1].name == checkpoint.checkpoint_name(96)


def test_a_second_rollback_soon_after_the_first_lowers_the_rates_once_more(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    list(observe(train(session.state, Toy(), session.schedule), [Checkpoints(session, Interval.parse("16img"), 99)]))
    for images in (130, 112):
        roll_back(session, Trouble("loss spike", "planted", "rollback", images, images - 30))
    assert (session.state.images, session.state.salt, session.state.lr_scale) == (80, 2, 0.25)
    session.state.lr_scale_until = 90
    roll_back(session, Trouble("loss spike", "planted", "rollback", 100, 80))
    assert (session.state.salt, session.state.lr_scale) == (3, 0.5)


def test_a_rollback_that_is_killed_leaves_a_run_that_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session(tmp_path)
    list(observe(train(session.state, Toy(), session.schedule), [Checkpoints(session, Interval.parse("16img"), 99)]))
    before = checkpoint.list_checkpoints(tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("write", "list_checkpoints"):  # before the healthy one is written, and before later ones are removed
        with monkeypatch.context() as patch:
            healthy = checkpoint.list_checkpoints
            calls = iter([healthy, killed])
            patch.setattr(
                checkpoint,
                name,
                killed if name == "write" else lambda folder: next(calls)(folder),  # noqa: B023
            )
            with pytest.raises(KeyboardInterrupt):
                roll_back(session, Trouble("loss spike", "planted", "rollback", 130, 100))
        assert checkpoint.list_checkpoints(tmp_path) == before
        assert all(checkpoint.read(path) for path in before)


@pytest.mark.parametrize(("action", "salt", "said"), [("stop", 0, "planted at 0.1"), ("rollback", 3, "3 rollbacks")])
def test_stop_and_too_many_rollbacks_are_one_line(action: Any, salt: int, said: str, tmp_path: Path) -> None:
    session = make_session(tmp_path)
    session.state.salt = salt  # as a checkpoint has it, so the whole run counts
    with pytest.raises(TrainingError, match=said):
        recover(session, Trouble("loss spike", "planted", action, 100, 90))
    assert "stopped" in (tmp_path / "incidents.jsonl").read_text()


def test_a_nan_in_the_average_alone_is_noticed(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    watchdog = Watchdog(session, "rollback", "warn")
    for report in watched(session, watchdog):
        if report.images == 72:
            assert session.state.ema is not None
            with torch.no_grad():
                next(session.state.ema.parameters()).fill_(torch.nan)
    assert watchdog.trouble is not None
    assert "the average's weights" in watchdog.trouble.what
    assert watchdog.trouble.images == 80


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


def never_looking(watchdog: Watchdog) -> Watchdog:
    watchdog.prober.measure = lambda *_: Diversity(1.0, {}, 0.0)  # type: ignore[method-assign]
    return watchdog


def noise(index: int) -> float:
    """Heavy-tailed, with a slow drift and single outliers."""
    return float(np.random.default_rng(index).standard_t(3)) + index / 100 + (500 if index % 50 == 0 else 0)


def test_a_loss_that_jumps_is_noticed_and_noise_and_single_outliers_are_not(tmp_path: Path) -> None:
    watchdog = never_looking(Watchdog(make_session(tmp_path), "stop", "warn"))
    for index in range(1, 300):
        watchdog(step(8 * index, noise(index)))
    assert watchdog.trouble is None
    for index in range(300, 400):
        watchdog(step(8 * index, 500.0 if index % 50 < 4 else noise(index)))
    assert watchdog.trouble is None
    for index in range(400, 410):
        watchdog(step(8 * index, 500.0))
    assert watchdog.trouble is not None
    assert watchdog.trouble.kind == "loss spike"


def test_a_jump_is_told_and_rolled_back_when_it_lasts(tmp_path: Path) -> None:
    said: list[str] = []
    watchdog = never_looking(Watchdog(make_session(tmp_path), "rollback", "warn", said.append))
    for index in range(1, 300):
        watchdog(step(8 * index, noise(index)))
    for index in range(300, 310):
        watchdog(step(8 * index, 500.0))
    assert watchdog.trouble is None
    assert len(said) == 1
    assert "jumped from about" in said[0]
    for index in range(310, 330):
        watchdog(step(8 * index, 500.0))
    assert watchdog.trouble is not None
    assert watchdog.trouble.action == "rollback"


def test_what_a_device_held_back_is_remembered_before_a_checkpoint_and_no_jump_in_it_is_missed(tmp_path: Path) -> None:
    watchdog = never_looking(Watchdog(make_session(tmp_path), "stop", "warn"))
    for index in range(1, 300):
        watchdog(step(8 * index, noise(index)))
    watchdog.unread = [torch.tensor(loss) for loss in (*[500.0] * 6, *[0.0] * 20)]  # as read once in 32 steps
    assert not watchdog.fine()
    assert watchdog.memory["losses"][-21:] == [500.0, *[0.0] * 20]
    assert watchdog.trouble is not None
    assert watchdog.trouble.kind == "loss spike"


def test_what_ended_and_came_back_is_told_again(tmp_path: Path) -> None:
    said: list[str] = []
    watchdog = never_looking(Watchdog(make_session(tmp_path), "warn", "warn", said.append))
    for index in range(1, 700):
        watchdog(step(8 * index, 500.0 if index in range(300, 306) or index in range(500, 506) else noise(index)))
    assert [line.count("jumped") for line in said] == [1, 1]


def test_a_resumed_run_is_watched_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    watchdog = never_looking(Watchdog(session, "stop", "warn"))
    for index in range(1, 300):
        watchdog(step(8 * index, noise(index)))
    checkpoint.write(tmp_path / "kept.pt", session.state.content())
    resumed = make_session(tmp_path)
    resumed.state.restore(checkpoint.read(tmp_path / "kept.pt"))
    after = never_looking(Watchdog(resumed, "stop", "warn"))
    assert after.memory == watchdog.memory
    for index in range(300, 305):
        after(step(8 * index, 500.0))
    assert after.trouble is not None


def fallen(*seen: Diversity, images: int = 0, names: tuple[str, ...] = ()) -> list[str | None]:
    fall = Fall({}, names)
    return ["; ".join(fall.after(one, images).values()) or None for one in seen]


def test_diversity_that_falls_is_told_and_early_sameness_is_not() -> None:
    shares = (0.01, 0.02, 0.1, 0.4, 0.6, 0.8, 0.7, 0.8)
    rising = [Diversity(share, {0: share, 5: share}, 0.0) for share in shares]
    *early, alone, both = fallen(*rising, Diversity(0.8, {0: 0.8, 5: 0.02}, 0.0), Diversity(0.1, {0: 0.1}, 0.0))
    assert early == [None] * 8
    assert alone == "class 5: its pictures have become alike: 2% of the real ones' differences, 80% before"
    assert "the pictures have become alike" in str(both)
    assert fallen(*rising, Diversity(0.8, {0: 0.0}, 0.0), names=("cat",))[-1] is not None


@pytest.mark.parametrize(
    ("seen", "told"), [((0.4, 0.4), 0), ((0.2, 0.8), 0), ((0.2, 0.2), 1), ((0.1, 0.8), 1)], ids=str
)
def test_what_all_fall_to_is_told_when_seen_twice_or_once_if_half(seen: tuple[float, float], told: int) -> None:
    """Four pictures of one class, a look, are alike by chance sooner than forty of all: a class has a lower limit."""
    usual = [Diversity(0.8, {0: 0.8}, 0.0)] * 3
    assert sum(line is not None for line in fallen(*usual, *[Diversity(share, {}, 0.0) for share in seen])) == told
    by_class = [Diversity(0.8, {0: share * CLASS_FELL / FELL}, 0.0) for share in seen]
    assert sum(line is not None for line in fallen(*usual, *by_class)) == told


def test_pictures_more_diverse_than_the_real_ones_may_calm_down() -> None:
    assert fallen(*[Diversity(1.6, {}, 0.0)] * 4, *[Diversity(0.45, {}, 0.0)] * 4) == [None] * 8


def test_every_class_that_falls_is_named() -> None:
    found = fallen(*[Diversity(0.8, {2: 0.8, 7: 0.9}, 0.0)] * 3, Diversity(0.7, {2: 0.0, 7: 0.0}, 0.0))[-1]
    assert found is not None
    assert ("class 2: " in found, "class 7: " in found) == (True, True)


def looking(watchdog: Watchdog, *seen: Diversity, first: int = 1) -> None:
    """Looks at what is given, a tick apart."""
    tick = watchdog.session.tick
    for index, one in enumerate(seen, first):
        watchdog.prober.measure = lambda *_, one=one: one  # type: ignore[method-assign]
        watchdog._collapse(step(8 * index * tick, 0.0), index)


def test_another_class_is_told_while_the_first_is_under_way(tmp_path: Path) -> None:
    said: list[str] = []
    watchdog = Watchdog(make_session(tmp_path), "rollback", "warn", said.append)
    fine, one, two = (Diversity(0.8, {0: a, 1: b}, 0.0) for a, b in ((0.8, 0.8), (0.0, 0.8), (0.0, 0.0)))
    looking(watchdog, *[fine] * 4, one, one, two, two)
    assert [(line.count("class 0"), line.count("class 1")) for line in said] == [(1, 0), (1, 1)]


def test_a_jump_that_takes_the_pictures_with_it_is_rolled_back(tmp_path: Path) -> None:
    watchdog = never_looking(Watchdog(make_session(tmp_path), "rollback", "warn", lambda _: None))
    for index in range(1, 300):
        watchdog(step(8 * index, noise(index)))
    for index in range(300, 306):
        watchdog(step(8 * index, 500.0))
    assert watchdog.trouble is None
    watchdog.prober.measure = lambda *_: Diversity(0.0, {}, 1.0)  # type: ignore[method-assign]
    watchdog._collapse(step(8 * 307, 0.0), 307)
    assert watchdog.trouble is not None
    assert watchdog.trouble.action == "rollback"
    assert watchdog.trouble.healthy <= 8 * 299


@pytest.mark.parametrize(("diverse", "value", "action"), [(0.0, 60.0, "rollback"), (0.0, 2.0, None), (0.8, 60.0, None)])
def test_a_layer_that_jumps_as_the_pictures_become_alike_is_rolled_back(
    diverse: float, value: float, action: str | None, tmp_path: Path
) -> None:
    said: list[str] = []
    watchdog = Watchdog(make_session(tmp_path), "rollback", "warn", said.append)
    watchdog._layers = lambda: {"g.dense": 2.0}  # type: ignore[method-assign]
    looking(watchdog, *[Diversity(0.8, {}, 0.0)] * 6)
    watchdog._layers = lambda: {"g.dense": value}  # type: ignore[method-assign]
    looking(watchdog, Diversity(diverse, {}, 0.0), first=7)
    assert (watchdog.trouble.action if watchdog.trouble else None) == action
    assert len(said) == (action is None)


def test_a_warning_of_collapse_has_pictures_and_figures_of_before_and_now(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    (tmp_path / "samples").mkdir()
    for images in (0, 10**6):
        (tmp_path / "samples" / f"grid-{images:012d}.png").touch()
    looking(
        Watchdog(session, "rollback", "warn", lambda _: None), *[Diversity(0.8, {}, 0.0)] * 4, Diversity(0.0, {}, 1.0)
    )
    (incident,) = [json.loads(line) for line in (tmp_path / "incidents.jsonl").read_text().splitlines()]
    assert incident["pictures"][0] == "samples/grid-000000000000.png"
    assert (tmp_path / incident["pictures"][1]).stat().st_size > 0
    assert (incident["diversity"]["overall"], incident["best before"]["all"]) == (0.0, 0.8)


def test_a_nan_in_a_running_statistic_is_noticed(tmp_path: Path) -> None:
    network = torch.nn.BatchNorm2d(3)
    assert finite(network)
    network.running_var[1] = torch.inf  # type: ignore[index]
    assert not finite(network)


def test_a_class_that_is_looked_at_by_turns_is_missed_by_none() -> None:
    looks = [Diversity(0.8, {label: 0.8, label + 1: 0.8}, 0.0) for _ in range(4) for label in (0, 2, 4)]
    collapsed = [Diversity(0.8, {0: 0.8, 1: 0.8}, 0.0), Diversity(0.8, {2: 0.8, 3: 0.0}, 0.0)]
    assert [what is not None for what in fallen(*looks, *collapsed)] == [False] * 13 + [True]


def test_two_pictures_over_and_over_are_twins() -> None:
    *early, last = fallen(*[Diversity(0.9, {}, 0.01)] * 5, Diversity(0.9, {}, 0.5))
    assert early == [None] * 5
    assert "nearly one picture" in str(last)


def test_one_picture_moved_about_and_noise_have_little_diversity_and_faces_have() -> None:
    features, chance = Features(3, torch.device("cpu")), torch.Generator().manual_seed(0)
    drawn = np.stack([np.asarray(render_face(0, index, 32)[0]) for index in range(80)])
    faces = torch.from_numpy(drawn).permute(0, 3, 1, 2) / 127.5 - 1
    shifts = torch.randint(-2, 3, (40, 2), generator=chance).tolist()
    moved = torch.stack([torch.roll(faces[0], shift, (1, 2)) for shift in shifts])
    dimmed = (faces[:1] + 1) * torch.linspace(0.85, 1, 40)[:, None, None, None] - 1
    noise = torch.rand(40, 3, 32, 32, generator=chance) * 2 - 1
    usual = distances(features(faces[:40])).mean()
    assert distances(features(faces[40:])).mean() / usual == pytest.approx(1, abs=0.2)
    for alike in (moved, dimmed, noise):
        assert distances(features(alike)).mean() < 0.3 * usual


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (4, 6), (28, 28), (48, 32), (64, 64), (96, 96)])
def test_pictures_of_any_size_have_features(size: tuple[int, int]) -> None:
    features = Features(1, torch.device("cpu"))(torch.rand(5, 1, *size) * 2 - 1)
    assert features.shape == (5, 2 * sum(WIDTHS))
    assert features.isfinite().all()


def test_a_run_that_never_became_diverse_is_told_late() -> None:
    assert fallen(Diversity(0.05, {}, 0.9), images=50_000) == [None]
    assert "never become diverse" in str(fallen(Diversity(0.05, {}, 0.9), images=100_000)[0])


class Many(Pictures):
    """A dataset of 20 classes."""

    count, classes, labels = 100, tuple(map(str, range(20))), np.arange(100) % 20


@pytest.mark.parametrize("network", ["dcgan", "sagan"])
def test_a_class_that_is_one_picture_is_found_whichever_it_is(tmp_path: Path, network: str) -> None:
    config = NETWORKS[network].model_copy(update={"classes": 20})
    phases = (Phase(resolution=16, length="1600img", batch=8, lr_g=1e-3, lr_d=1e-3),)
    session = make_session(tmp_path, network=config, phases=phases, ema=EMAConfig(half_life=0))
    session = replace(session, dataset=Many())  # type: ignore[arg-type]
    prober, generator = Prober(session), session.state.generator
    draw = generator.forward
    looks = -(-20 // prober.at_once)
    assert {label for number in range(looks) for label in prober.turn(number)} == set(range(20))

    def planted(latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return draw(torch.where((labels == 13)[:, None], torch.zeros_like(latents), latents), labels)

    generator.forward = planted  # type: ignore[method-assign]
    shares = {}
    for number in range(looks):
        shares |= prober.measure(16, number).by_class
    assert shares[13] < 1e-3
    assert min(share for label, share in shares.items() if label != 13) > 1e-3


def test_looking_changes_nothing_of_the_run(tmp_path: Path) -> None:
    plain, seen = make_session(tmp_path / "a"), make_session(tmp_path / "b")
    for _ in train(plain.state, Toy(), plain.schedule):
        pass
    watchdog = Watchdog(seen, "rollback", "warn")
    for report in watched(seen, watchdog):
        watchdog._collapse(report, report.step)
    one, other = plain.state.content(), seen.state.content()
    for name in ("generator", "discriminator", "ema"):
        assert all(torch.equal(value, other[name][key]) for key, value in one[name].items())
