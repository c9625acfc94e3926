"""Histories of a correct system are accepted; the same, with one thing wrong, are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audit.history import History, PositionResult, check
from tests.property.sequential_model import Step, history_of

STEPS = st.builds(
    Step,
    what=st.sampled_from(["call", "call", "call", "liquidate", "stop"]),
    position=st.integers(0, 2),
    tenths=st.one_of(st.none(), st.integers(1, 6)),
    key=st.sampled_from(["k1", "k2", "k3"]),
    fate=st.sampled_from(["answered", "answered", "answer lost", "never arrived"]),
    troubles=st.lists(
        st.sampled_from(["refused", "lost", "part", "give up"]), max_size=2, unique=True
    ).map(tuple),
    overlap_us=st.sampled_from([0, 3, 40]),
)
ACCOUNTS = st.lists(
    st.tuples(st.lists(st.integers(1, 10), min_size=1, max_size=3), st.lists(STEPS, max_size=8)),
    min_size=1,
    max_size=3,
)
Pick = Callable[[int], int]
"""Draws one of so many."""


@given(ACCOUNTS, st.booleans())
def test_what_a_correct_system_does_is_accepted(
    accounts: list[tuple[list[int], list[Step]]], records: bool
) -> None:
    assert check(history_of(accounts, records=records)).violations == ()


def one_result(
    history: History, pick: Pick, change: Callable[[PositionResult], PositionResult | None]
) -> History:
    """Change one of the results that ``change`` has another for."""
    places = [
        (number, place, changed)
        for number, end in enumerate(history.completions)
        for place, result in enumerate(end.results)
        if result.is_final and (changed := change(result)) is not None
    ]
    assume(places)
    number, place, changed = places[pick(len(places))]
    end = history.completions[number]
    results = (*end.results[:place], changed, *end.results[place + 1 :])
    ends = list(history.completions)
    ends[number] = replace(end, results=results)
    return replace(history, completions=tuple(ends))


def deal_dropped(history: History, pick: Pick) -> History:
    gone = pick(len(history.deals))
    return replace(history, deals=history.deals[:gone] + history.deals[gone + 1 :])


def deal_doubled(history: History, pick: Pick) -> History:
    again = replace(history.deals[pick(len(history.deals))], ticket=99_999)
    return replace(history, deals=(*history.deals, again))


def success_called_a_failure(history: History, pick: Pick) -> History:
    def change(result: PositionResult) -> PositionResult | None:
        if result.outcome not in ("done", "partial"):
            return None
        return replace(result, outcome="rejected", success=False, volume=0.0)

    return one_result(history, pick, change)


def failure_called_a_success(history: History, pick: Pick) -> History:
    def change(result: PositionResult) -> PositionResult | None:
        if result.outcome not in ("rejected", "already_closed"):
            return None
        return replace(result, outcome="done", success=True, volume=0.1)

    return one_result(history, pick, change)


def volume_changed(history: History, pick: Pick) -> History:
    def change(result: PositionResult) -> PositionResult | None:
        return replace(result, volume=result.volume + 0.1) if result.volume else None

    return one_result(history, pick, change)


def price_changed(history: History, pick: Pick) -> History:
    def change(result: PositionResult) -> PositionResult | None:
        price = result.closed_price
        return replace(result, closed_price=price + 0.001) if price else None

    return one_result(history, pick, change)


def money_changed(history: History, pick: Pick) -> History:
    def change(result: PositionResult) -> PositionResult | None:
        return None if result.pnl is None else replace(result, pnl=result.pnl + 0.01)

    return one_result(history, pick, change)


def requests_overlapped(history: History, pick: Pick) -> History:
    pairs = [
        (number, other)
        for number, request in enumerate(history.requests)
        for other, later in enumerate(history.requests)
        if request.user_id == later.user_id
        and request.arrived_us < later.arrived_us
        and request.answered_us is not None
    ]
    assume(pairs)
    number, other = pairs[pick(len(pairs))]
    requests = list(history.requests)
    requests[other] = replace(requests[other], arrived_us=requests[number].arrived_us + 1)
    return replace(history, requests=tuple(requests))


def sent_within_the_window(history: History, pick: Pick) -> History:
    """Let a request go out just after one that was lost."""
    pairs = [
        (number, other)
        for number, request in enumerate(history.requests)
        for other, later in enumerate(history.requests)
        if request.user_id == later.user_id
        and request.arrived_us < later.arrived_us
        and request.answered_us is None
    ]
    assume(pairs)
    number, other = pairs[pick(len(pairs))]
    requests = list(history.requests)
    requests[other] = replace(requests[other], arrived_us=requests[number].arrived_us + 1)
    return replace(history, requests=tuple(requests))


def tag_made_up(history: History, pick: Pick) -> History:
    """Let one executed close carry a comment of its own, as a second close would."""
    places = [n for n, request in enumerate(history.requests) if request.executed_us is not None]
    claimed = {result.tag for end in history.completions for result in end.results} | {
        record.tag for record in history.records
    }
    places = [n for n in places if history.requests[n].tag in claimed]
    assume(places)
    number = places[pick(len(places))]
    request = history.requests[number]
    deals = tuple(
        replace(d, comment="made up")
        if d.user_id == request.user_id and d.executed_us == request.executed_us
        else d
        for d in history.deals
    )
    requests = list(history.requests)
    requests[number] = replace(request, tag="made up")
    return replace(history, deals=deals, requests=tuple(requests))


def record_doubled(history: History, pick: Pick) -> History:
    assume(history.records)
    again = replace(history.records[pick(len(history.records))], event_id="another")
    return replace(history, records=(*history.records, again))


def records_lost(history: History, pick: Pick) -> History:
    assume(any(result.is_final for end in history.completions for result in end.results))
    return replace(history, records=())


WRONG_RESULT = {"result_mismatch", "lost_close", "results_differ"}
KINDS: dict[Callable[[History, Pick], History], set[str]] = {
    deal_dropped: {"inconsistent_book", "double_close"},
    deal_doubled: {"inconsistent_book", "double_close"},
    success_called_a_failure: {"executed_after_all", "results_differ"},
    failure_called_a_success: WRONG_RESULT,
    volume_changed: WRONG_RESULT,
    price_changed: WRONG_RESULT,
    money_changed: WRONG_RESULT,
    requests_overlapped: {"unserial_pair"},
    sent_within_the_window: {"sent_too_early"},
    tag_made_up: {"lost_close"},
    record_doubled: {"second_record"},
    records_lost: {"lost_record"},
}


@pytest.mark.parametrize("break_it", KINDS)
@settings(max_examples=40)
@given(accounts=ACCOUNTS, data=st.data())
def test_one_thing_wrong_is_refused(
    break_it: Callable[[History, Pick], History],
    accounts: list[tuple[list[int], list[Step]]],
    data: st.DataObject,
) -> None:
    needs_records = break_it in (record_doubled, records_lost)
    history = history_of(accounts, records=needs_records)
    broken = break_it(history, lambda count: data.draw(st.integers(0, count - 1)))
    assert {violation.kind.value for violation in check(broken).violations} & KINDS[break_it]
