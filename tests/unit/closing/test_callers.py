"""What callers may do to each other and to themselves: cancel, repeat, misname, ask at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.brokers.port import Answer, CloseOrder, Deal, MarginMode
from engine.errors import IdempotencyConflict
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import fill, say
from tests.unit.closing.conftest import Desk


async def test_a_cancelled_caller_cannot_call_a_request_back(desk: Desk) -> None:
    """The request has left: its close is seen through, and a retry is given its answer."""
    desk.broker.add(1)
    started, answer = asyncio.Event(), asyncio.Event()
    real = desk.broker.send_close

    async def slow(order: CloseOrder) -> Answer:
        started.set()
        await answer.wait()
        return await real(order)

    desk.broker.send_close = slow  # type: ignore[method-assign]
    task = asyncio.create_task(desk.close())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    retry = asyncio.create_task(desk.close())
    answer.set()
    assert (await retry).outcome is Outcome.DONE
    assert len(desk.broker.sent) == len(desk.ledger.entries) == 1


async def test_a_close_that_nobody_waits_for_is_recorded(desk: Desk) -> None:
    desk.broker.add(1)
    task = asyncio.create_task(desk.close())
    while not desk.broker.sent:  # noqa: ASYNC110  # one turn of the loop at a time
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        while not desk.ledger.entries:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert desk.ledger.entries[0][0].outcome is Outcome.DONE


async def test_a_name_of_one_position_does_not_answer_for_another(desk: Desk) -> None:
    """Both open, and both closed: the name was bound at first sight."""
    desk.broker.add(1)
    desk.broker.add(2)
    await desk.closer.close_position("name", 1, "ann", "test")
    for _ in range(2):
        with pytest.raises(ValueError, match="names position 1"):
            await desk.closer.close_position("name", 2, "ann", "test", idempotency_key="other")
        await desk.close(2)


async def test_a_position_that_is_named_twice_counts_once(desk: Desk) -> None:
    desk.broker.add(1)
    entry = {"position_id": "1", "ticket": 1}
    done = await desk.closer.close_all_positions("ann", "test", [entry, entry])
    assert done.results[0] == done.results[1]
    assert done.total_pnl == done.results[0].pnl


@pytest.mark.parametrize("positions", [5, "abc", {"position_id": "1", "ticket": 1}])
async def test_positions_that_are_no_list_are_refused(desk: Desk, positions: object) -> None:
    with pytest.raises(ValueError, match="positions="):
        await desk.closer.close_all_positions("ann", "test", positions)  # type: ignore[arg-type]


async def test_another_key_waits_for_a_close_whose_deals_are_late(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.hidden_deal_reads = 3
    desk.broker.linger_reads = 10
    first, second = await asyncio.gather(desk.close(key="a"), desk.close(key="b"))
    assert first == second
    assert first.outcome is Outcome.DONE
    assert len(desk.broker.sent) == 1


async def test_an_unknown_is_settled_only_when_positions_and_deals_agree(desk: Desk) -> None:
    desk.broker.add(1)
    desk.broker.linger_reads = 3
    desk.broker.script.append(fill(1.0, Verdict.UNKNOWN))
    assert (await desk.close()).outcome is Outcome.DONE
    assert desk.clock.seconds > 0


async def test_gone_without_a_deal_is_unknown_never_guessed(desk: Desk) -> None:
    desk.broker.add(1)

    def vanish(broker: object, order: object) -> object:
        desk.broker.open.clear()
        return say(Verdict.UNKNOWN, 10012)(desk.broker, desk.broker.sent[-1])

    desk.broker.script.append(vanish)  # type: ignore[arg-type]
    result = await desk.close()
    assert (result.success, result.outcome) == (False, Outcome.UNKNOWN)
    assert "no deal shows" in (result.error_message or "")
    assert desk.clock.seconds >= 10.0


async def test_parts_that_miss_the_whole_by_binary_dust_are_the_whole(desk: Desk) -> None:
    desk.broker.add(1, volume=0.3)
    desk.broker.script.extend([fill(1 / 3, Verdict.PARTIAL, 10010), fill(1.0, Verdict.DONE)])
    result = await desk.close()
    assert (result.outcome, result.attempts) == (Outcome.DONE, 2)
    assert [o.attempt for o in desk.broker.sent] == [1, 2]


async def test_what_is_open_wins_over_what_is_remembered(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Should a closed position ever be open again, a new key closes it; old keys keep theirs."""
    desk.broker.add(1)
    first = await desk.close(key="first")
    desk.clock.seconds += 11
    desk.broker.add(1)
    assert await desk.close(key="first") == first
    second = await desk.close(key="second")
    assert second != first
    assert desk.broker.open == {}
    assert "is open (1.0 lots) although it was closed in full" in caplog.text


