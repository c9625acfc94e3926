"""A closed market is waited for: not final, tried again under the same key, bounded."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from engine.brokers.port import ClosedBy, Quote
from engine.bulk import close_now
from engine.errors import MarketClosed
from engine.models import CloseResult
from engine.outcomes import Outcome, Verdict
from engine.postponing import MOST_ATTEMPTS_KEPT
from tests.scripted_broker import ScriptedBroker, fill, say
from tests.unit.closing.conftest import POLICY, Desk, make_desk

WAITING = replace(POLICY, waits_for_session=True, session_probe_s=60.0, session_wait_s=3600.0)
CLOSED = say(Verdict.MARKET_CLOSED, 10018, "market closed")


class HourlyBroker(ScriptedBroker):
    """A broker that knows its sessions."""

    opens_s: float | None = 100.0

    async def opens_in_s(self, symbol: str) -> float | None:
        return self.opens_s


@pytest.fixture
def desk() -> Desk:
    return make_desk(WAITING)


def tick(desk: Desk, time_ms: int) -> None:
    async def quote(symbol: str) -> Quote:
        return Quote(symbol, 1.0, 1.1, time_ms)

    desk.broker.quote = quote  # type: ignore[method-assign]


async def refused(desk: Desk, key: str | None = None) -> MarketClosed:
    with pytest.raises(MarketClosed) as caught:
        await desk.close(key=key)
    return caught.value


async def test_nothing_is_final_and_the_key_is_free(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    waiting = await refused(desk)
    assert (waiting.symbol, waiting.position_id, waiting.ticket) == ("EURUSD", "1", 1)
    assert waiting.opens_in_s is None
    assert desk.ledger.entries == []
    assert desk.account.memory.refs_under("1") == ()
    assert len(desk.broker.sent) == 1, "no retries: the market will not open in seconds"


async def test_without_waiting_retries_are_bounded_and_the_refusal_is_final() -> None:
    desk = make_desk(POLICY)
    desk.broker.add(1)
    desk.broker.script.extend([CLOSED] * 20)
    assert (await desk.close()).outcome is Outcome.REJECTED
    assert len(desk.broker.sent) == POLICY.most_attempts


async def test_it_is_not_asked_again_while_nothing_has_changed(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.extend([CLOSED, CLOSED])
    await refused(desk)
    desk.clock.seconds += 59
    await refused(desk)
    assert len(desk.broker.sent) == 1
    desk.clock.seconds += 2
    await refused(desk)
    assert len(desk.broker.sent) == 2


async def test_a_new_tick_is_worth_another_try(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    await refused(desk)
    tick(desk, 1)
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    ((_, evidence),) = desk.ledger.entries
    assert [a.verdict for a in evidence.attempts] == [Verdict.MARKET_CLOSED, Verdict.DONE]
    assert [a.number for a in evidence.attempts] == [1, 2]
    assert [order.attempt for order in desk.broker.sent] == [1, 2]


async def test_no_tick_at_all_is_no_news(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    real, fails = desk.broker.quote, True

    async def quote(symbol: str) -> Quote:
        if fails:
            desk.broker.unreadable = 1
        return await real(symbol)

    desk.broker.quote = quote  # type: ignore[method-assign]
    await refused(desk)
    await refused(desk)
    assert len(desk.broker.sent) == 1


async def test_the_wait_is_bounded(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.extend([CLOSED] * 100)
    tries = 0
    while desk.clock.seconds < 3600:
        await refused(desk)
        desk.clock.seconds += 61
        tries += 1
    result = await desk.close()
    assert result.outcome is Outcome.REJECTED
    assert "session_wait_s=3600.0" in (result.error_message or "")
    assert result.attempts == len(desk.broker.sent) == tries + 1
    ((_, evidence),) = desk.ledger.entries
    assert len(evidence.attempts) == MOST_ATTEMPTS_KEPT + 1
    assert [evidence.attempts[0].number, evidence.attempts[-1].number] == [1, tries + 1]


async def test_what_may_have_moved_volume_stays_in_evidence(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    desk.broker.script.extend([CLOSED, fill(0.4, Verdict.PARTIAL, 10010), *[CLOSED] * 45])
    for _ in range(45):
        await refused(desk)
        desk.clock.seconds += 61
    desk.broker.script.clear()
    result = await desk.close()
    assert (result.outcome, result.volume) == (Outcome.DONE, 1.0)
    verdicts = [a.verdict for a in desk.ledger.entries[0][1].attempts]
    assert verdicts.count(Verdict.PARTIAL) == 1
    assert verdicts[-1] is Verdict.DONE


async def test_a_position_that_is_gone_when_the_market_opens_is_told_as_what_it_is(
    desk: Desk,
) -> None:
    position = desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    await refused(desk)
    desk.broker.take_out(position, 1.0, 1.0, "", ClosedBy.STOP_LOSS)
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.ALREADY_CLOSED, 1)


async def test_a_broker_that_knows_its_sessions_is_believed() -> None:
    desk = make_desk(WAITING)
    desk.broker = HourlyBroker(desk.broker.open, desk.broker.deals)
    account = desk.account = desk.life(policy=WAITING)
    desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    assert (await refused(desk)).opens_in_s == 100.0
    tick(desk, 5)
    assert "for another 100 s" in str(await refused(desk))
    assert len(desk.broker.sent) == 1, "prices move before the market opens"
    desk.broker.opens_s = 0.0
    assert (await account.close(desk.request())).outcome is Outcome.DONE


async def test_a_bulk_call_tells_what_waits_from_what_is_final(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket, profit=float(ticket))
    desk.broker.script.extend([fill(), CLOSED])
    outcome = await close_now(
        desk.account, None, close_reason="t", key="k", initiator="t", clock=desk.clock
    )
    assert [r.ticket for r in outcome.results.results] == [1, 3]
    assert [w.ticket for w in outcome.waiting] == [2]
    assert outcome.results.failed_closes == 0
    counted = outcome.with_waiting(desk.clock)
    assert (counted.total_positions, counted.failed_closes) == (3, 1)
    assert "market of EURUSD is closed" in (counted.results[-1].error_message or "")


async def test_each_entry_keeps_its_place(desk: Desk) -> None:
    for ticket in (1, 2, 3):
        desk.broker.add(ticket)
    desk.broker.script.extend([fill(), CLOSED])
    ended = await desk.account.close_each([desk.request(t, "k") for t in (1, 2, 3)])
    assert [type(e) for e in ended] == [CloseResult, MarketClosed, CloseResult]


async def test_the_public_closer_counts_what_waits_as_failed(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(CLOSED)
    done = await desk.closer.close_all_positions("ann", "test")
    assert (done.total_positions, done.failed_closes) == (1, 1)


def test_it_travels_between_processes() -> None:
    waiting = MarketClosed("EURUSD", "p1", 7, 12.5)
    again = pickle.loads(pickle.dumps(waiting))
    assert str(again) == str(waiting)
    assert (again.symbol, again.opens_in_s) == ("EURUSD", 12.5)
