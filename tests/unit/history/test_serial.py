from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from audit.history import Header, History, VenueRequest, check
from tests.unit.history.scenes import (
    WINDOW_US,
    completed,
    entry,
    good,
    invoked,
    kinds,
    leaving,
    only,
    position,
    request,
    result,
)


def resent_at(at: int, first: VenueRequest, settle_window_us: int | None = WINDOW_US) -> History:
    """Let a first request come to nothing, and a second one close the position."""
    return good(
        header=Header(settle_window_us=settle_window_us),
        completions=(completed(at=at + 50),),
        deals=(entry(), leaving(at=at)),
        requests=(first, request(at=at, sent_us=at - 10)),
    )


LOST = request(at=120, answered_us=None, executed_us=None, executed_volume=0.0)
TIMED_OUT = request(at=120, executed_us=None, executed_volume=0.0, conclusive=False)
REJECTED = request(at=120, executed_us=None, executed_volume=0.0)


@pytest.mark.parametrize("first", [LOST, TIMED_OUT])
def test_a_request_whose_fate_is_unknown_may_act_for_the_settle_window(first: VenueRequest) -> None:
    over = first.arrived_us + WINDOW_US
    assert only(resent_at(over + 9, first)).kind == "sent_too_early"
    assert check(resent_at(over + 10, first)).accepted


def test_the_window_runs_from_sending_when_that_is_known() -> None:
    late = request(at=920, sent_us=100, answered_us=None, executed_us=None, executed_volume=0.0)
    assert check(resent_at(100 + WINDOW_US + 10, late)).accepted
    assert kinds(resent_at(100 + WINDOW_US + 9, late)) == {"sent_too_early"}


def test_after_a_clear_refusal_nothing_has_to_be_waited_for() -> None:
    assert check(resent_at(130, REJECTED)).accepted


def test_without_a_known_window_only_overlaps_are_judged() -> None:
    assert check(resent_at(130, LOST, settle_window_us=None)).accepted


def test_a_request_that_was_executed_no_longer_acts() -> None:
    history = good(
        invocations=(invoked(), invoked("c2", key="k2", positions=("8",), ticket=8)),
        completions=(
            completed("c2", 300, result(position="8", key="k2", close_id="id8", tag="T8")),
        ),
        positions=(position(7), position(8)),
        deals=(entry(7), entry(8), leaving(7, 120), leaving(8, 140, "T8")),
        requests=(request(7, 120, answered_us=None), request(8, 140, "T8")),
    )
    assert check(history).accepted


def test_an_execution_after_the_answer_is_still_in_flight() -> None:
    first = request(at=120, answered_us=115, executed_us=400, volume=0.5, executed_volume=0.5)
    history = good(
        completions=(completed(at=500),),
        deals=(entry(), leaving(at=140, volume=0.5), leaving(at=400, volume=0.5, arrived_us=110)),
        requests=(first, request(at=140, volume=0.5, executed_volume=0.5)),
    )
    assert "unserial_pair" in kinds(history)


def test_a_long_request_is_compared_with_all_that_come_during_it() -> None:
    slow = request(at=120, answered_us=500, executed_us=None, executed_volume=0.0)
    quick = request(at=140, executed_us=None, executed_volume=0.0)
    history = good(
        completions=(completed(at=600),),
        deals=(entry(), leaving(at=300)),
        requests=(slow, quick, request(at=300)),
    )
    found = [v.kind.value for v in check(history).violations]
    assert found == ["unserial_pair", "unserial_pair"]


def test_lots_that_our_own_close_took_must_not_be_asked_for_again() -> None:
    refused = request(at=150, executed_us=None, executed_volume=0.0)
    violation = only(good(requests=(request(at=120), refused)))
    assert violation.kind == "stale_request"
    assert "only 0 were open" in violation.text


def test_lots_that_others_took_in_between_may_be_asked_for() -> None:
    by_stop = leaving(at=115, tag="[sl]", who="stop loss", arrived_us=None)
    gone = result(outcome="already_closed", volume=0.0)
    refused = request(at=120, executed_us=None, executed_volume=0.0)
    history = good(
        completions=(completed("c1", 200, gone),), deals=(entry(), by_stop), requests=(refused,)
    )
    assert check(history).accepted


@pytest.mark.parametrize(("mode", "found"), [("hedging", set()), ("netting", {"sent_too_early"})])
def test_a_lost_request_dies_with_its_position_where_tickets_protect(
    mode: Literal["hedging", "netting"], found: set[str]
) -> None:
    by_stop = leaving(7, at=125, tag="[sl]", who="stop loss", arrived_us=None)
    history = good(
        header=Header(settle_window_us=WINDOW_US),
        invocations=(invoked("c2", key="k2", positions=("8",), ticket=8),),
        completions=(
            completed("c2", 300, result(position="8", key="k2", close_id="id8", tag="T8")),
        ),
        positions=(position(7, mode=mode), position(8, mode=mode, symbol="GBPUSD")),
        deals=(entry(7), entry(8), by_stop, leaving(8, 140, "T8")),
        requests=(LOST, request(8, 140, "T8")),
    )
    assert kinds(history) == found


@pytest.mark.parametrize(("held_us", "found"), [(0, {"unserial_pair"}), (1, set())])
def test_what_a_terminal_held_longer_than_the_window_stands_in_nobodys_way(
    held_us: int, found: set[str]
) -> None:
    arrived = 100 + WINDOW_US + held_us
    held = request(arrived_us=arrived, sent_us=100, answered_us=arrived + 50, executed_us=None)
    history = resent_at(arrived + 20, replace(held, executed_volume=0.0))
    assert kinds(history) == found
