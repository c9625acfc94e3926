"""Every fault of the menu through the adapter, against the simulated broker's own book."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.brokers import MT5Broker
from engine.brokers.port import ClosedBy, CloseOrder, Side
from engine.brokers.terminal_calls import InProcessCalls
from engine.outcomes import Verdict
from tests.conformance.served_terminals import LOGIN, simulated_terminal
from tests.conformance.terminal_stage import TerminalStage

CASES: list[tuple[dict[str, Any], Verdict, float]] = [
    ({"kind": "timeout_after_execution"}, Verdict.UNKNOWN, 0.0),
    ({"kind": "timeout_without_execution"}, Verdict.UNKNOWN, 0.2),
    ({"kind": "timeout_then_executed", "reads": 2}, Verdict.UNKNOWN, 0.0),
    *(
        ({"kind": kind, "code": code}, Verdict.UNKNOWN, left)
        for kind, left in (("ipc_error_after_execution", 0.0), ("ipc_error_without_execution", 0.2))
        for code in (-1, *range(-10005, -9999))
    ),
    ({"kind": "ipc_error_without_execution", "code": -8}, Verdict.NOT_SENT, 0.2),
    ({"kind": "placed_after_execution"}, Verdict.ACCEPTED, 0.0),
    ({"kind": "placed_without_execution"}, Verdict.ACCEPTED, 0.2),
    ({"kind": "partial_fill", "fraction": 0.25}, Verdict.PARTIAL, 0.15),
    ({"kind": "requote"}, Verdict.RETRY_NOW, 0.2),
    ({"kind": "price_off"}, Verdict.RETRY_NOW, 0.2),
    ({"kind": "market_closed"}, Verdict.MARKET_CLOSED, 0.2),
    ({"kind": "invalid_fill"}, Verdict.MEND, 0.2),
    ({"kind": "frozen"}, Verdict.BACK_OFF, 0.2),
    ({"kind": "too_many_requests"}, Verdict.BACK_OFF, 0.2),
    ({"kind": "fifo"}, Verdict.OLDEST_FIRST, 0.2),
    ({"kind": "retcode", "code": 10031}, Verdict.SETTLE_FIRST, 0.2),
    ({"kind": "retcode", "code": 10027}, Verdict.OPERATOR, 0.2),
    ({"kind": "retcode", "code": 10999}, Verdict.UNKNOWN, 0.2),
    ({"kind": "gone_by_hand"}, Verdict.MAYBE_MET, 0.0),
    ({"kind": "restart"}, Verdict.UNKNOWN, 0.2),
]


def staged(*faults: dict[str, Any]) -> tuple[TerminalStage, Any]:
    terminal = simulated_terminal(faults=faults)
    calls = InProcessCalls(terminal)
    broker = MT5Broker(calls, login=LOGIN)
    return TerminalStage(broker, calls, symbol="EURUSD", hedging=True), terminal


@pytest.mark.parametrize(("fault", "verdict", "left"), CASES, ids=lambda case: str(case))
def test_a_fault_has_its_verdict_and_the_next_reads_tell_what_happened(
    fault: dict[str, Any], verdict: Verdict, left: float
) -> None:
    async def scene() -> None:
        stage, _ = staged({"nth": 2, **fault})  # the first order opens the position
        broker = stage.broker
        ticket = await stage.open_position(Side.LONG, stage.lots)
        order = CloseOrder(ticket, stage.symbol, Side.LONG, stage.lots, "RE-TAG")
        answer = await broker.send_close(order)
        assert answer.verdict is verdict
        for _ in range(3):  # delayed execution counts reads
            still_open = await broker.positions(ticket)
        assert sum(position.volume for position in still_open) == pytest.approx(left)
        closed = [deal for deal in await broker.deals_of(ticket) if deal.entry.is_exit]
        assert sum(deal.volume for deal in closed) == pytest.approx(stage.lots - left)
        if closed and verdict is not Verdict.MAYBE_MET:
            assert {deal.comment for deal in closed} == {"RE-TAG"}

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        ("gone_by_stop_loss", ClosedBy.STOP_LOSS),
        ("gone_by_take_profit", ClosedBy.TAKE_PROFIT),
        ("gone_by_stop_out", ClosedBy.STOP_OUT),
        ("gone_by_hand", ClosedBy.HAND),
    ],
)
def test_who_was_faster_is_read_from_the_deals(kind: str, who: ClosedBy) -> None:
    async def scene() -> None:
        stage, _ = staged({"kind": kind, "nth": 2})
        ticket = await stage.open_position(Side.LONG, stage.lots)
        order = CloseOrder(ticket, stage.symbol, Side.LONG, stage.lots, "RE-TAG")
        assert (await stage.broker.send_close(order)).verdict is Verdict.MAYBE_MET
        assert (await stage.broker.deals_of(ticket))[-1].closed_by is who

    asyncio.run(scene())


def test_a_refused_filling_is_mended_by_the_second_close() -> None:
    async def scene() -> None:
        stage, terminal = staged({"kind": "invalid_fill", "nth": 2})
        ticket = await stage.open_position(Side.LONG, stage.lots)
        order = CloseOrder(ticket, stage.symbol, Side.LONG, stage.lots, "RE-TAG")
        first = await stage.broker.send_close(order)
        second = await stage.broker.send_close(order)
        assert (first.verdict, second.verdict) == (Verdict.MEND, Verdict.DONE)
        assert first.details["request.type_filling"] != second.details["request.type_filling"]
        assert terminal.positions_total() == 0

    asyncio.run(scene())


def test_a_terminal_that_restarts_is_found_again_by_the_next_read() -> None:
    async def scene() -> None:
        stage, _ = staged({"kind": "restart", "nth": 2})
        ticket = await stage.open_position(Side.LONG, stage.lots)
        order = CloseOrder(ticket, stage.symbol, Side.LONG, stage.lots, "RE-TAG")
        assert (await stage.broker.send_close(order)).verdict is Verdict.UNKNOWN
        assert len(await stage.broker.positions()) == 1
        assert (await stage.broker.send_close(order)).verdict is Verdict.DONE

    asyncio.run(scene())
