"""Every line of the fault menu, seen from the client and from the broker's book."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import (
    AccountSettings,
    Fault,
    FaultKind,
    FaultPlan,
    MarginMode,
    SimulatedTerminal,
)
from tests.unit.simulated.arranging import BUY, SELL, opened, path, request, send, terminal

QUOTES = [(1.1 + i / 1000, 1.1 + i / 1000 + 0.0001) for i in range(6)]


class Wall:
    """A wall clock that only the test moves."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


def faulty(*faults: Fault, **more: Any) -> SimulatedTerminal:
    return terminal(path("EURUSD", QUOTES), faults=FaultPlan(faults), **more)


def at_close(kind: FaultKind, **fields: Any) -> Fault:
    """A fault at the second order: the first one opens the position."""
    return Fault(kind, nth=2, **fields)


def closing(mt5: SimulatedTerminal, ticket: int) -> int | None:
    """Ask for the close of a position; the return code, ``None`` if no answer came."""
    answer = mt5.order_send(request(SELL, position=ticket))
    return None if answer is None else int(answer.retcode)


def exits(mt5: SimulatedTerminal, ticket: int) -> int:
    return sum(deal.entry == 1 for deal in mt5.book.deals_by_position[ticket])


@pytest.mark.parametrize(
    ("kind", "retcode", "executed"),
    [
        (FaultKind.TIMEOUT_AFTER_EXECUTION, 10012, 1),
        (FaultKind.TIMEOUT_WITHOUT_EXECUTION, 10012, 0),
        (FaultKind.PLACED_AFTER_EXECUTION, 10008, 1),
        (FaultKind.PLACED_WITHOUT_EXECUTION, 10008, 0),
        (FaultKind.REQUOTE, 10004, 0),
        (FaultKind.PRICE_OFF, 10021, 0),
        (FaultKind.MARKET_CLOSED, 10018, 0),
        (FaultKind.INVALID_FILL, 10030, 0),
        (FaultKind.FROZEN, 10029, 0),
        (FaultKind.TOO_MANY_REQUESTS, 10024, 0),
        (FaultKind.FIFO, 10045, 0),
    ],
)
def test_answers(kind: FaultKind, retcode: int, executed: int) -> None:
    mt5 = faulty(at_close(kind))
    ticket = opened(mt5)
    answer = mt5.order_send(request(SELL, position=ticket))
    assert answer is not None
    assert (answer.retcode, answer.deal) == (retcode, 0)
    assert (answer.order != 0) == (kind is FaultKind.PLACED_AFTER_EXECUTION)
    assert exits(mt5, ticket) == executed
    assert closing(mt5, ticket) == (10036 if executed else 10009)
    assert exits(mt5, ticket) == 1


@pytest.mark.parametrize("code", [10005, 10006, 10031, 10037, 12345])
def test_any_return_code(code: int) -> None:
    mt5 = faulty(at_close(FaultKind.RETCODE, code=code))
    ticket = opened(mt5)
    assert closing(mt5, ticket) == code
    assert exits(mt5, ticket) == 0


@pytest.mark.parametrize("code", [-1, -2, -8, -10000, -10001, -10003, -10005])
@pytest.mark.parametrize("executed", [True, False])
def test_none_and_an_error(code: int, executed: bool) -> None:
    kind = FaultKind.IPC_ERROR_WITHOUT_EXECUTION
    if executed:
        kind = FaultKind.IPC_ERROR_AFTER_EXECUTION
    mt5 = faulty(at_close(kind, code=code))
    ticket = opened(mt5)
    assert closing(mt5, ticket) is None
    assert mt5.last_error()[0] == code
    assert exits(mt5, ticket) == executed
    assert mt5.positions_total() == (not executed)


@pytest.mark.parametrize("code", [-10002, -10004])
def test_a_broken_connection_stays_broken_until_initialize(code: int) -> None:
    mt5 = faulty(at_close(FaultKind.IPC_ERROR_AFTER_EXECUTION, code=code))
    ticket = opened(mt5)
    assert closing(mt5, ticket) is None
    assert mt5.last_error()[0] == code
    for _ in range(2):
        assert mt5.positions_get() is None
        assert mt5.last_error() == (-10004, "No IPC connection")
    assert mt5.initialize()
    assert mt5.positions_get() == ()


