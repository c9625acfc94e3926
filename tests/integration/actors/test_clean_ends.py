"""A life that leaves something to be found at the broker does not end cleanly."""

from __future__ import annotations

import asyncio

import pytest

from actors.messages import EpisodeState
from audit.records import EventType
from engine.brokers.port import ClosedBy, Deal
from engine.models import Severity
from engine.outcomes import Outcome, Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.local_stage import spec
from tests.integration.actors.test_exactly_once import liquidate, records, results, trigger, until
from tests.integration.actors.test_supervisor import kill_all_tasks
from tests.scripted_broker import fill, say


async def add_again(local: Local) -> None:
    """End ann's life as an operator does, and begin another."""
    await local.supervisor.remove_account("ann")
    await local.supervisor.add_accounts([spec("ann")])


async def next_supervisor(local: Local, **changes: object) -> None:
    local.another_life(**changes)
    await local.supervisor.accounts()
    await until(lambda: not local.supervisor._roster["ann"].is_lost)


async def test_an_order_of_a_dead_life_is_waited_for_though_a_life_without_orders_came_between(
    local: Local,
) -> None:
    local.another_life(settle_window_s=5.0)
    await local.add("ann")
    await local.stage.kill_account("ann")
    await next_supervisor(local)
    await add_again(local)
    begun = await records(local, EventType.STREAM_OPENED)
    waits = [r.meta_data["waits_for_predecessor_s"] for r in begun if r.user_id == "ann"]
    assert waits == [0.0, 5.0, 5.0]


async def test_a_life_that_has_waited_and_found_nothing_ends_cleanly(local: Local) -> None:
    # The lease of the life that was killed is over when the third one begins.
    local.another_life(settle_window_s=0.05, deal_lag_s=0.05, lease_s=0.1)
    await local.add("ann")
    await liquidate(local, trigger("ann", trigger_id="t", severity=Severity.WARNING))
    await local.stage.kill_account("ann")
    await next_supervisor(local)
    await asyncio.sleep(0.15)
    await add_again(local)
    begun = await records(local, EventType.STREAM_OPENED)
    waits = [r.meta_data["waits_for_predecessor_s"] for r in begun if r.user_id == "ann"]
    assert waits == [0.0, 0.05, 0.0]


async def test_a_broker_that_does_not_answer_holds_up_no_release(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.life.LAST_LOOK_S", 0.05)
    local.another_life(settle_window_s=0.05, deal_lag_s=0.05)
    await local.add("ann")
    await local.stage.kill_account("ann")
    await next_supervisor(local)
    await asyncio.sleep(0.15)

    async def deals_between(since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        await asyncio.sleep(1_000)
        return ()

    monkeypatch.setattr(local.stage.broker("ann"), "deals_between", deals_between)
    async with asyncio.timeout(5):
        await local.supervisor.remove_account("ann")
    assert await records(local, EventType.STREAM_CLOSED) == [], "nobody knows"


@pytest.mark.parametrize("has_looked", [False, True])
async def test_what_a_dead_life_closed_is_found_though_a_life_without_orders_came_between(
    away: Local, has_looked: bool
) -> None:
    again = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    submitting = asyncio.create_task(away.supervisor.submit([again]))
    broker = away.stage.broker("ann")
    await until(lambda: not broker.open)
    await kill_all_tasks()
    await away.stage.kill_account("ann")
    assert submitting.cancelled()
    away.stage.local_audit.failures = 0
    await next_supervisor(away, settle_window_s=0.05, deal_lag_s=0.05 if has_looked else 2.0)
    await asyncio.sleep(0.15)
    await add_again(away)
    (report,) = await liquidate(away, again)
    told = {(r.ticket, r.outcome) for r in results(report)}
    assert told == {(ticket, Outcome.DONE) for ticket in (1, 2, 3)}
    assert len(await records(away, EventType.POSITION_CLOSED)) == len(broker.sent) == 3


async def test_a_part_closed_before_a_shutdown_is_told_though_the_rest_was_closed_by_hand(
    local: Local,
) -> None:
    await local.add("ann", positions=1)
    broker = local.stage.broker("ann")
    broker.script += [fill(0.4, Verdict.PARTIAL, 10010), say(Verdict.MARKET_CLOSED, 10018)]
    mandate = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    await local.supervisor.submit([mandate])
    waiting = local.supervisor._episodes._episodes["t"]
    await until(lambda: waiting.state is EpisodeState.WAITING)
    await local.supervisor.shutdown()
    broker.take_out(broker.open[1], 0.6, 1.0, "", ClosedBy.HAND)
    local.another_life()
    await local.supervisor.add_accounts([spec("ann")])
    (report,) = await local.supervisor.reports(["t"])
    (result,) = results(report)
    assert (result.ticket, result.volume) == (1, 0.4)
    (record,) = await records(local, EventType.POSITION_CLOSED)
    assert (record.ticket, record.volume) == (1, 0.4)
