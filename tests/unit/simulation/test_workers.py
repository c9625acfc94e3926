"""Processes that run seeds: their order, their deaths, and how quickly they end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from multiprocessing import active_children
from time import monotonic

import pytest

from actors.simulation.run import SeedOutcome
from actors.simulation.workers import run_in_processes


def quick(seed: int) -> SeedOutcome:
    return SeedOutcome(seed, float(os.getpid()), [], {})


def endless_from_2(seed: int) -> SeedOutcome:
    if seed >= 2:
        threading.Event().wait()
    return quick(seed)


def deadly_from_2(seed: int) -> SeedOutcome:
    if seed >= 2:
        os._exit(7)
    return quick(seed)


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    yield
    assert active_children() == []


def test_outcomes_come_in_order_and_from_other_processes() -> None:
    outcomes = list(run_in_processes(quick, range(9), jobs=2, is_stopped=lambda: False))
    assert [outcome.seed for outcome in outcomes] == list(range(9))
    assert os.getpid() not in {int(outcome.virtual_s) for outcome in outcomes}


def test_once_it_is_stopped_what_is_done_is_told_and_what_is_at_work_is_given_up() -> None:
    told: list[int] = []
    for outcome in run_in_processes(
        endless_from_2, range(9), jobs=2, is_stopped=lambda: len(told) == 2
    ):
        told.append(outcome.seed)
        stopped_at = monotonic()
    assert told == [0, 1]
    assert monotonic() - stopped_at < 5


def test_who_takes_no_more_outcomes_leaves_nobody_behind() -> None:
    outcomes = run_in_processes(endless_from_2, range(9), jobs=2, is_stopped=lambda: False)
    assert next(outcomes).seed == 0
    outcomes.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_process_that_dies_is_told_with_its_seed() -> None:
    with pytest.raises(RuntimeError, match=r"seed [23] ended with status 7; repeat it with"):
        list(run_in_processes(deadly_from_2, range(9), jobs=2, is_stopped=lambda: False))


def test_nothing_to_run_starts_nobody() -> None:
    assert list(run_in_processes(quick, range(0), jobs=2, is_stopped=lambda: False)) == []