@pytest.mark.parametrize(
    ("kind", "retcode"),
    [
        (FaultKind.TIMEOUT_THEN_EXECUTED, 10012),
        (FaultKind.PLACED_THEN_EXECUTED, 10008),
        (FaultKind.IPC_ERROR_THEN_EXECUTED, None),
    ],
)
class TestExecutedLater:
    def test_by_market_time(self, kind: FaultKind, retcode: int | None) -> None:
        mt5 = faulty(at_close(kind, delay_ms=1_500))
        ticket = opened(mt5)
        assert closing(mt5, ticket) == retcode
        mt5.move_to(1_499)
        assert exits(mt5, ticket) == 0
        mt5.move_to(1_500)
        deal = mt5.book.deals[-1]
        # the first tick at or after 1,500 ms
        assert (deal.time_msc, deal.price, mt5.time_ms) == (2_000, QUOTES[2][0], 1_500)

    def test_on_the_way_to_the_next_tick(self, kind: FaultKind, retcode: int | None) -> None:
        mt5 = faulty(at_close(kind, delay_ms=500))
        ticket = opened(mt5)
        assert closing(mt5, ticket) == retcode
        mt5.advance()
        assert exits(mt5, ticket) == 1

    def test_by_reads(self, kind: FaultKind, retcode: int | None) -> None:
        mt5 = faulty(at_close(kind, reads=2))
        ticket = opened(mt5)
        assert closing(mt5, ticket) == retcode
        assert len(mt5.positions_get() or ()) == 1
        assert len(mt5.history_deals_get(position=ticket) or ()) == 1
        assert mt5.positions_get() == ()

    def test_too_late_to_do_harm(self, kind: FaultKind, retcode: int | None) -> None:
        mt5 = faulty(at_close(kind, delay_ms=1_500))
        ticket = opened(mt5)
        closing(mt5, ticket)
        assert closing(mt5, ticket) == 10009
        mt5.move_to(3_000)
        assert exits(mt5, ticket) == 1


def test_on_netting_a_late_execution_reverses_the_position() -> None:
    mt5 = faulty(
        at_close(FaultKind.TIMEOUT_THEN_EXECUTED, delay_ms=500),
        account=AccountSettings(margin_mode=MarginMode.NETTING),
    )
    send(mt5, BUY)
    send(mt5, SELL)
    send(mt5, SELL)
    assert mt5.positions_total() == 0
    mt5.advance()
    assert [(p.sign, p.volume) for p in mt5.book.positions.values()] == [(-1, 0.1)]


def test_a_partial_fill_leaves_the_rest() -> None:
    mt5 = faulty(at_close(FaultKind.PARTIAL_FILL, fraction=0.35))
    ticket = opened(mt5)
    answer = mt5.order_send(request(SELL, position=ticket, type_filling=1))
    assert answer is not None
    assert (answer.retcode, answer.volume) == (10010, 0.03)
    assert mt5.book.positions[ticket].volume == 0.07
    order = mt5.book.orders[-1]
    assert (order.state, order.volume_initial, order.volume_current) == (3, 0.1, 0.07)


def test_the_smallest_volume_is_filled_whole() -> None:
    mt5 = faulty(at_close(FaultKind.PARTIAL_FILL))
    ticket = opened(mt5, volume=0.01)
    answer = mt5.order_send(request(SELL, 0.01, position=ticket))
    assert answer is not None
    assert (answer.retcode, answer.volume) == (10009, 0.01)


def test_the_market_is_closed_until_its_time() -> None:
    mt5 = faulty(Fault(FaultKind.MARKET_CLOSED, until_ms=2_000))
    assert [send(mt5, BUY).retcode for _ in range(2)] == [10018, 10018]
    mt5.move_to(2_000)
    assert send(mt5, BUY).retcode == 10009


