import pytest

from ganforge.presets.demo import SHARES, demo_config, fitted
from ganforge.schedule import Schedule


@pytest.mark.parametrize("seconds", [60.0, 280.0, 3000.0])
@pytest.mark.parametrize("costs", [(0.002, 0.004, 0.007), (0.0001, 0.0002, 0.001)])
def test_the_demo_fits_the_time_and_the_machine(seconds: float, costs: tuple[float, ...]) -> None:
    schedule = Schedule.resolve(fitted(demo_config(), costs, seconds).phases, dataset_size=4000)
    times = [(row.end - row.start) * cost for row, cost in zip(schedule.rows, costs, strict=True)]
    assert sum(times) == pytest.approx(seconds, rel=0.02)
    for row, time in zip(schedule.rows, times, strict=True):
        assert time / seconds == pytest.approx(SHARES[row.phase.resolution], rel=0.1)
    assert [row.fade > 0 for row in schedule.rows] == [False, True, True]


def test_too_little_time_is_still_a_run() -> None:
    schedule = Schedule.resolve(fitted(demo_config(), (0.1, 0.2, 0.4), -20).phases, dataset_size=4000)
    assert all(row.end - row.start >= row.phase.batch for row in schedule.rows)
