"""Worker processes whose deaths are survived: an ordered map over tasks, on a few processes.

A picture can end the process that decodes it (a defect in a decoder, or the machine's memory). `concurrent.futures`
then gives up the whole pool without saying which task it was. Here every worker has one task at a time, so that a
death names its task; the task's items are run again one by one, and only the culprit is given up.

Processes are spawned, not forked: a fork of a process with threads (torch has some) can hang.
"""

import contextlib
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Task(NamedTuple, Generic[Item]):
    """Items to be worked on together; `weight` is the memory they need, in any unit."""

    items: Sequence[Item]
    weight: float = 0.0


class Died:
    """In the place of a result: the worker died over this one item."""


class Worker:
    """One process, and the task that it has."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()
        self.busy: tuple[int, Task[Any]] | None = None
        self.ready = False

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class Pool:
    """`processes` worker processes; with 0, the work is done in this process."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def map(
        self,
        function: Callable[[Sequence[Item]], Result],
        tasks: Iterable[Task[Item]],
        budget: float = float("inf"),
    ) -> Iterator[tuple[Task[Item], Result | Died]]:
        """`function` of each task's items, in the order of the tasks.

        Tasks under way at the same time weigh at most `budget` together, or there is just one. A task whose worker dies
        comes back as several, of one item each.
        """
        if not self.processes:
            for task in tasks:
                yield task, function(task.items)
            return
        # Weights and the order of the results both bound the memory: no task starts that is far ahead of the last one
        # given out.
        ahead = 2 * self.processes + 1
        numbered = enumerate(tasks)
        waiting = next(numbered, None)
        done: dict[int, tuple[Task[Item], Any]] = {}
        given = 0
        while waiting is not None or any(worker.busy for worker in self._workers) or done:
            while waiting is not None and waiting[0] < given + ahead and self._start(function, waiting, budget):
                waiting = next(numbered, None)
            while given in done:
                task, result = done.pop(given)
                given += 1
                if isinstance(result, Died):
                    yield from self._isolated(function, task)
                else:
                    yield task, result
            for number, task, result in self._finished():
                done[number] = task, result

    def _start(self, function: Callable[..., Any], numbered: tuple[int, Task[Any]], budget: float) -> bool:
        """Give the task to an idle worker, if there is one and the budget allows."""
        under_way = [worker.busy[1].weight for worker in self._workers if worker.busy]
        if under_way and sum(under_way) + numbered[1].weight > budget:
            return False
        worker = next((worker for worker in self._workers if not worker.busy), None)
        if worker is None:
            if len(self._workers) >= self.processes:
                return False
            worker = Worker()
            self._workers.append(worker)
        worker.busy = numbered
        # A worker that died idle is noticed when its answer is awaited.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send((function, numbered[1].items))
        return True

    def _finished(self) -> Iterator[tuple[int, Task[Any], Any]]:
        """Wait for a worker to finish or to die, when any is busy."""
        busy = {worker.connection: worker for worker in self._workers if worker.busy}
        for connection in wait(list(busy)) if busy else []:
            worker = busy[connection]  # type: ignore[index]  # wait() gives back what it was given
            assert worker.busy is not None
            number, task = worker.busy
            try:
                kind, result = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                self._workers.remove(worker)
                worker.stop()
                if not worker.ready:
                    raise RuntimeError(
                        f"a worker process ended as it started, with {worker.process.exitcode}"
                    ) from None
                yield number, task, Died()
                continue
            if kind == "ready":
                worker.ready = True
                continue
            if kind == "error":
                raise RuntimeError(f"a worker process failed:\n{result}")
            worker.busy = None
            yield number, task, result

    def _isolated(self, function: Callable[..., Any], task: Task[Item]) -> Iterator[tuple[Task[Item], Any]]:
        """The items of a task whose worker died, one after the other, each in a process that may die."""
        with Pool(1) as alone:
            for item in task.items:
                single = Task([item], task.weight)
                alone._start(function, (0, single), float("inf"))
                result = None
                while result is None:
                    result = next(((one,) for _, _, one in alone._finished()), None)
                yield single, result[0]


def _serve(connection: Connection) -> None:
    """A worker's life: answer each (function, items) with its result, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the main process' to handle: it then stops us
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(("ready", None))
        while True:
            message = connection.recv_bytes()
            try:
                function, items = pickle.loads(message)
                answer = ("result", function(items))
            except Exception:
                answer = ("error", traceback.format_exc())
            connection.send(answer)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts: it inherits that, and so is not interrupted before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or else it is started now, and ends the holding back
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
