"""A close that is let go while it waits for its market: final as it stands, nothing more sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.brokers.port import ClosedBy, MarginMode, Side
from engine.closing import AccountCloser
from engine.errors import MarketClosed
from engine.models import CloseResult
from engine.ordering import ClosingQueue
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import fill, say
from tests.unit.closing.conftest import POLICY, Desk, make_desk

WAITING = replace(POLICY, waits_for_session=True, session_probe_s=60.0, session_wait_s=3600.0)
CLOSED = say(Verdict.MARKET_CLOSED, 10018, "market closed")
PART = fill(0.25, Verdict.PARTIAL, 10010)


@pytest.fixture
def desk() -> Desk:
    desk = make_desk(WAITING)
    desk.broker.add(1, volume=1.0)
    return desk


async def put_off(desk: Desk, volume: float | None = None) -> None:
    with pytest.raises(MarketClosed):
        await desk.close(key="k", volume=volume)


async def let_go(desk: Desk, key: str = "k", account: AccountCloser | None = None) -> CloseResult:
    sent = len(desk.broker.sent)
    requests = [desk.request(key=key)]
    (result,) = await (account or desk.account).close_each(ClosingQueue(requests, concludes=True))
    assert isinstance(result, CloseResult)
    assert len(desk.broker.sent) == sent, "a close that was let go has sent something"
    return result


@pytest.mark.parametrize("unseen", [0, 3], ids=["deals are there", "deals lag"])
async def test_what_was_executed_is_told_and_recorded(desk: Desk, unseen: int) -> None:
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    assert desk.ledger.entries == []
    desk.broker.hidden_deal_reads = unseen
    result = await let_go(desk)
    assert (result.outcome, result.volume, result.attempts) == (Outcome.PARTIAL, 0.25, 2)
    assert not result.success
    assert "not to be waited for any longer" in (result.error_message or "")
    assert "10018 market closed" in (result.error_message or "")
    ((recorded, evidence),) = desk.ledger.entries
    assert recorded == result
    assert [a.verdict for a in evidence.attempts] == [Verdict.PARTIAL, Verdict.MARKET_CLOSED]
    assert [d.volume for d in evidence.deals if d.comment] == [0.25]


async def test_what_was_only_refused_is_rejected(desk: Desk) -> None:
    desk.broker.script.append(CLOSED)
    await put_off(desk)
    result = await let_go(desk)
    assert (result.outcome, result.volume, result.attempts) == (Outcome.REJECTED, 0.0, 1)


async def test_what_was_never_sent_is_not_sent(desk: Desk) -> None:
    assert (await let_go(desk)).outcome is Outcome.NOT_SENT


async def test_it_is_final_for_its_own_key_only(desk: Desk) -> None:
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    first = await let_go(desk)
    assert await desk.close(key="k") == first
    other = await desk.close(key="other")
    assert (other.outcome, other.volume) == (Outcome.DONE, 0.75)


async def test_what_another_key_has_closed_meanwhile_has_both_explained(desk: Desk) -> None:
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    desk.clock.seconds += 61
    full = await desk.close(key="other")
    result = await let_go(desk)
    assert (full.outcome, full.volume) == (Outcome.DONE, 0.75)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, 0.25)


async def test_what_is_gone_meanwhile_is_told_as_what_it_is(desk: Desk) -> None:
    desk.broker.script.append(CLOSED)
    await put_off(desk)
    desk.broker.take_out(desk.broker.open[1], 1.0, 1.0, "", ClosedBy.STOP_LOSS)
    assert (await let_go(desk)).outcome is Outcome.ALREADY_CLOSED


async def test_the_next_life_knows_from_the_deals_what_was_executed(desk: Desk) -> None:
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    later = desk.life(policy=WAITING)
    later.wait_for_predecessor()
    result = await let_go(desk, account=later)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, 0.25)


async def test_an_unread_broker_does_not_make_it_forget_what_was_executed(desk: Desk) -> None:
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    desk.broker.unreadable = 10**6
    result = await let_go(desk)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, 0.25)


async def test_a_part_that_deals_do_not_show_yet_is_not_closed_again(desk: Desk) -> None:
    desk.broker.script.extend([fill(0.5, Verdict.PARTIAL, 10010), CLOSED])
    await put_off(desk, volume=0.4)
    desk.clock.seconds += 61
    desk.broker.hidden_deal_reads = 2
    result = await desk.close(key="k", volume=0.4)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, 0.4)
    assert desk.broker.open[1].volume == pytest.approx(0.6)


async def test_on_a_netting_account_nothing_is_undone(desk: Desk) -> None:
    desk.broker.account_state = replace(desk.broker.account_state, margin_mode=MarginMode.NETTING)
    desk.broker.script.extend([PART, CLOSED])
    await put_off(desk)
    tag = desk.broker.sent[0].tag
    desk.broker.open[7] = replace(desk.broker.add(7), side=Side.SHORT, comment=tag)
    result = await let_go(desk)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, 0.25)
    assert desk.ledger.reversals == []
