"""A fault that lasts is counted where it acts, not where its window begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.messages import EpisodeState
from actors.simulation.acting import Acting
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.plan import make_plan
from actors.simulation.run import SeedOutcome, run_plan

SLOW = Disturbance.JOURNAL_SLOW
SKEW = Disturbance.CLOCK_SKEW


class Bench:
    """Accounts whose episodes are in given states, and what was counted."""

    def __init__(self, **states: EpisodeState) -> None:
        self.states = {user_id: [state] for user_id, state in states.items()}
        self.met: list[tuple[str, str]] = []
        self.acting = Acting(
            lambda kind, user_id: self.met.append((kind, user_id)),
            lambda user_id: self.states.get(user_id, []),
        )


def test_a_window_that_never_acts_counts_nothing() -> None:
    bench = Bench(ann=EpisodeState.CLOSING)
    bench.acting.begin(SLOW)
    assert bench.met == []


def test_a_window_counts_each_account_once_and_the_next_window_again() -> None:
    bench = Bench(ann=EpisodeState.CLOSING, bob=EpisodeState.WAITING)
    bench.acting.begin(SLOW)
    bench.acting.acted(SLOW, ["ann"])
    bench.acting.acted(SLOW, ["ann", "bob"])
    assert bench.met == [(SLOW, "ann"), (SLOW, "bob")]
    bench.acting.begin(SLOW)
    bench.acting.acted(SLOW, ["ann"])
    assert bench.met[2:] == [(SLOW, "ann")]


def test_an_account_without_an_episode_is_reached_when_it_has_one() -> None:
    bench = Bench()
    bench.acting.begin(SLOW)
    bench.acting.acted(SLOW, ["ann"])
    assert bench.met == []
    bench.states["ann"] = [EpisodeState.ACCEPTED]
    bench.acting.acted(SLOW, ["ann"])
    assert bench.met == [(SLOW, "ann")]


def test_a_clock_counts_only_beside_an_open_episode_and_by_process() -> None:
    bench = Bench(ann=EpisodeState.FLAT)
    bench.acting.begin(SKEW, "ann/1")
    bench.acting.begin(SKEW, "supervisor/1")
    bench.acting.acted(SKEW, ["ann"], "ann/1", needs_open=True)
    assert bench.met == []
    bench.states["ann"].append(EpisodeState.CLOSING)
    for process in ("ann/1", "ann/1", "supervisor/1"):
        bench.acting.acted(SKEW, ["ann"], process, needs_open=True)
    assert bench.met == [(SKEW, "ann"), (SKEW, "ann")]


def skews_of(outcome: SeedOutcome) -> int:
    return sum(outcome.table[SKEW.value].values())


@pytest.mark.parametrize("kind", ["account", "supervisor", "audit"])
def test_a_skew_that_a_process_is_born_with_is_counted_and_no_event(kind: str) -> None:
    calm = replace(make_plan(3, 1, 1), faults=(), storms=(), skews_us={})
    assert skews_of(run_plan(calm)) == 0
    skewed = run_plan(replace(calm, skews_us={kind: 400_000}), keep_history=True)
    assert skews_of(skewed) > 0
    assert skewed.history is not None
    assert SKEW.value not in skewed.history.lines()