async def test_a_name_that_looks_like_another_positions_number_closes_nothing(desk: Desk) -> None:
    """The caller's own numbering may coincide with the broker's."""
    desk.broker.add(7)
    result = await desk.closer.close_position("7", 999, "ann", "test")
    assert result.outcome is Outcome.NOT_FOUND
    assert 7 in desk.broker.open
    assert desk.broker.sent == []


async def test_a_name_that_looks_like_a_closed_positions_number_is_not_answered_for_it(
    desk: Desk,
) -> None:
    """Neither where the broker knows no such ticket, nor where it cannot be read."""
    desk.broker.add(7)
    gold = await desk.close(7, key="a", position_id="gold")
    desk.broker.add(999)
    missing = await desk.close(998, key="b", position_id="7")
    assert (missing.success, missing.ticket, missing.outcome) == (False, 998, Outcome.NOT_FOUND)
    desk.broker.unreadable = 10_000
    unread = await desk.close(999, key="c", position_id="7")
    assert await desk.close(7, key="d", position_id="seven") == gold, "its number is its own"
    assert (unread.success, unread.ticket, unread.outcome) == (False, 999, Outcome.NOT_SENT)
    with pytest.raises(IdempotencyConflict, match="position 7"):
        await desk.close(7, key="c", position_id="gold")  # the name has used that key up
    desk.broker.unreadable = 0
    assert (await desk.close(999, key="e", position_id="7")).ticket == 999
    assert desk.broker.open == {}


@pytest.mark.parametrize("mode", [MarginMode.HEDGING, MarginMode.NETTING])
async def test_another_name_of_its_ticket_waits_for_a_close_whose_deals_are_late(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, mode: MarginMode
) -> None:
    """Neither position nor deal shows, for a while, that both names are one position's."""
    desk.broker.account_state = replace(desk.broker.account_state, margin_mode=mode)
    identifier = 1 if mode is MarginMode.HEDGING else 5  # a net position's ticket changes
    desk.broker.add(1, identifier=identifier)
    shown, until_s = desk.broker.deals_of, desk.clock.seconds + 1.0

    async def late(identifier: int) -> tuple[Deal, ...]:
        return await shown(identifier) if desk.clock.seconds >= until_s else ()

    monkeypatch.setattr(desk.broker, "deals_of", late)
    first, second = await asyncio.gather(
        desk.close(1, key="a", position_id="gold"), desk.close(1, key="b", position_id="mine")
    )
    assert first.outcome is Outcome.DONE
    assert second == first, "a full success answers every key of its position"
    assert len(desk.broker.sent) == 1


async def test_another_name_of_a_net_position_that_is_closed_is_told_so_by_its_last_ticket(
    desk: Desk,
) -> None:
    desk.broker.account_state = replace(desk.broker.account_state, margin_mode=MarginMode.NETTING)
    desk.broker.add(7, identifier=5)
    first = await desk.close(7, key="a", position_id="gold")
    assert await desk.close(7, key="b", position_id="mine") == first
    later = desk.life()
    later.remember(desk.ledger.answers)
    assert await later.close(desk.request(7, "c", position_id="ours")) == first
