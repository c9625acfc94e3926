"""Processes that run seeds for another one, and end at once when they are told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from actors.simulation.run import SeedOutcome

Run = Callable[[int], SeedOutcome]

_LOOKS_EVERY_S = 0.1
"""How often whoever waits for the processes looks whether they are to stop."""
_ENDS_WITHIN_S = 1.0
"""A process that has nothing more to do ends by itself within this time, or is killed."""


def run_in_processes(
    run: Run, seeds: Sequence[int], *, jobs: int, is_stopped: Callable[[], bool]
) -> Iterator[SeedOutcome]:
    """Run seeds in several processes and yield their outcomes in the order of ``seeds``.

    Args:
        run: runs one seed; it is sent to other processes, so it must pickle.
        seeds: what to run, each once.
        jobs: how many processes.
        is_stopped: asked ten times a second; once it says yes, what is done by then is yielded,
            and processes at work are killed: what their seeds leave on disk is the caller's.

    Raises:
        RuntimeError: a process ended although nobody told it to.
    """
    left = iter(seeds)
    done: dict[int, SeedOutcome] = {}
    workers: list[_Worker] = []
    try:
        with _uninterrupted():
            workers.extend(_Worker.start(run) for _ in range(min(jobs, len(seeds))))
        for worker in workers:
            worker.give(next(left, None))
        for seed in seeds:
            while seed not in done:
                stopped = is_stopped()
                for worker in _heard(workers, 0.0 if stopped else _LOOKS_EVERY_S):
                    outcome = worker.take()
                    done[outcome.seed] = outcome
                    worker.give(None if stopped else next(left, None))
                if stopped:
                    _end(workers)
                    yield from [done[number] for number in sorted(done)]
                    return
            yield done.pop(seed)
    finally:
        _end(workers)


@dataclass(slots=True)
class _Worker:
    """A process, and the line to it."""

    process: BaseProcess
    line: Connection
    seed: int | None = None
    """What it is at work on."""

    @classmethod
    def start(cls, run: Run) -> _Worker:
        # Spawned, not forked: whoever calls may have threads.
        context = get_context("spawn")
        ours, its = context.Pipe()
        process = context.Process(target=_work, args=(its, run), daemon=True)
        process.start()
        its.close()  # so that its end is seen here
        return cls(process, ours)

    def give(self, seed: int | None) -> None:
        """Give it a seed; ``None``: there is no more."""
        self.seed = seed
        with suppress(BrokenPipeError):  # it has ended: whoever takes its outcome is told so
            self.line.send(seed)

    def take(self) -> SeedOutcome:
        """Take what it has come to."""
        try:
            outcome: SeedOutcome = self.line.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(
                f"the process that ran seed {self.seed} ended with status "
                f"{self.process.exitcode}; repeat it with --seeds 1 --seed {self.seed}"
            ) from None
        return outcome


def _heard(workers: Sequence[_Worker], within_s: float) -> list[_Worker]:
    """Return those that have something to tell."""
    at_work = [worker for worker in workers if worker.seed is not None]
    ready = wait([worker.line for worker in at_work], within_s)
    return [worker for worker in at_work if worker.line in ready]


def _end(workers: list[_Worker]) -> None:
    """End all; harmless when done twice."""
    for worker in workers:
        if worker.seed is not None:
            worker.process.kill()
    for worker in workers:
        worker.process.join(_ENDS_WITHIN_S)
        worker.process.kill()
        worker.process.join()
        worker.line.close()
    workers.clear()


def _work(line: Connection, run: Run) -> None:
    """Run seeds until there are no more, or nobody is left to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    with suppress(EOFError, BrokenPipeError):
        while (seed := line.recv()) is not None:
            line.send(run(seed))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have processes that are started here ignore Ctrl-C from their very beginning."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
