import math

import pytest

from ganforge.errors import ConfigError
from ganforge.schedule import Phase, Schedule, Span


def phase(resolution: int, length: str, fade: str = "0img", batch: int = 16, **more: object) -> Phase:
    return Phase(resolution=resolution, length=length, fade=fade, batch=batch, lr_g=1e-3, lr_d=1e-3, **more)


@pytest.mark.parametrize(("text", "images"), [("600kimg", 600_000), ("2epoch", 200), ("50steps", 800), ("7img", 7)])
def test_span_is_the_length_its_unit_says(text: str, images: int) -> None:
    assert Span.parse(text).images(batch=16, dataset_size=100) == images


@pytest.mark.parametrize("text", ["", "600", "kimg", "-1kimg", "3 years", "1e3kimg"])
def test_a_span_that_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a length"):
        Span.parse(text)


def test_span_text_reads_back() -> None:
    assert all(str(Span.parse(text)) == text for text in ("600kimg", "0.5epoch", "20000step"))


def test_a_step_shows_as_many_batches_as_the_discriminator_has_updates() -> None:
    assert Schedule.resolve([phase(32, "10step")], dataset_size=1, images_per_batch=5).images == 10 * 16 * 5


def official(images: int) -> tuple[int, float]:
    """Resolution and alpha as the official code's TrainingSchedule computes its level of detail for 4 to 1024."""
    kimg = images / 1000
    index = math.floor(kimg / 1200)
    lod = 8 - index - max(kimg - index * 1200 - 600, 0) / 600
    lod = max(lod, 0)
    return 2 ** (10 - math.floor(lod)), 1 - (lod - math.floor(lod))


def test_the_paper_schedule_is_the_official_formula() -> None:
    rows = [phase(4, "600kimg")] + [phase(4 << level, "1200kimg", "600kimg") for level in range(1, 9)]
    schedule = Schedule.resolve(rows, dataset_size=30_000)
    for images in range(0, 12_000_000, 7919):
        position = schedule.at(images)
        resolution, alpha = official(images)
        # At the very beginning of a fade the official code is still at the level below, which is the same picture.
        if position.alpha > 0:
            assert position.phase.resolution == resolution
            assert position.alpha == pytest.approx(alpha, abs=1e-6)


def test_kimg_scales_all_phases_in_proportion() -> None:
    rows = [phase(4, "600kimg"), phase(8, "1200kimg", "600kimg")]
    short = Schedule.resolve(rows, dataset_size=1, kimg=18)
    assert short.images == 18_000
    assert [(row.end - row.start, row.fade) for row in short.rows] == [(6000, 0), (12_000, 6000)]


def test_alpha_rises_evenly_over_the_fade_and_stays() -> None:
    schedule = Schedule.resolve([phase(4, "100img"), phase(8, "200img", "100img")], dataset_size=1)
    assert [schedule.at(images).alpha for images in (0, 99, 100, 150, 200, 299, 10_000)] == [1, 1, 0, 0.5, 1, 1, 1]


def test_the_learning_rate_ramps_where_asked() -> None:
    schedule = Schedule.resolve([phase(4, "100img", lr_ramp="50img")], dataset_size=1)
    assert [schedule.at(images).lr_g for images in (0, 25, 50, 99)] == [0, 5e-4, 1e-3, 1e-3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one"),
        ([phase(4, "10img"), phase(8, "10img", "20img")], "longer than the phase"),
        ([phase(8, "10img"), phase(4, "10img")], "only grow"),
        ([phase(4, "10img", "5img")], "nothing to fade in from"),
    ],
)
def test_rows_that_make_no_sense_are_refused(rows: list[Phase], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule.resolve(rows, dataset_size=1)


def test_a_lengthened_run_keeps_what_has_been_and_stretches_the_rest() -> None:
    rows = [phase(4, "100img"), phase(8, "200img", "100img"), phase(16, "200img", "100img")]
    schedule = Schedule.resolve(rows, dataset_size=1)
    longer = Schedule.resolve(schedule.lengthened(250, 1000), dataset_size=1)
    assert longer.images == 1000
    assert all(longer.at(images).stage == schedule.at(images).stage for images in range(251))
    # 50 images of 8x8 and 200 of 16x16 were left; now 150 and 600, of which the first half fades.
    assert [(row.start, row.end, row.fade) for row in longer.rows] == [(0, 100, 0), (100, 400, 100), (400, 1000, 300)]


def test_a_finished_run_goes_on_in_its_last_phase() -> None:
    schedule = Schedule.resolve([phase(4, "100img"), phase(8, "200img", "100img")], dataset_size=1)
    longer = Schedule.resolve(schedule.lengthened(300, 500), dataset_size=1)
    assert [(row.start, row.end, row.fade) for row in longer.rows] == [(0, 100, 0), (100, 500, 100)]
    with pytest.raises(ConfigError, match="shown already"):
        schedule.lengthened(300, 300)
