"""Net positions: an order that meets less than it asks for turns the position around."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.history import FinalRecord, History, VenueRequest, check
from tests.unit.history.scenes import entry, good, kinds, leaving, position, record, request, result


def turned_around(*, by_hand: bool) -> History:
    """Let 0.4 lots leave, then an order of ours for 1 lot: 0.6 short remain and are closed."""
    first = (
        leaving(at=105, tag="", who="by hand", volume=0.4, arrived_us=None)
        if by_hand
        else leaving(at=105, tag="T0", volume=0.4)
    )
    back = leaving(at=150, tag="T9", volume=0.4, side="long", price=1.25)
    requests: tuple[VenueRequest, ...]
    records: tuple[FinalRecord, ...]
    requests = (request(at=120), request(at=150, tag="T9", volume=0.4, executed_volume=0.4))
    records = (record(), record(key="k1/reversal-1", tag="T9", volume=0.4, event_id="event-2"))
    if not by_hand:
        requests = (request(at=105, tag="T0", volume=0.4, executed_volume=0.4), *requests)
        records = (*records, record(key="k0", tag="T0", volume=0.4, outcome="partial"))
    return good(
        positions=(position(mode="netting"),),
        completions=(
            replace(
                good().completions[0],
                results=(result(volume=0.6, pnl=None),),
            ),
        ),
        deals=(entry(), first, leaving(at=120, entry="inout"), back),
        requests=requests,
        records=tuple(replace(one, volume=0.6) if one.key == "k1" else one for one in records),
    )


def test_someone_elses_exit_between_read_and_order_excuses_a_reversal() -> None:
    assert check(turned_around(by_hand=True)).accepted


@pytest.mark.parametrize(
    ("at", "lots", "excused"), [(110, 0.1, False), (110, 0.5, True), (125, 0.5, False)]
)
def test_an_exit_that_is_too_small_or_too_late_does_not_excuse_it(
    at: int, lots: float, excused: bool
) -> None:
    """Our own close took 0.4 lots first, so the reversal would have been of 0.4 without it."""
    history = turned_around(by_hand=False)
    other = leaving(8, at=at, tag="", who="by hand", volume=lots, arrived_us=None)
    positions = (*history.positions, position(8, mode="netting"))
    with_it = replace(
        history, positions=positions, deals=(*history.deals, entry(8, volume=lots), other)
    )
    assert ("double_close" not in kinds(with_it)) is excused


def test_our_own_earlier_close_does_not() -> None:
    assert {"double_close", "stale_request"} <= kinds(turned_around(by_hand=False))


def test_on_a_hedging_account_nothing_does() -> None:
    history = replace(turned_around(by_hand=True), positions=(position(),))
    assert "double_close" in kinds(history)


def test_an_execution_after_the_settle_window_excuses_it_too() -> None:
    history = turned_around(by_hand=False)
    first = replace(history.requests[0], arrived_us=-2_000, answered_us=None)
    assert "double_close" not in kinds(replace(history, requests=(first, *history.requests[1:])))
