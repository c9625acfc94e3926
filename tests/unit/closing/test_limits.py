"""Where the promises of closing end: what really happens there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.errors import MarketClosed
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import say
from tests.unit.closing.conftest import POLICY, Desk, make_desk


async def test_two_engines_that_know_nothing_of_each_other_send_at_the_same_time(
    desk: Desk,
) -> None:
    """Leases are numbered by one journal: with a journal each, nobody is told of the other."""
    desk.broker.add(1)
    desk.broker.add(2)
    stranger = desk.life()
    await asyncio.gather(desk.close(1), stranger.close(desk.request(2)))
    assert desk.broker.most_in_flight == 2


async def test_an_invalid_entry_of_a_bulk_call_is_refused_anew_each_time(desk: Desk) -> None:
    desk.broker.add(1)
    bad = {"position_id": "1", "ticket": 0}

    async def close(entry: dict[str, object]) -> tuple[bool, float]:
        bulk = await desk.closer.close_all_positions("ann", "test", [entry], idempotency_key="k")
        (result,) = bulk.results
        return result.success, result.close_timestamp.timestamp()

    first = await close(bad)
    desk.clock.seconds += 5
    second = await close(bad)
    assert (first[0], second[0]) == (False, False)
    assert second[1] == pytest.approx(first[1] + 5)
    assert (await close({**bad, "ticket": 1}))[0], "the key was not used up by it"


async def test_a_key_whose_record_is_out_of_reach_is_a_new_request(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.add(2)
    done = await desk.close(1, "k")
    desk.broker.script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    failed = await desk.close(2, "k")
    forgetful = desk.life()
    again = await forgetful.close(desk.request(1, "k"))
    assert (again.success, again.volume, again.pnl) == (True, done.volume, done.pnl)
    assert len(desk.broker.sent) == 2, "the success is seen at the broker"
    tried = await forgetful.close(desk.request(2, "k"))
    assert (failed.outcome, tried.outcome) == (Outcome.REJECTED, Outcome.DONE)
    assert len(desk.broker.sent) == 3, "the failure is tried again"


async def test_whose_order_closed_it_is_told_its_part_once_another_key_has_the_success(
    desk: Desk,
) -> None:
    desk.broker.add(1)
    await desk.close(1, "first")
    heir = desk.life()  # the life that closed it died over it: nothing is on record
    desk.ledger.entries.clear()
    second = await heir.close(desk.request(1, "second"))
    first = await heir.close(desk.request(1, "first"))
    assert (second.success, second.outcome) == (True, Outcome.ALREADY_CLOSED)
    assert (first.success, first.outcome, first.volume) == (True, Outcome.PARTIAL, 1.0)
    assert len(desk.broker.sent) == 1


async def test_what_a_closed_market_refused_is_in_no_record_if_another_key_closes_it() -> None:
    desk = make_desk(replace(POLICY, waits_for_session=True, session_probe_s=60.0))
    desk.broker.add(1)
    desk.broker.script.append(say(Verdict.MARKET_CLOSED, 10018, "market closed"))
    with pytest.raises(MarketClosed):
        await desk.close(1, "refused")
    desk.clock.seconds += 61
    closed = await desk.close(1, "other")
    assert await desk.close(1, "refused") == closed
    ((_, evidence),) = desk.ledger.entries
    assert len(desk.broker.sent) == 2
    assert [attempt.verdict for attempt in evidence.attempts] == [Verdict.DONE]


async def test_real_money_is_what_the_broker_calls_it(desk: Desk) -> None:
    """The engine has no other source: an account called a demo is closed without leave."""
    desk.broker.add(1)
    assert not desk.broker.account_state.is_real
    assert (await desk.close()).outcome is Outcome.DONE
    desk.broker.account_state = replace(desk.broker.account_state, is_real=True)
    desk.broker.add(2)
    assert (await desk.close(2)).outcome is Outcome.NOT_SENT