@pytest.mark.parametrize(
    ("kind", "reason", "comment"),
    [
        (FaultKind.GONE_BY_STOP_LOSS, 4, "[sl]"),
        (FaultKind.GONE_BY_TAKE_PROFIT, 5, "[tp]"),
        (FaultKind.GONE_BY_STOP_OUT, 6, "[so]"),
        (FaultKind.GONE_BY_HAND, 0, ""),
    ],
)
class TestGoneInBetween:
    def test_on_hedging_the_close_is_refused(
        self, kind: FaultKind, reason: int, comment: str
    ) -> None:
        mt5 = faulty(Fault(kind, nth=3))
        ticket, other = opened(mt5), opened(mt5)
        assert closing(mt5, ticket) == 10036
        deal = mt5.book.deals[-1]
        assert (deal.position_id, deal.reason, deal.comment) == (ticket, reason, comment)
        assert list(mt5.book.positions) == [other]

    def test_on_netting_it_opens_the_opposite(
        self, kind: FaultKind, reason: int, comment: str
    ) -> None:
        mt5 = faulty(Fault(kind, nth=2), account=AccountSettings(margin_mode=MarginMode.NETTING))
        send(mt5, BUY)
        assert send(mt5, SELL).retcode == 10009
        assert [p.sign for p in mt5.book.positions.values()] == [-1]


class TestLateDeals:
    def test_by_reads(self) -> None:
        mt5 = faulty(at_close(FaultKind.LATE_DEALS, reads=2))
        ticket = opened(mt5)
        assert closing(mt5, ticket) == 10009
        seen = [len(mt5.history_deals_get(position=ticket) or ()) for _ in range(3)]
        assert seen == [1, 1, 2]
        assert mt5.history_deals_total(0, 9) == 3
        assert len(mt5.book.deals_by_position[ticket]) == 2

    def test_by_wall_time(self) -> None:
        wall = Wall()
        mt5 = faulty(at_close(FaultKind.LATE_DEALS, delay_ms=300), wall_ms=wall)
        ticket = opened(mt5)
        closing(mt5, ticket)
        wall.ms = 299.0
        assert len(mt5.history_deals_get(0, 9) or ()) == 2
        wall.ms = 300.0
        assert len(mt5.history_deals_get(0, 9) or ()) == 3


class TestLingeringPosition:
    def test_by_reads(self) -> None:
        mt5 = faulty(Fault(FaultKind.LINGERING_POSITION, nth=3, reads=2))
        ticket, other = opened(mt5), opened(mt5)
        assert closing(mt5, ticket) == 10009
        (position,) = mt5.positions_get(ticket=ticket) or ()
        assert (position.ticket, position.volume) == (ticket, 0.1)
        assert [p.ticket for p in mt5.positions_get() or ()] == [other, ticket]
        assert mt5.positions_get(ticket=ticket) == ()
        assert len(mt5.history_deals_get(position=ticket) or ()) == 2

    def test_by_wall_time(self) -> None:
        wall = Wall()
        mt5 = faulty(at_close(FaultKind.LINGERING_POSITION, delay_ms=800), wall_ms=wall)
        ticket = opened(mt5)
        closing(mt5, ticket)
        wall.ms = 799.0
        assert len(mt5.positions_get() or ()) == 1
        wall.ms = 800.0
        assert mt5.positions_get() == ()

    def test_the_total_counts_it_as_the_list_shows_it(self) -> None:
        mt5 = faulty(Fault(FaultKind.LINGERING_POSITION, nth=3, reads=3))
        ticket, other = opened(mt5), opened(mt5)
        closing(mt5, ticket)
        assert mt5.positions_total() == 2
        assert len(mt5.positions_get() or ()) == 2
        assert mt5.positions_total() == 2
        assert mt5.positions_total() == 1
        assert [p.ticket for p in mt5.positions_get() or ()] == [other]

    def test_a_second_close_of_it_is_refused(self) -> None:
        mt5 = faulty(at_close(FaultKind.LINGERING_POSITION, reads=5))
        ticket = opened(mt5)
        closing(mt5, ticket)
        assert closing(mt5, ticket) == 10036

    def test_a_partial_close_lingers_in_nothing(self) -> None:
        mt5 = faulty(at_close(FaultKind.LINGERING_POSITION, reads=5))
        ticket = opened(mt5)
        send(mt5, SELL, 0.05, position=ticket)
        assert [p.volume for p in mt5.positions_get() or ()] == [0.05]


class Killed(Exception):
    """Stands for the watchdog that kills the process in the call."""


