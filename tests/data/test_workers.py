"""What workers run must be importable where they are: so it is written to a module of its own."""

import importlib
import os
import threading
import time

import pytest

from ganforge.data.workers import Died, Pool, Task

WORK = """
import os
import signal
import time


def squares(items):
    return [item * item for item in items]


def slow_first(items):
    if 0 in items:
        time.sleep(0.3)
    return list(items)


def dies_of_seven(items):
    if 7 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(items)


def raises(items):
    raise ZeroDivisionError("a defect")


def under_way(items):
    # Notes itself in a file while it works; how many were at work.
    folder = items[0]
    mine = os.path.join(folder, f"{os.getpid()}-{time.monotonic_ns()}")
    with open(mine, "x"):
        pass
    time.sleep(0.02)
    count = len(os.listdir(folder))
    os.unlink(mine)
    return count


def process(items):
    time.sleep(0.01)
    return os.getpid()


def ignores_interrupts(items):
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The module that holds the functions above."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "work_for_workers.py").write_text(WORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("work_for_workers")


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_results_come_in_the_order_of_the_tasks(work, processes):
    tasks = [Task(list(range(n, n + 3))) for n in range(0, 60, 3)]
    with Pool(processes) as pool:
        first = list(pool.map(work.slow_first, iter(tasks)))
        second = list(pool.map(work.squares, iter(tasks)))
    assert [result for _, result in first] == [task.items for task in tasks]
    assert [result for _, result in second] == [work.squares(task.items) for task in tasks]
    assert [task for task, _ in first] == tasks


def test_the_item_that_ends_its_worker_is_found_and_nothing_else_is_lost(work):
    tasks = [Task(list(range(n, n + 4))) for n in range(0, 24, 4)]
    with Pool(2) as pool:
        results = list(pool.map(work.dies_of_seven, iter(tasks)))
    died = [task.items for task, result in results if isinstance(result, Died)]
    assert died == [[7]]
    items = [item for task, _ in results for item in task.items]
    assert items == list(range(24))
    assert [result for task, result in results if task.items == [6]] == [[6]]


def test_a_defect_in_a_worker_is_raised_with_its_traceback(work):
    with pytest.raises(RuntimeError, match="a defect"), Pool(1) as pool:
        list(pool.map(work.raises, [Task([1])]))


@pytest.mark.parametrize(("weight", "most"), [(1.0, 1), (0.5, 2)])
def test_tasks_under_way_stay_within_the_budget(work, tmp_path, weight, most):
    with Pool(3) as pool:
        counts = [count for _, count in pool.map(work.under_way, [Task([str(tmp_path)], weight)] * 12, budget=1.0)]
    assert max(counts) <= most


def test_no_task_is_drawn_far_ahead_of_the_results(work):
    drawn = 0

    def tasks():
        nonlocal drawn
        while True:
            drawn += 1
            yield Task([drawn])

    with Pool(2) as pool:
        for given, _ in enumerate(pool.map(work.squares, tasks()), 1):
            assert drawn <= given + 2 * 2 + 2
            if given == 40:
                break


def test_workers_end_with_the_pool_and_ignore_interrupts(work):
    with Pool(2) as pool:
        numbers = {pid for _, pid in pool.map(work.process, [Task([0])] * 8)}
        assert all(ignored for _, ignored in pool.map(work.ignores_interrupts, [Task([0])] * 4))
    assert os.getpid() not in numbers
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_pool_works_in_a_process_with_threads(work):
    thread = threading.Thread(target=time.sleep, args=(0.2,))
    thread.start()
    with Pool(1) as pool:
        assert [result for _, result in pool.map(work.squares, [Task([2])])] == [[4]]
    thread.join()


def test_work_that_cannot_be_sent_is_a_defect_and_no_death(tmp_path, monkeypatch):
    (tmp_path / "work_that_goes_away.py").write_text("def one(items):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    gone = importlib.import_module("work_that_goes_away")
    (tmp_path / "work_that_goes_away.py").unlink()
    with pytest.raises(RuntimeError, match="work_that_goes_away"), Pool(1) as pool:
        list(pool.map(gone.one, [Task([1])]))
