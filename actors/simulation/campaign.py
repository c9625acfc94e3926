"""Many seeds, one after another or in several processes, and what they show together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from actors.simulation.board import Coverage
from actors.simulation.run import SeedOutcome, run_seed, temporary_root
from actors.simulation.workers import run_in_processes

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
            has been done by then is yielded. A seed at work is finished if this process runs
            it, and given up if another one does.
    """
    run = partial(run_seed, accounts=accounts, positions=positions)
    seeds = range(first, first + count)
    if jobs > 1:
        # Processes may be killed in mid-run: what they leave is removed with this folder.
        with TemporaryDirectory(prefix="simulated-", dir=temporary_root()) as folder:
            run = partial(run, within=Path(folder))
            yield from run_in_processes(run, seeds, jobs=jobs, is_stopped=is_stopped)
        return
    for seed in seeds:
        if is_stopped():
            return
        yield run(seed)


class Stopwatch:
    """Wall time, from its making."""

    def __init__(self) -> None:
        """Start."""
        self._begun = perf_counter()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return perf_counter() - self._begun
