"""A broker's own bug, and a request that is filled in part so far."""

from __future__ import annotations

import asyncio

import pytest

from engine.brokers.port import Answer, CloseOrder, Deal
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import ScriptedBroker, fill, say
from tests.unit.closing.conftest import POLICY, Desk


@pytest.mark.parametrize("failures", [1, 3, 1_000])
async def test_a_bug_in_a_read_stops_no_other_position_and_no_later_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    desk.broker.script.append(say(Verdict.BACK_OFF, 10006, "rejected"))
    deals_of, left = desk.broker.deals_of, [failures]

    async def broken(identifier: int) -> tuple[Deal, ...]:
        if identifier == 1 and desk.broker.sent and left[0]:
            left[0] -= 1
            raise RuntimeError("a bug of the broker's")
        return await deals_of(identifier)

    monkeypatch.setattr(desk.broker, "deals_of", broken)
    async with asyncio.timeout(20):
        first = await desk.closer.close_all_positions("ann", "test", idempotency_key="t1")
        left[0] = 0
        second = await desk.closer.close_all_positions("ann", "test", idempotency_key="t2")
    assert len(first.results) == 3
    assert desk.broker.open == {}
    assert second.failed_closes == 0


@pytest.mark.parametrize("answer", [Verdict.UNKNOWN, Verdict.ACCEPTED])
async def test_a_request_that_is_filled_in_part_so_far_is_waited_for(
    desk: Desk, answer: Verdict
) -> None:
    desk.broker.add(1)
    sent_at: list[float] = []

    def noted(broker: ScriptedBroker, order: CloseOrder) -> Answer:
        sent_at.append(desk.clock.seconds)
        return fill()(broker, order)

    desk.broker.script += [fill(0.4, answer, 10012), noted]
    (result,) = (await desk.closer.close_all_positions("ann", "test")).results
    assert result.outcome is Outcome.DONE
    assert sent_at[0] >= POLICY.settle_window_s
