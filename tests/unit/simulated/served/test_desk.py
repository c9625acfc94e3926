"""An account at the venue: execution in its own time, whatever its client hears or is."""

from __future__ import annotations

import asyncio

import pytest

from engine.brokers.port import Side
from tests.unit.simulated.served.arranging import DeskStage, HeldLine, account, close_of, settle

DONE, PARTIAL, PLACED, TIMEOUT, CLOSED = 10009, 10010, 10008, 10012, 10036


async def test_a_calm_venue_executes_and_answers_at_once() -> None:
    stage = DeskStage()
    stage.send(close_of(stage.desk))
    await settle()
    assert stage.line.retcode() == DONE
    counts = stage.desk.counts()
    assert (counts.requests, counts.executed, counts.closes, counts.answered) == (1, 1, 1, 1)
    assert (counts.closed_lots, counts.open_positions, counts.open_lots) == (1.0, 1, 0.5)
    assert (counts.in_flight, counts.awaiting_execution, counts.double_closes) == (0, 0, ())


async def test_a_request_is_executed_after_its_delay_and_not_before() -> None:
    stage = DeskStage(execution_delay_ms=(400, 400))
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(0.399)
    assert (stage.open_count(), stage.line.replies) == (2, [])
    counts = stage.desk.counts()
    assert (counts.in_flight, counts.awaiting_execution) == (1, 1)
    await stage.clock.pass_time(0.002)
    assert (stage.open_count(), stage.line.retcode()) == (1, DONE)
    (entry,) = stage.desk.ledger.requests
    assert (entry.arrived_us, entry.executed_us, entry.answered_us) == (0, 400_000, 400_000)


async def test_an_answer_takes_its_latency() -> None:
    stage = DeskStage(latency_ms=50, execution_delay_ms=(20, 20))
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(0.049)
    assert (stage.open_count(), stage.line.replies) == (1, [])
    await stage.clock.pass_time(0.002)
    assert stage.line.retcode() == DONE


async def test_latency_moves_the_market_as_it_does_in_one_process() -> None:
    stage = DeskStage(latency_ms=1_500)
    before = stage.desk.terminal.time_ms
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(2)
    assert stage.desk.terminal.time_ms == before + 1_500


async def test_an_order_of_a_dead_client_is_executed_all_the_same() -> None:
    stage = DeskStage(execution_delay_ms=(400, 400))
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(0.1)
    stage.line.is_open = False
    stage.desk.ledger.connection_closed(1, stage.clock.wall_us(), is_death=True)
    await stage.clock.pass_time(1)
    counts = stage.desk.counts()
    assert (stage.open_count(), counts.executed, counts.answered) == (1, 1, 0)
    assert (counts.in_flight, counts.awaiting_execution) == (0, 0)
    (death,) = counts.in_flight_at_death
    assert (death.client_pid, death.number, death.arrived_us, death.closed_us) == (
        4711,
        1,
        0,
        100_000,
    )


async def test_who_has_its_answer_does_not_die_in_flight() -> None:
    stage = DeskStage()
    stage.send(close_of(stage.desk))
    await settle()
    stage.desk.ledger.connection_closed(1, 5, is_death=True)
    assert stage.desk.counts().in_flight_at_death == ()


async def test_who_leaves_or_is_cut_has_not_died() -> None:
    stage = DeskStage(execution_delay_ms=(400, 400))
    stage.send(close_of(stage.desk))
    stage.desk.ledger.connection_closed(1, 5, is_death=False)
    counts = stage.desk.counts()
    assert (counts.in_flight, counts.in_flight_at_death) == (0, ())
    await stage.clock.pass_time(1)


async def test_a_late_request_is_answered_first_and_executed_afterwards() -> None:
    stage = DeskStage(rate_late=1.0, late_ms=1_000, seed=3)
    stage.send(close_of(stage.desk))
    await settle()
    assert stage.line.retcode() in (PLACED, TIMEOUT)
    assert stage.open_count() == 2
    await stage.clock.pass_time(1)
    assert stage.open_count() == 1
    counts = stage.desk.counts()
    assert (counts.late, counts.executed, counts.answered) == (1, 1, 1)


@pytest.mark.parametrize(("share_cut", "stays_open"), [(0.0, True), (1.0, False)])
async def test_a_lost_answer_is_an_execution_that_nobody_hears_of(
    share_cut: float, stays_open: bool
) -> None:
    stage = DeskStage(rate_lost_answers=1.0, share_cut=share_cut)
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(60)
    assert (stage.open_count(), stage.line.replies) == (1, [])
    assert stage.line.is_open is stays_open
    counts = stage.desk.counts()
    assert (counts.answers_lost, counts.executed, counts.answered) == (1, 1, 0)


