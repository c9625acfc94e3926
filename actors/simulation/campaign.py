"""Many seeds, one after another or in several processes, and what they show together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from time import perf_counter
from typing import Any

from actors.simulation.board import Coverage
from actors.simulation.run import SeedOutcome, run_seed

MOST_KEPT = 100
"""Failing seeds whose stories are kept; more are counted only."""


@dataclass(frozen=True, slots=True)
class FailedSeed:
    """A seed that broke a promise."""

    seed: int
    violations: tuple[str, ...]
    excerpt: tuple[str, ...]
    """The last events of the account that the first violation concerns."""
    command: str


@dataclass(slots=True)
class Campaign:
    """What the seeds so far have shown.

    Args:
        accounts: in each run.
        positions: of each account at first.
    """

    accounts: int = 5
    positions: int = 5
    seeds: int = 0
    virtual_s: float = 0.0
    took_s: float = 0.0
    violations: int = 0
    by_promise: dict[str, int] = field(default_factory=dict)
    failed: list[FailedSeed] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, outcome: SeedOutcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.coverage.add(outcome.table)
        self.violations += len(outcome.violations)
        for promise in dict.fromkeys(v.promise for v in outcome.violations):
            self.by_promise[promise] = self.by_promise.get(promise, 0) + 1
        if outcome.violations and len(self.failed) < MOST_KEPT:
            self.failed.append(
                FailedSeed(
                    outcome.seed,
                    tuple(str(violation) for violation in outcome.violations),
                    tuple(outcome.excerpts[0]),
                    self.command(outcome.seed),
                )
            )

    def command(self, seed: int) -> str:
        """Return the command that repeats one seed exactly."""
        return (
            f"risk-engine simulate --seeds 1 --seed {seed} --accounts {self.accounts} "
            f"--positions {self.positions}"
        )

    @property
    def seeds_per_s(self) -> float:
        """Seeds a second of wall time, all processes together."""
        return self.seeds / self.took_s if self.took_s else 0.0

    def data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "seeds": self.seeds,
            "simulated_hours": round(self.virtual_s / 3600, 3),
            "seeds_per_s": round(self.seeds_per_s, 2),
            "violations": self.violations,
            "broken_promises": dict(sorted(self.by_promise.items())),
            "failing_seeds": [
                {
                    "seed": failed.seed,
                    "violations": list(failed.violations),
                    "history": list(failed.excerpt),
                    "command": failed.command,
                }
                for failed in self.failed
            ],
            "table": self.coverage.table(),
        }


def run_seeds(
    first: int,
    count: int,
    *,
    accounts: int,
    positions: int,
    jobs: int = 1,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[SeedOutcome]:
    """Run seeds ``first`` to ``first + count - 1`` and yield their outcomes in that order.

    Args:
        first: the first seed.
        count: how many.
        accounts: in each run.
        positions: of each account at first.
        jobs: processes; results do not depend on it.
        is_stopped: asked again and again; once it says yes no further seed is begun, and what
            has been done by then, or is being done, is yielded.
    """
    run = partial(run_seed, accounts=accounts, positions=positions)
    seeds = range(first, first + count)
    if jobs == 1:
        for seed in seeds:
            if is_stopped():
                return
            yield run(seed)
        return
    # Spawned, not forked: whoever calls may have threads. Ctrl-C is the caller's to handle.
    context = get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(
        max_workers=jobs, mp_context=context, initializer=_begin_work, initargs=(stop,)
    ) as pool:
        size = max(1, min(20, count // (4 * jobs)))
        try:
            with _uninterrupted():
                chunks = [
                    pool.submit(_run_some, run, seeds[place : place + size])
                    for place in range(0, count, size)
                ]
            for chunk in chunks:
                while not chunk.done():  # wait() alone never ends for one that was cancelled
                    wait([chunk], timeout=_LOOKS_EVERY_S)
                    if is_stopped():
                        stop.set()
                        pool.shutdown(wait=False, cancel_futures=True)
                if not chunk.cancelled():
                    yield from chunk.result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


_LOOKS_EVERY_S = 0.1
"""How often whoever waits for other processes looks whether they are to stop."""

_stops: list[Event] = []
"""In a process that works for another one: set when it is to begin nothing more."""


def _begin_work(stop: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stops.append(stop)


def _run_some(run: Callable[[int], SeedOutcome], seeds: Sequence[int]) -> list[SeedOutcome]:
    outcomes = []
    for seed in seeds:
        if any(stop.is_set() for stop in _stops):
            break
        outcomes.append(run(seed))
    return outcomes


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


class Stopwatch:
    """Wall time, from its making."""

    def __init__(self) -> None:
        """Start."""
        self._begun = perf_counter()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return perf_counter() - self._begun