class TestHang:
    @pytest.mark.parametrize(
        ("kind", "executed"), [(FaultKind.HANG, 0), (FaultKind.HANG_AFTER_EXECUTION, 1)]
    )
    def test_waits_before_or_after_the_execution(self, kind: FaultKind, executed: int) -> None:
        def kill(seconds: float) -> None:
            assert seconds == 3_600.0
            raise Killed

        mt5 = faulty(at_close(kind, seconds=3_600.0), pause=kill)
        ticket = opened(mt5)
        with pytest.raises(Killed):
            closing(mt5, ticket)
        assert exits(mt5, ticket) == executed

    def test_a_call_that_comes_back_goes_on(self) -> None:
        pauses: list[float] = []
        mt5 = faulty(
            Fault(FaultKind.HANG, call="positions_get", seconds=5.0, nth=2), pause=pauses.append
        )
        assert mt5.positions_get() == ()
        assert mt5.positions_get() == ()
        assert pauses == [5.0]

    @pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.REQUOTE])
    def test_without_a_pause_nothing_could_hang(self, kind: FaultKind) -> None:
        with pytest.raises(ValueError, match=rf"seconds=5.0 of {kind}.*give the terminal pause="):
            faulty(at_close(kind, seconds=5.0))

    def test_other_faults_can_take_their_time_too(self) -> None:
        pauses: list[float] = []
        mt5 = faulty(
            Fault(FaultKind.TIMEOUT_WITHOUT_EXECUTION, seconds=60.0),
            pause=pauses.append,
            latency_ms=20.0,
        )
        assert send(mt5, BUY).retcode == 10012
        assert pauses == [60.0, 0.02]


class TestRestart:
    def test_every_call_fails_until_initialize(self) -> None:
        mt5 = faulty(at_close(FaultKind.RESTART))
        ticket = opened(mt5)
        assert closing(mt5, ticket) is None
        assert mt5.last_error()[0] == mt5.RES_E_INTERNAL_FAIL_CONNECT
        assert mt5.account_info() is None
        assert closing(mt5, ticket) is None
        assert mt5.initialize()
        assert closing(mt5, ticket) == 10009

    def test_at_any_call(self) -> None:
        mt5 = faulty(
            Fault(FaultKind.RESTART, call="account_info", nth=2),
            Fault(FaultKind.RESTART, call="*", nth=5),
        )
        assert mt5.account_info() is not None
        assert mt5.account_info() is None
        assert mt5.initialize()
        assert mt5.symbol_select("EURUSD") is True
        assert mt5.symbol_select("EURUSD") is False
        assert mt5.last_error()[0] == -10004


def test_connecting_can_fail_too() -> None:
    plan = FaultPlan(
        (Fault(FaultKind.IPC_ERROR_WITHOUT_EXECUTION, call="initialize", code=-10005),)
    )
    mt5 = SimulatedTerminal(terminal().market, faults=plan)
    assert not mt5.initialize()
    assert mt5.last_error() == (-10005, "IPC timeout")
    assert mt5.account_info() is None
    assert mt5.initialize()
    assert mt5.account_info() is not None


def test_reads_can_fail_once() -> None:
    mt5 = faulty(
        Fault(FaultKind.IPC_ERROR_WITHOUT_EXECUTION, call="history_deals_get", ticket=5),
    )
    assert mt5.history_deals_get(position=6) == ()
    assert mt5.history_deals_get(position=5) is None
    assert mt5.last_error() == (-10000, "Internal fail")
    assert mt5.history_deals_get(position=5) == ()


def test_bad_arguments_use_up_no_fault() -> None:
    mt5 = faulty(Fault(FaultKind.REQUOTE))
    assert mt5.order_send({"volume": 1}) is None
    assert send(mt5, BUY).retcode == 10004


def test_a_refusing_terminal_uses_up_no_fault() -> None:
    mt5 = faulty(Fault(FaultKind.REQUOTE), account=AccountSettings(api_trading=False))
    assert mt5.order_send(request(BUY)) is None
    assert mt5.last_error()[0] == -8


def test_a_test_is_armed_without_faults() -> None:
    mt5 = faulty(Fault(FaultKind.REQUOTE))
    with mt5.without_faults():
        ticket = opened(mt5)
    assert closing(mt5, ticket) == 10004
    assert closing(mt5, ticket) == 10009
