"""Every kind of violation, each in the smallest history that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.history import Header, History
from audit.history.verdict import Kind
from tests.unit.history.scenes import (
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

RECORDED = Header(settle_window_us=1_000, records=True)
REFUSED = result(outcome="rejected", success=False, volume=0, closed_price=None, pnl=None)
GONE = result(outcome="already_closed", volume=0, close_id="id2", tag="T2", key="k2", pnl=-27.0)
BY_STOP = leaving(tag="[sl]", who="stop loss", arrived_us=None)


def again(at: int = 300, **changed: object) -> History:
    """Make a second call, after the first is over."""
    second = result(**changed)
    return good(
        invocations=(invoked(), invoked("c2", at, key=second.key)),
        completions=(completed(), completed("c2", at + 50, second)),
    )


CASES = [
    pytest.param(
        good(deals=(entry(), leaving(), leaving(at=140)), requests=(request(), request(at=140))),
        "double_close",
        id="more lots left than had entered",
    ),
    pytest.param(
        good(
            invocations=(invoked(), invoked("c2", 130, key="k2")),
            completions=(completed(), completed("c2", 200, result(key="k2", tag="T2"))),
            deals=(entry(), leaving(), leaving(at=140, tag="T2")),
            requests=(request(), request(at=140, tag="T2")),
        ),
        "double_close",
        id="two full closes, each executed",
    ),
    pytest.param(
        good(
            invocations=(invoked(volume=0.25),),
            completions=(completed("c1", 200, result(outcome="partial", volume=0.5, pnl=None)),),
            deals=(entry(), leaving(volume=0.25), leaving(at=140, volume=0.25)),
            requests=(
                request(volume=0.25, executed_volume=0.25),
                request(at=140, volume=0.25, executed_volume=0.25),
            ),
        ),
        "double_close",
        id="a part was taken twice",
    ),
    pytest.param(
        good(deals=(entry(), leaving(volume=0.5)), requests=(request(executed_volume=0.5),)),
        "lost_close",
        id="less was closed than the result says",
    ),
    pytest.param(
        good(
            completions=(completed("c1", 200, replace(GONE, key="k1")),),
            deals=(entry(),),
            requests=(),
        ),
        "lost_close",
        id="already closed, yet open",
    ),
    pytest.param(
        good(completions=(completed(results=()),), deals=(entry(),), requests=()),
        "lost_close",
        id="acknowledged, never closed",
    ),
    pytest.param(
        good(
            completions=(completed("c1", 200, replace(REFUSED, outcome="not_found", tag="")),),
            deals=(entry(), replace(BY_STOP, executed_us=150, time_us=150)),
            requests=(),
        ),
        "lost_close",
        id="not found, though it was there",
    ),
    pytest.param(good(invocations=(), completions=()), "unclaimed_close", id="nobody asked for it"),
    pytest.param(
        good(completions=(completed("c1", 200, REFUSED),)),
        "executed_after_all",
        id="rejected, yet executed",
    ),
    pytest.param(
        good(completions=(completed("c1", 200, result(closed_price=1.26)),)),
        "result_mismatch",
        id="another price",
    ),
    pytest.param(
        good(completions=(completed("c1", 200, result(pnl=-25.0)),)),
        "result_mismatch",
        id="entry's costs forgotten",
    ),
    pytest.param(
        good(completions=(completed("c1", 200, result(volume=0.5)),)),
        "result_mismatch",
        id="more was closed than the result says",
    ),
    pytest.param(
        good(completions=(completed("c1", 200, result(outcome="partial", pnl=-25.0)),)),
        "result_mismatch",
        id="success in part of a call for all",
    ),
    pytest.param(again(pnl=-26.0), "results_differ", id="another result for the same key"),
    pytest.param(again(100, key="k2", volume=0.5), "results_differ", id="a tag with two results"),
    pytest.param(
        again(key="k2", outcome="already_closed", volume=0, close_id="id2", tag="T2"),
        "success_not_final",
        id="another key asked anew",
    ),
    pytest.param(
        good(
            invocations=(invoked(), invoked("c2", 110, volume=0.5)),
            completions=(completed(), completed("c2", 210)),
        ),
        "key_conflict",
        id="the same key with another volume",
    ),
    pytest.param(
        good(header=RECORDED, records=(record(), record(event_id="event-2"))),
        "second_record",
        id="two records",
    ),
    pytest.param(
        good(header=RECORDED, records=(record(outcome="rejected", volume=0.0),)),
        "record_mismatch",
        id="the record says otherwise",
    ),
    pytest.param(
        good(header=RECORDED, completions=(completed("c1", 200, result(durable=True)),)),
        "lost_record",
        id="durable without a record",
    ),
    pytest.param(good(requests=()), "inconsistent_book", id="a deal of ours without a request"),
    pytest.param(
        good(positions=(position(open_volume=1.0),)),
        "inconsistent_book",
        id="listed as open, though its deals closed it",
    ),
    pytest.param(
        good(deals=(entry(), leaving(), replace(entry(9), user_id="bob"))),
        "inconsistent_book",
        id="a deal of a position that is not listed",
    ),
    pytest.param(
        good(requests=(request(arrived_us=130),)),
        "inconsistent_book",
        id="answered before it arrived",
    ),
    pytest.param(
        good(invocations=(invoked("c1", 130),)),
        "no_explanation",
        id="executed before it was asked for",
    ),
]


@pytest.mark.parametrize(("history", "kind"), CASES)
def test_is_refused(history: History, kind: str) -> None:
    assert kind in kinds(history)


def test_every_kind_has_a_history_that_shows_it() -> None:
    here = {str(case.values[1]) for case in CASES}
    elsewhere = {"unserial_pair", "sent_too_early", "stale_request", "undecided"}
    assert here | elsewhere == {kind.value for kind in Kind}


@pytest.mark.parametrize(("status", "is_doubled"), [("unknown", False), ("fail", True)])
def test_an_entry_refused_in_a_call_that_was_repeated_may_have_acted_before(
    status: str, is_doubled: bool
) -> None:
    refused = replace(REFUSED, close_id="", tag="")
    history = good(
        invocations=(invoked(), invoked("c2", at=110, volume=0.2)),
        completions=(
            completed("c1", 300, refused, status=status),
            completed("c2", 310, result(outcome="partial", volume=1.0)),
        ),
    )
    assert ("double_close" in kinds(history)) is is_doubled
