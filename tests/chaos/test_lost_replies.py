"""Replies are lost on their way, though nothing dies: no order is sent a second time."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chaos.engine_runs import answers_of, venue_of, write_plan

EACH = 4
LOST = json.dumps(
    {"CoreWorkerService.grpc_client.PushTask": {"num_failures": 8, "resp_failure_prob": 30}}
)
"""In every process of the engine: answers to calls, three of ten, up to eight, are lost."""


def test_lost_replies_cause_no_second_order(tmp_path: Path) -> None:
    with venue_of(EACH, "ann", "bob", latency_ms=5.0) as venue:
        tickets = [position["ticket"] for position in venue.control.book(1).positions]
        closes = [["close", "ann", ticket, f"key {ticket}"] for ticket in tickets]
        result = ["result", "bob"]
        steps = [*closes, ["submit", "bob"], result, *closes, result, ["repeated"]]
        plan = write_plan(tmp_path, venue, steps, settle_window_s=1.0, deal_lag_s=1.0)
        *answers, repeated = answers_of(plan, RAY_testing_rpc_failure=LOST)
        counts = list(venue.control.counts().values())

    # Nothing was wrong at the venue: one request for each position is all that it may take.
    assert [account.requests for account in counts] == [EACH] * 2
    assert [account.closes for account in counts] == [EACH] * 2
    assert [account.double_closes for account in counts] == [(), ()]
    first, again = answers[: EACH + 2], answers[EACH + 2 :]
    assert [*first[:EACH], first[-1]] == again
    assert all(done["success"] for done in [*again[:EACH], *again[EACH]])
    assert len(again[EACH]) == EACH
    assert repeated > 0, "no reply was lost, so nothing was tried"