async def test_a_duplicate_meets_a_position_that_is_gone_and_is_answered_too() -> None:
    stage = DeskStage(rate_duplicated=1.0, execution_delay_ms=(10, 20))
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(1)
    (once, (one, _)), (twice, (two, _)) = stage.line.replies
    assert once == twice
    assert (one.retcode, two.retcode) == (DONE, CLOSED)
    first, second = stage.desk.ledger.requests
    assert (second.number, second.is_duplicate, second.retcode) == (first.number, True, CLOSED)
    counts = stage.desk.counts()
    assert (counts.requests, counts.duplicates, counts.executed) == (1, 1, 1)
    assert counts.double_closes == ()


async def test_a_duplicate_of_a_lost_answer_is_not_answered_either() -> None:
    stage = DeskStage(rate_duplicated=1.0, rate_lost_answers=1.0, share_cut=0.0)
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(60)
    assert (len(stage.desk.ledger.requests), stage.line.replies) == (2, [])


async def test_a_duplicate_on_a_netting_account_is_counted_as_a_double_close() -> None:
    stage = DeskStage(account(netting=True, positions=((Side.LONG, 1.0),)), rate_duplicated=1.0)
    stage.send(close_of(stage.desk))
    await settle()
    counts = stage.desk.counts()
    (double,) = counts.double_closes
    assert (double.lots, double.comment) == (1.0, "CLOSE")
    assert (counts.executed, counts.open_positions) == (2, 1)


async def test_a_partial_fill_leaves_a_part_open() -> None:
    stage = DeskStage(rate_partial=1.0)
    stage.send(close_of(stage.desk))
    await settle()
    assert stage.line.retcode() == PARTIAL
    counts = stage.desk.counts()
    assert counts.partial == 1
    assert 0 < counts.closed_lots < 1
    assert counts.closed_lots + counts.open_lots == pytest.approx(1.5)


async def test_a_hang_holds_every_answer_until_it_is_released() -> None:
    stage = DeskStage()
    stage.desk.take(HeldLine(), 1, "initialize", [], {})
    stage.desk.hang(None, holds_orders=False)
    stage.send(close_of(stage.desk))
    other = HeldLine(2)
    stage.desk.take(other, 1, "positions_total", [], {})
    await stage.clock.pass_time(1_000)
    assert (stage.line.replies, other.replies) == ([], [])
    assert stage.open_count() == 1
    stage.desk.release()
    await settle()
    assert stage.line.retcode() == DONE
    assert other.replies == [(1, (1, None))]


async def test_a_hang_may_hold_the_orders_themselves() -> None:
    stage = DeskStage()
    stage.desk.hang(None, holds_orders=True)
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(1_000)
    assert stage.open_count() == 2
    stage.desk.release()
    await settle()
    assert (stage.open_count(), stage.line.retcode()) == (1, DONE)


async def test_a_hang_ends_by_itself_when_it_has_a_length() -> None:
    stage = DeskStage()
    stage.desk.hang(5, holds_orders=True)
    stage.send(close_of(stage.desk))
    await stage.clock.pass_time(4.9)
    assert stage.line.replies == []
    await stage.clock.pass_time(0.2)
    assert stage.line.retcode() == DONE


async def test_a_second_hang_replaces_the_first() -> None:
    stage = DeskStage()
    stage.desk.hang(5, holds_orders=False)
    stage.desk.hang(None, holds_orders=False)
    stage.desk.take(stage.line, 1, "positions_total", [], {})
    await stage.clock.pass_time(60)
    assert stage.line.replies == []
    stage.desk.release()
    await settle()
    assert len(stage.line.replies) == 1


async def test_the_accounts_own_faults_are_met_at_the_terminal() -> None:
    faults = {"faults": [{"kind": "ipc_error_after_execution", "code": -10002}]}
    stage = DeskStage(account(faults=faults))
    stage.send(close_of(stage.desk))
    await settle()
    ((_, (value, error)),) = stage.line.replies
    assert (value, error) == (None, (-10002, "IPC recv failed"))
    assert (stage.open_count(), stage.desk.counts().executed) == (1, 1)
    stage.desk.take(stage.line, 9, "positions_total", [], {})
    assert stage.line.replies[-1] == (9, (None, (-10004, "No IPC connection")))
    again = HeldLine()
    stage.desk.take(again, 10, "initialize", [], {})
    assert again.replies == [(10, (True, None))]


