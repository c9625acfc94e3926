"""Given the broker's answer: the outcome, and what the closer does next."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.brokers.port import ClosedBy, MarginMode
from engine.errors import WrongAccount
from engine.outcomes import Outcome, Verdict
from engine.policy import ClosingPolicy
from tests.scripted_broker import fail, fill, say
from tests.unit.closing.conftest import Desk, make_desk


async def test_a_part_is_followed_by_the_rest(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    desk.broker.script.extend(
        [fill(0.3, Verdict.PARTIAL, 10010), fill(0.5, Verdict.PARTIAL, 10010)]
    )
    result = await desk.close()
    assert (result.outcome, result.attempts, result.volume) == (Outcome.DONE, 3, 1.0)
    assert [o.volume for o in desk.broker.sent] == [1.0, 0.7, 0.35]


@pytest.mark.parametrize("verdict", [Verdict.RETRY_NOW, Verdict.MEND])
async def test_at_once_again(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(verdict, 10004))
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert sum(desk.clock.sleeps) == 0


@pytest.mark.parametrize("verdict", [Verdict.BACK_OFF, Verdict.MARKET_CLOSED])
async def test_later_again(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.extend([say(verdict), say(verdict)])
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 3)
    first, second = [s for s in desk.clock.sleeps if s > 0]
    assert 0 < first < second


@pytest.mark.parametrize("verdict", [Verdict.RETRY_NOW, Verdict.BACK_OFF, Verdict.MARKET_CLOSED])
async def test_retries_end(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.extend([say(verdict, 10021, "price off")] * 50)
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.REJECTED, 5)
    assert "gave up after 5 attempts" in (result.error_message or "")
    assert "10021 price off" in (result.error_message or "")
    assert 1 in desk.broker.open


async def test_the_same_mend_is_tried_once(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.extend([say(Verdict.MEND, 10030)] * 5)
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.REJECTED, 2)


@pytest.mark.parametrize("verdict", [Verdict.OPERATOR, Verdict.OLDEST_FIRST])
async def test_what_only_a_person_can_change_fails_at_once(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(verdict, 10019, "no money"))
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.REJECTED, 1)
    assert result.error_message == "10019 no money"


async def test_surely_not_sent(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(Verdict.NOT_SENT, -2, 'Invalid "volume" argument'))
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.NOT_SENT, 1)


UNPROVEN = [Verdict.UNKNOWN, Verdict.ACCEPTED, Verdict.MAYBE_MET, Verdict.SETTLE_FIRST]


@pytest.mark.parametrize("verdict", UNPROVEN)
async def test_unproven_but_executed_is_done_once(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.append(fill(1.0, verdict, 10012))
    result = await desk.close()
    assert (result.outcome, result.attempts, result.closed_price) == (Outcome.DONE, 1, 1.05)
    assert len(desk.broker.sent) == 1


@pytest.mark.parametrize("verdict", UNPROVEN)
async def test_unproven_and_not_executed_waits_out_the_window(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.script.append(say(verdict, 10012))
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert desk.clock.seconds >= 10.0


async def test_an_exception_from_the_broker_is_unknown_not_refused(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.script.append(fail(ConnectionResetError("pipe"), after_execution=True))
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 1)
    attempt = desk.ledger.entries[0][1].attempts[0]
    assert attempt.verdict is Verdict.UNKNOWN
    assert "ConnectionResetError: pipe" in attempt.text


async def test_an_unknown_that_executes_late_is_not_sent_again(desk: Desk) -> None:
    position = desk.broker.add(1)
    desk.broker.script.append(say(Verdict.UNKNOWN, 10012))
    task = asyncio.create_task(desk.close())
    while desk.clock.seconds < 8.0:  # noqa: ASYNC110  # virtual time
        await asyncio.sleep(0)
    desk.broker.take_out(position, 1.0, 1.02, desk.broker.sent[0].tag, ClosedBy.EXPERT)
    result = await task
    assert (result.outcome, result.attempts, result.closed_price) == (Outcome.DONE, 1, 1.02)
    assert len(desk.broker.sent) == 1


async def test_an_unknown_half_that_executed_is_followed_by_the_rest(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    desk.broker.script.append(fill(0.4, Verdict.UNKNOWN, 10012))
    result = await desk.close()
    assert (result.outcome, result.volume) == (Outcome.DONE, 1.0)
    assert [o.volume for o in desk.broker.sent] == [1.0, 0.6]


@pytest.mark.parametrize("verdict", [Verdict.DONE, Verdict.UNKNOWN])
async def test_a_position_that_lingers_is_not_closed_again(desk: Desk, verdict: Verdict) -> None:
    desk.broker.add(1)
    desk.broker.linger_reads = 4
    desk.broker.script.append(fill(1.0, verdict))
    assert (await desk.close(key="a")).outcome is Outcome.DONE
    assert (await desk.close(key="b")).outcome is Outcome.DONE
    assert len(desk.broker.sent) == 1


async def test_a_lingering_part_is_not_closed_twice(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    desk.broker.linger_reads = 3
    desk.broker.script.append(fill(0.4, Verdict.PARTIAL, 10010))
    result = await desk.close()
    assert result.outcome is Outcome.DONE
    assert [o.volume for o in desk.broker.sent] == [1.0, 0.6]


async def test_a_lingering_part_is_not_closed_twice_under_another_key(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    desk.broker.linger_reads = 5
    await desk.close(key="part", volume=0.4)
    result = await desk.close(key="rest")
    assert result.outcome is Outcome.DONE
    assert [o.volume for o in desk.broker.sent] == [0.4, 0.6]


async def test_late_deals_are_waited_for(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.hidden_deal_reads = 4
    result = await desk.close()
    assert (result.outcome, result.closed_price) == (Outcome.DONE, 1.05)
    assert result.pnl == -6.0


async def test_late_deals_do_not_hold_up_the_next_order(desk: Desk) -> None:
    desk.broker.add(1, profit=-2)
    desk.broker.add(2, profit=-1)
    desk.broker.hidden_deal_reads = 3
    done = await desk.closer.close_all_positions("ann", "test")
    assert [r.outcome for r in done.results] == [Outcome.DONE, Outcome.DONE]
    sent_second = desk.ledger.entries[-1][1].attempts[0].sent_us
    assert sent_second == desk.clock.start_us, "order 2 left before any waiting for deals of 1"


async def test_deals_that_never_come_leave_the_price_of_the_answer(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.hidden_deal_reads = 10_000
    result = await desk.close()
    assert (result.outcome, result.closed_price, result.pnl) == (Outcome.DONE, 1.05, None)
    assert desk.clock.seconds >= 2.0


@pytest.mark.parametrize(
    ("by", "who"),
    [
        (ClosedBy.STOP_LOSS, "stop loss"),
        (ClosedBy.TAKE_PROFIT, "take profit"),
        (ClosedBy.STOP_OUT, "stop-out"),
        (ClosedBy.HAND, "by hand"),
    ],
)
async def test_closed_by_others(desk: Desk, by: ClosedBy, who: str) -> None:
    position = desk.broker.add(1)
    desk.broker.take_out(position, 1.0, 1.07, "", by)
    result = await desk.close()
    assert (result.success, result.outcome, result.attempts) == (True, Outcome.ALREADY_CLOSED, 0)
    assert (result.closed_price, result.pnl, result.volume) == (1.07, -4.0, 0.0)
    assert desk.ledger.entries[0][1].closed_by == who
    assert desk.broker.sent == []


async def test_neither_position_nor_deals_is_not_found(desk: Desk) -> None:
    result = await desk.close(42)
    assert (result.success, result.outcome) == (False, Outcome.NOT_FOUND)
    assert "ticket=42" in (result.error_message or "")


async def test_a_broker_that_cannot_be_read_is_not_sent(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.unreadable = 10_000
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.NOT_SENT, 0)
    assert "could not be read" in (result.error_message or "")


async def test_a_read_that_fails_for_a_while_is_repeated(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.unreadable = 3
    assert (await desk.close()).outcome is Outcome.DONE


async def test_evidence_that_stays_away_is_unknown_never_guessed(desk: Desk) -> None:
    desk.broker.add(1)

    def vanish(broker: object, order: object) -> None:
        desk.broker.unreadable = 10_000
        raise TimeoutError

    desk.broker.script.append(vanish)  # type: ignore[arg-type]
    result = await desk.close()
    assert (result.success, result.outcome, result.attempts) == (False, Outcome.UNKNOWN, 1)
    assert "evidence stayed away" in (result.error_message or "")


async def test_one_order_at_a_time_however_many_ask(desk: Desk) -> None:
    for ticket in range(1, 9):
        desk.broker.add(ticket)
    results = await asyncio.gather(*(desk.close(t) for t in range(1, 9)), desk.close(1))
    assert all(r.success for r in results)
    assert desk.broker.most_in_flight == 1
    assert len(desk.broker.sent) == 8


async def test_largest_loss_first_and_oldest_first_on_fifo_accounts(desk: Desk) -> None:
    for ticket, profit in ((1, -1.0), (2, -9.0), (3, 4.0)):
        desk.broker.add(ticket, profit=profit)
    await desk.closer.close_all_positions("ann", "test")
    assert [o.ticket for o in desk.broker.sent] == [2, 1, 3]
    fifo = make_desk()
    fifo.broker.account_state = replace(fifo.broker.account_state, fifo=True)
    for ticket, profit in ((1, -1.0), (2, -9.0), (3, 4.0)):
        fifo.broker.add(ticket, profit=profit)
    await fifo.closer.close_all_positions("ann", "test")
    assert [o.ticket for o in fifo.broker.sent] == [1, 2, 3]


async def test_a_volume_below_the_symbols_step_is_not_sent(desk: Desk) -> None:
    desk.broker.add(1, volume=1.0)
    result = await desk.close(volume=0.05)
    assert (result.outcome, result.attempts) == (Outcome.NOT_SENT, 0)
    assert "steps of 0.1" in (result.error_message or "")


async def test_volumes_are_whole_steps_in_spite_of_binary_floats(desk: Desk) -> None:
    desk.broker.add(1, volume=0.3)
    result = await desk.close(volume=0.3 - 0.1)
    assert [o.volume for o in desk.broker.sent] == [0.2]
    assert result.outcome is Outcome.PARTIAL


async def test_observing_sends_nothing() -> None:
    desk = make_desk(ClosingPolicy(sends_orders=False))
    desk.broker.add(1)
    result = await desk.close()
    assert (result.outcome, desk.broker.sent) == (Outcome.NOT_SENT, [])
    assert "observe" in (result.error_message or "")
    assert len(desk.ledger.entries) == 1


async def test_real_money_needs_leave() -> None:
    outcomes = []
    for allow in (False, True):
        desk = make_desk(ClosingPolicy(allow_live=allow))
        desk.broker.account_state = replace(desk.broker.account_state, is_real=True)
        desk.broker.add(1)
        outcomes.append((await desk.close()).outcome)
    assert outcomes == [Outcome.NOT_SENT, Outcome.DONE]


async def test_a_terminal_that_changes_accounts_in_mid_close_is_unknown(desk: Desk) -> None:
    desk.broker.add(1)

    def switch(broker: object, order: object) -> None:
        async def wrong() -> None:
            raise WrongAccount("login 8 instead of 7")

        desk.broker.account = wrong  # type: ignore[method-assign, assignment]
        desk.broker.open.clear()
        desk.broker.deals.clear()
        raise TimeoutError

    desk.broker.script.append(switch)  # type: ignore[arg-type]
    result = await desk.close()
    assert result.outcome is Outcome.UNKNOWN
    assert "changed accounts" in (result.error_message or "")


async def test_a_reversal_on_a_netting_account_is_closed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop fires between read and send: our order meets no position and opens one."""
    desk.broker.account_state = replace(desk.broker.account_state, margin_mode=MarginMode.NETTING)
    position = desk.broker.add(1)

    def reverse(broker: object, order: object) -> object:
        sent = desk.broker.sent[-1]
        desk.broker.take_out(position, 1.0, 1.06, "", ClosedBy.STOP_LOSS)
        opened = desk.broker.add(50)
        desk.broker.open[50] = replace(opened, comment=sent.tag, side=position.side.opposite)
        return say(Verdict.DONE, 10009)(desk.broker, sent)

    desk.broker.script.append(reverse)  # type: ignore[arg-type]
    await desk.close()
    assert desk.broker.open == {}
    assert [o.ticket for o in desk.broker.sent] == [1, 50]
    assert "reversal on ann" in caplog.text


async def test_after_an_unclean_end_nothing_is_sent_for_a_settle_window(desk: Desk) -> None:
    desk.broker.add(1)
    desk.account.wait_for_predecessor()
    await desk.close()
    assert desk.clock.seconds >= 10.0
