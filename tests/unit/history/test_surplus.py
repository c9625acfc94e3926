"""What excuses an order of ours that closed more than was open on a netting account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.history import Header, History, VenueDeal, VenueRequest, check
from audit.history.surplus import READ_US
from tests.unit.history.scenes import (
    WINDOW_US,
    completed,
    entry,
    good,
    invoked,
    kinds,
    leaving,
    position,
    record,
    request,
    result,
)

HOUR_US = 3_600_000_000
BY_HAND = leaving(at=100, tag="", who="by hand", volume=0.5, arrived_us=None)


def half(at: int, tag: str, **changed: object) -> VenueRequest:
    made = request(at=at, tag=tag, volume=0.5, executed_volume=0.5, sent_us=at - 20)
    return replace(made, **changed)  # type: ignore[arg-type]  # any field


def sold_short(at: int, tag: str) -> VenueDeal:
    """Make a deal of ours that met nothing, and opened half a lot."""
    return leaving(8, at=at, tag=tag, entry="in", volume=0.5)


def half_by_hand(*surplus: tuple[VenueRequest, VenueDeal]) -> History:
    """Let half a lot be closed by hand and half by T7; then ours open what ``surplus`` says."""
    first = leaving(at=130, volume=0.5)
    return good(
        completions=(completed(at=200),),
        positions=(position(mode="netting"), position(8, side="short", mode="netting")),
        deals=(entry(), BY_HAND, first, *(deal for _, deal in surplus)),
        requests=(half(130, "T7"), *(sent for sent, _ in surplus)),
        records=(
            record(volume=0.5),
            *(
                record(position="7", key=f"k/{sent.tag}", tag=sent.tag, outcome="unknown")
                for sent, _ in surplus
            ),
        ),
    )


def test_an_exit_of_an_hour_ago_does_not_excuse_a_second_close() -> None:
    at = HOUR_US
    assert "double_close" in kinds(half_by_hand((half(at, "T8"), sold_short(at, "T8"))))


@pytest.mark.parametrize(("later_us", "excused"), [(0, True), (1, False)])
def test_an_exit_counts_from_one_read_before_the_request_left(later_us: int, excused: bool) -> None:
    at = 100 + READ_US + 20 + later_us
    history = half_by_hand((half(at, "T8"), sold_short(at, "T8")))
    assert ("double_close" not in kinds(history)) is excused
    tolerant = replace(history, header=Header(settle_window_us=WINDOW_US, clock_tolerance_us=1))
    assert "double_close" not in kinds(tolerant)


@pytest.mark.parametrize(("read_us", "excused"), [(100, True), (101, False)])
def test_where_the_read_is_known_an_exit_counts_from_then(read_us: int, excused: bool) -> None:
    at = HOUR_US
    history = half_by_hand((half(at, "T8", read_us=read_us), sold_short(at, "T8")))
    assert ("double_close" not in kinds(history)) is excused


def test_the_same_lots_do_not_excuse_twice() -> None:
    once = half_by_hand((half(200, "T8"), sold_short(200, "T8")))
    assert "double_close" not in kinds(once)
    twice = half_by_hand(
        (half(200, "T8"), sold_short(200, "T8")), (half(300, "T9"), sold_short(300, "T9"))
    )
    assert "double_close" in kinds(twice)


def test_a_second_reversal_long_after_is_refused() -> None:
    at = HOUR_US
    history = half_by_hand(
        (half(200, "T8"), sold_short(200, "T8")), (half(at, "T9"), sold_short(at, "T9"))
    )
    (violation,) = (v for v in check(history).violations if v.kind == "double_close")
    assert "T9" in violation.text


def test_a_stop_that_fires_between_read_and_order_is_accepted() -> None:
    by_stop = leaving(at=115, tag="[sl]", who="stop loss", arrived_us=None)
    opened = leaving(8, at=120, entry="in")
    back = leaving(8, at=150, tag="T9", side="long", price=1.25)
    gone = result(outcome="unknown", volume=0.0, pnl=None, success=False)
    history = good(
        invocations=(invoked(),),
        completions=(completed("c1", 200, gone),),
        positions=(position(mode="netting"), position(8, side="short", mode="netting")),
        deals=(entry(), by_stop, opened, back),
        requests=(request(at=120), request(8, at=150, tag="T9")),
        records=(record(position="8", key="k1/reversal-1", tag="T9"),),
    )
    assert check(history).violations == ()


@pytest.mark.parametrize(("late_us", "excused"), [(WINDOW_US, False), (WINDOW_US + 1, True)])
def test_a_request_that_is_executed_after_its_window_excuses_itself(
    late_us: int, excused: bool
) -> None:
    at = HOUR_US
    late = half(at, "T8", arrived_us=at - late_us, sent_us=at - late_us, answered_us=None)
    assert ("double_close" not in kinds(half_by_hand((late, sold_short(at, "T8"))))) is excused


def test_but_no_later_one() -> None:
    at, then = HOUR_US, 2 * HOUR_US
    late = half(at, "T8", arrived_us=at - 2_000, sent_us=at - 2_000, answered_us=None)
    history = half_by_hand((late, sold_short(at, "T8")), (half(then, "T9"), sold_short(then, "T9")))
    (violation,) = (v for v in check(history).violations if v.kind == "double_close")
    assert "T9" in violation.text


def test_without_its_request_any_earlier_exit_excuses_a_deal() -> None:
    history = half_by_hand((half(HOUR_US, "T8"), sold_short(HOUR_US, "T8")))
    unlisted = replace(
        history, header=replace(history.header, requests=False), requests=history.requests[:1]
    )
    assert "double_close" not in kinds(unlisted)


@pytest.mark.parametrize(("at", "stale"), [(150, False), (HOUR_US, True)])
def test_a_touched_position_may_be_asked_for_too_much_only_soon_after(at: int, stale: bool) -> None:
    """Half was closed by hand; a request for all of it, refused by the venue, follows."""
    refused = request(at=at, executed_us=None, executed_volume=0.0)
    history = good(
        invocations=(invoked(),),
        completions=(completed("c1", at + 50, result(outcome="rejected", volume=0.0, pnl=None)),),
        deals=(entry(), BY_HAND),
        requests=(refused,),
    )
    assert ("stale_request" in kinds(history)) is stale


def test_what_our_own_close_took_may_not_be_asked_for_though_others_took_some() -> None:
    refused = request(at=150, executed_us=None, executed_volume=0.0)
    history = good(
        deals=(entry(), BY_HAND, leaving(at=120, volume=0.5)),
        requests=(request(at=120, volume=0.5, executed_volume=0.5), refused),
    )
    assert "stale_request" in kinds(history)
