"""Bounds on time: kept by histories shortly within them, broken by those shortly beyond."""

from __future__ import annotations

import pytest

from actors.session_wait import FIRST_SESSION_PAUSE_S, LONGEST_SESSION_PAUSE_S
from actors.simulation.facts import Run
from actors.simulation.invariants.in_time import (
    QUICK_CLOSE_S,
    RECOVERY_S,
    SLACK_S,
    SLOW_CLOSE_S,
    ends_in_time,
    resumes_in_time,
    session_pause_s,
)
from actors.simulation.timing import LEASE_S, SETTLE_WINDOW_S, SILENCE_S
from tests.unit.simulation.late_runs import CALM_S, END_BOUND_S, OPENED_S, ending, resuming

RESUME_BOUND_S = FIRST_SESSION_PAUSE_S + 4.0 + SLACK_S
"""Of an episode that has waited four seconds when its market opens."""


def is_late(run: Run) -> bool:
    return bool(list(ends_in_time(run)))


def resumes_late(run: Run) -> bool:
    return bool(list(resumes_in_time(run)))


def test_the_recovery_covers_a_hang_a_lease_and_a_settle_window() -> None:
    assert RECOVERY_S > SILENCE_S + LEASE_S + SETTLE_WINDOW_S


def test_an_episode_ends_within_its_bound() -> None:
    assert not is_late(ending(END_BOUND_S - 0.1))
    (late,) = ends_in_time(ending(END_BOUND_S + 0.1))
    assert late.promise == "ends in time"
    assert f"crash ended {END_BOUND_S + 0.1:.2f} s after" in late.text


def test_an_episode_that_ended_before_the_last_fault_was_over_is_not_judged() -> None:
    assert not is_late(ending(-5.0))


def test_the_bound_counts_from_when_a_late_client_came_again() -> None:
    run = ending(END_BOUND_S + 40.0)
    run.calls[0].came_late_us = round((CALM_S + 39.0) * 1e6)
    assert is_late(run)
    run.calls[0].came_late_us = round((CALM_S + 41.0) * 1e6)
    assert not is_late(run)


def test_an_episode_whose_mandate_never_was_on_disk_is_not_judged() -> None:
    run = ending(None)
    assert is_late(run)
    run.episodes[0].is_on_disk = False
    assert not is_late(run)


def test_an_episode_that_never_ends_is_late_once_its_bound_is_over() -> None:
    assert not is_late(ending(None, lasts_s=END_BOUND_S - 0.1))
    assert is_late(ending(None, lasts_s=END_BOUND_S + 0.1))


def test_the_bound_of_a_later_episode_counts_from_its_beginning() -> None:
    begun_s = CALM_S + 5.0
    assert not is_late(ending(5.0 + END_BOUND_S - 0.1, begun_s=begun_s))
    assert is_late(ending(5.0 + END_BOUND_S + 0.1, begun_s=begun_s))


def test_the_bound_grows_with_the_episodes_beside() -> None:
    run = ending(END_BOUND_S + 2 * QUICK_CLOSE_S - 0.1, beside=2)
    assert not is_late(run)
    assert is_late(ending(END_BOUND_S + 2 * QUICK_CLOSE_S + 0.1, beside=2))


def test_a_position_closed_before_costs_no_time() -> None:
    run = ending(END_BOUND_S + QUICK_CLOSE_S - 0.1, beside=1)
    run.accounts[0].deals[-1].at_us = 1  # the only one: one look is allowed for
    assert not is_late(run)
    second = ending(END_BOUND_S + QUICK_CLOSE_S + 0.1, beside=1)
    second.accounts[0].deals[-1].at_us = 1
    assert is_late(second)


def test_a_broker_with_a_fifo_rule_may_refuse_for_the_whole_budget() -> None:
    bound_s = END_BOUND_S - QUICK_CLOSE_S + SLOW_CLOSE_S
    for beyond_s, late in ((-0.1, False), (0.1, True)):
        run = ending(bound_s + beyond_s)
        run.accounts[0].is_fifo = True
        assert is_late(run) is late


def test_an_episode_that_waits_has_the_rest_of_its_pause() -> None:
    waited_s = 10.0
    bound_s = END_BOUND_S + FIRST_SESSION_PAUSE_S + waited_s
    assert not is_late(ending(bound_s - 0.1, waited_s=CALM_S - waited_s))
    assert is_late(ending(bound_s + 0.1, waited_s=CALM_S - waited_s))


def test_a_pause_is_as_long_as_all_before_it_and_the_first() -> None:
    assert session_pause_s(0) == FIRST_SESSION_PAUSE_S
    assert session_pause_s(5_000_000) == 2 * FIRST_SESSION_PAUSE_S
    assert session_pause_s(10**9) == LONGEST_SESSION_PAUSE_S


def test_an_episode_is_at_work_again_within_a_pause_of_the_opening() -> None:
    assert not resumes_late(resuming(RESUME_BOUND_S - 0.1))
    (late,) = resumes_in_time(resuming(RESUME_BOUND_S + 0.1))
    assert late.promise == "resumes in time"
    assert late.user_id


def test_an_episode_that_never_resumes_is_late() -> None:
    assert resumes_late(resuming(None))


def test_a_wait_whose_acceptance_may_be_lost_is_nobodys_until_its_client_comes_again() -> None:
    run = resuming(RESUME_BOUND_S + 40.0)
    run.calls[0].came_late_us = round((OPENED_S + RESUME_BOUND_S + 40.0 - SLACK_S - 0.1) * 1e6)
    assert resumes_late(run)
    run.calls[0].came_late_us += 200_000
    assert not resumes_late(run)


@pytest.mark.parametrize(("beyond_s", "late"), [(-0.1, False), (0.1, True)])
def test_a_fault_on_the_way_moves_the_bound_to_the_last_fault(beyond_s: float, late: bool) -> None:
    due_s = CALM_S - OPENED_S + RECOVERY_S + SLACK_S
    assert resumes_late(resuming(due_s + beyond_s, is_troubled=True)) is late
    assert resumes_late(resuming(due_s + beyond_s))


@pytest.mark.parametrize(("beyond_s", "late"), [(-0.1, False), (0.1, True)])
def test_the_turn_of_another_episode_is_waited_for(beyond_s: float, late: bool) -> None:
    run = resuming(RESUME_BOUND_S + QUICK_CLOSE_S + beyond_s, beside=1)
    assert resumes_late(run) is late