async def test_an_order_that_has_arrived_is_executed_though_the_terminal_went_down() -> None:
    faults = {"faults": [{"kind": "restart", "call": "positions_get"}]}
    stage = DeskStage(account(faults=faults), execution_delay_ms=(100, 100))
    stage.send(close_of(stage.desk))
    await settle()
    stage.desk.take(stage.line, 2, "initialize", [], {})
    stage.desk.take(stage.line, 3, "positions_get", [], {})
    assert stage.line.replies[-1] == (3, (None, (-10004, "No IPC connection")))
    await stage.clock.pass_time(1)
    assert stage.open_count() == 1
    stage.desk.take(stage.line, 4, "positions_total", [], {})
    assert stage.line.replies[-1] == (4, (None, (-10004, "No IPC connection")))


async def test_what_others_did_meanwhile_is_no_deal_of_the_request() -> None:
    stage = DeskStage(account(faults={"faults": [{"kind": "gone_by_hand"}]}))
    stage.send(close_of(stage.desk, tag=""))
    await settle()
    (entry,) = stage.desk.ledger.requests
    assert (entry.retcode, entry.deals, entry.lots) == (CLOSED, (), 0.0)
    counts = stage.desk.counts()
    assert (counts.executed, counts.closed_by_others) == (0, 1)


async def test_accounts_draw_their_faults_apart_and_each_the_same_again() -> None:
    faults = {"faults": [{"kind": "requote", "rate": 0.5}]}
    codes = []
    for login in (1, 2, 1):
        stage = DeskStage(account(login, faults=faults))
        for _ in range(30):
            stage.send(close_of(stage.desk) | {"volume": 0.01})
            await settle()
        codes.append([entry.retcode for entry in stage.desk.ledger.requests])
    assert codes[0] == codes[2] != codes[1]


async def test_a_faults_hang_stops_this_account_in_a_thread_of_its_own() -> None:
    faults = {"faults": [{"kind": "hang", "seconds": 30.0}]}
    stage = DeskStage(account(faults=faults))
    stage.unhang.set()
    stage.send(close_of(stage.desk))
    while not stage.line.replies:
        await settle()
    assert stage.line.retcode() == DONE
    stage.desk.close()


async def test_an_operator_gets_at_an_account_that_hangs() -> None:
    stage = DeskStage(account(faults={"faults": [{"kind": "hang", "seconds": 30.0}]}))
    stage.send(close_of(stage.desk))
    assert await asyncio.to_thread(stage.hanging.wait, 30)
    assert stage.desk.counts().open_positions == 2
    stage.desk.open_position(Side.LONG, 0.1)
    assert len(stage.desk.book()["positions"]) == 3
    stage.unhang.set()
    while not stage.line.replies:
        await settle()
    assert (stage.line.retcode(), stage.open_count()) == (DONE, 2)
    stage.desk.close()


async def test_the_market_moves_when_a_client_asks() -> None:
    stage = DeskStage()
    start = stage.desk.place()
    stage.desk.take(stage.line, 1, "advance", [], {})
    ((_, (moved, _)),) = stage.line.replies
    assert moved["time_ms"] == start["next_ms"]


async def test_an_unknown_function_is_refused() -> None:
    stage = DeskStage()
    with pytest.raises(ValueError, match="'book' is no function"):
        stage.desk.take(stage.line, 1, "book", [], {})
    stage.desk.take(stage.line, 2, "symbol_info", [], {})
    ((_, (value, error)),) = stage.line.replies
    assert value is None
    assert error is not None
    assert error[0] == -2


async def test_what_an_operator_does_is_not_counted_as_a_clients() -> None:
    stage = DeskStage()
    ticket = stage.desk.open_position(Side.SHORT, 0.3)
    pending = stage.desk.place_pending(0.2)
    stage.desk.close_by_hand(ticket)
    counts = stage.desk.counts()
    assert (counts.executed, counts.closed_by_others, counts.pending_orders) == (0, 1, 1)
    book = stage.desk.book()
    assert [order["ticket"] for order in book["pending"]] == [pending]
    with pytest.raises(ValueError, match="no open position"):
        stage.desk.close_by_hand(ticket)


async def test_an_account_that_cannot_hold_its_positions_is_named() -> None:
    with pytest.raises(ValueError, match=r"account 100001: .*refused"):
        DeskStage(account(positions=((Side.LONG, 400.0),)))
