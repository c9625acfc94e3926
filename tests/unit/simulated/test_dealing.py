"""Market orders on hedging accounts: every answer the broker can give."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import (
    AccountSettings,
    Execution,
    FillingMask,
    OrderMask,
    Session,
    TradeMode,
)
from engine.simulated.judging import judge_volume
from engine.simulated.symbols import symbol_settings
from tests.unit.simulated.arranging import (
    BUY,
    SELL,
    close,
    opened,
    path,
    request,
    send,
    special,
    terminal,
)

NAN, INFINITE = float("nan"), float("inf")


class TestClosing:
    def test_in_full(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5, comment="in")
        answer = close(mt5, ticket, comment="out")
        assert (answer.retcode, answer.volume, answer.price) == (10009, 0.1, 1.1)
        assert (answer.bid, answer.ask, answer.comment) == (1.1, 1.1001, "Request executed")
        assert mt5.positions_get() == ()
        assert mt5.book.balance == 9_999.00
        assert [d.comment for d in mt5.book.deals_by_position[ticket]] == ["in", "out"]

    def test_in_parts(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5, volume=0.3)
        for left in (0.2, 0.1):
            assert close(mt5, ticket, 0.1).retcode == 10009
            assert mt5.book.positions[ticket].volume == left
        assert close(mt5, ticket).retcode == 10009
        assert [d.volume for d in mt5.book.deals_by_position[ticket]] == [0.3, 0.1, 0.1, 0.1]
        assert [d.profit for d in mt5.book.deals_by_position[ticket]] == [0.0, -1.0, -1.0, -1.0]

    def test_a_second_close_is_refused(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5)
        other = opened(mt5)
        again = request(SELL, position=ticket)
        close(mt5, ticket)
        answer = mt5.order_send(again)
        assert answer is not None
        assert (answer.retcode, answer.deal) == (10036, 0)
        assert list(mt5.book.positions) == [other]

    @pytest.mark.parametrize(
        ("change", "retcode"),
        [
            ({"position": 5}, 10013),
            ({"type": BUY}, 10013),
            ({"symbol": "GBPUSD"}, 10013),
            ({"volume": 0.2}, 10038),
        ],
    )
    def test_what_does_not_fit_the_position_is_refused(
        self, change: dict[str, Any], retcode: int
    ) -> None:
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001)]), path("GBPUSD", [(1.5, 1.5001)]))
        ticket = opened(mt5)
        answer = mt5.order_send(request(SELL, position=ticket) | change)
        assert answer is not None
        assert answer.retcode == retcode
        assert mt5.book.positions[ticket].volume == 0.1

    def test_without_the_position_a_second_one_is_opened(self) -> None:
        mt5 = terminal()
        opened(mt5, BUY)
        send(mt5, SELL)
        assert [p.sign for p in mt5.book.positions.values()] == [1, -1]

    def test_oldest_first_on_a_fifo_account(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001)]),
            path("GBPUSD", [(1.5, 1.5001)]),
            account=AccountSettings(fifo=True),
        )
        first, second = opened(mt5), opened(mt5)
        other = opened(mt5, symbol="GBPUSD")
        assert close(mt5, second).retcode == 10045
        assert close(mt5, other).retcode == 10009
        assert close(mt5, first).retcode == 10009
        assert close(mt5, second).retcode == 10009

    def test_frozen_near_its_stops(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0901, 1.0902)]), symbols=special(freeze_level=20)
        )
        ticket = opened(mt5, sl=1.09)
        free = opened(mt5)
        mt5.advance()
        assert close(mt5, ticket).retcode == 10029
        assert close(mt5, free).retcode == 10009

    def test_what_is_below_the_minimum_cannot_be_closed(self) -> None:
        mt5 = terminal(symbols=special(volume_min=0.1, volume_step=0.01))
        ticket = opened(mt5, volume=0.15)
        close(mt5, ticket, 0.1)
        assert close(mt5, ticket).retcode == 10014

    def test_commission_is_charged_on_each_side(self) -> None:
        mt5 = terminal(symbols=special(commission_per_lot=3.5))
        ticket = opened(mt5, volume=0.3)
        close(mt5, ticket)
        # 0.3 x 3.5 = 1.05 a side; 30,000 x 0.0001 = 3.00 of spread
        assert [d.commission for d in mt5.book.deals_by_position[ticket]] == [-1.05, -1.05]
        assert mt5.book.balance == round(10_000 - 1.05 - 1.05 - 3.00, 2)

    def test_the_order_stands_in_the_history(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5)
        close(mt5, ticket, magic=4, type_filling=1)
        order = mt5.book.orders[-1]
        assert (order.state, order.position_id, order.type) == (mt5.ORDER_STATE_FILLED, ticket, 1)
        assert (order.volume_initial, order.volume_current) == (0.1, 0.0)
        assert (order.magic, order.type_filling) == (4, 1)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "retcode"),
        [
            ({"action": 0}, 10013),
            ({"action": 2}, 10013),
            ({"symbol": ""}, 10013),
            ({"symbol": "NONE"}, 10013),
            ({"type": 9}, 10013),
            ({"type": 8}, 10013),
            ({"type": 2}, 10035),
            ({"volume": 0.0}, 10014),
            ({"volume": -0.1}, 10014),
            ({"volume": 0.015}, 10014),
            ({"volume": 500.01}, 10014),
            ({"volume": NAN}, 10014),
            ({"volume": INFINITE}, 10014),
            ({"type_filling": 2}, 10030),
            ({"type_filling": 3}, 10030),
            ({"type_filling": 99}, 10030),
            ({"sl": 1.1}, 10016),
            ({"sl": -1.0}, 10016),
            ({"sl": NAN}, 10016),
            ({"tp": 1.1}, 10016),
            ({"tp": INFINITE}, 10016),
            ({"volume": 10.0}, 10019),
        ],
    )
    def test_of_an_opening(self, change: dict[str, Any], retcode: int) -> None:
        mt5 = terminal()
        answer = mt5.order_send(request(BUY) | change)
        assert answer is not None
        assert answer.retcode == retcode
        assert mt5.positions_total() == 0
        assert mt5.last_error() == (1, "Success")

    def test_an_empty_request_is_invalid(self) -> None:
        answer = terminal().order_send({})
        assert answer is not None
        assert answer.retcode == 10013

    @pytest.mark.parametrize(
        ("settings", "retcode"),
        [
            ({"trade_allowed": False}, 10017),
            ({"expert_allowed": False}, 10026),
            ({"auto_trading": False}, 10027),
        ],
    )
    def test_by_the_account(self, settings: dict[str, Any], retcode: int) -> None:
        mt5 = terminal(account=AccountSettings(**settings))
        assert send(mt5, BUY).retcode == retcode

    def test_by_the_terminals_switch_for_the_api(self) -> None:
        mt5 = terminal(account=AccountSettings(api_trading=False))
        assert mt5.order_send(request(BUY)) is None
        assert mt5.last_error()[0] == mt5.RES_E_AUTO_TRADING_DISABLED

    @pytest.mark.parametrize(
        ("mode", "buy", "sell"),
        [
            (TradeMode.FULL, 10009, 10009),
            (TradeMode.DISABLED, 10017, 10017),
            (TradeMode.CLOSE_ONLY, 10044, 10044),
            (TradeMode.LONG_ONLY, 10009, 10042),
            (TradeMode.SHORT_ONLY, 10043, 10009),
        ],
    )
    def test_by_the_symbols_mode(self, mode: TradeMode, buy: int, sell: int) -> None:
        mt5 = terminal(symbols=special(trade_mode=mode))
        assert (send(mt5, BUY).retcode, send(mt5, SELL).retcode) == (buy, sell)

    def test_a_one_way_symbol_still_lets_positions_be_closed(self) -> None:
        mt5 = terminal(symbols=special(trade_mode=TradeMode.LONG_ONLY))
        assert close(mt5, opened(mt5, BUY)).retcode == 10009

    def test_outside_the_session(self) -> None:
        # 1970-01-01 was a Thursday (4); trading ends at 00:01.
        ticks = [(1.1, 1.1001)] * 3
        mt5 = terminal(
            path("EURUSD", ticks, step_ms=30_000), symbols=special(sessions=(Session(4, 0, 1),))
        )
        ticket = opened(mt5)
        mt5.move_to(59_999)
        opened(mt5)
        mt5.move_to(60_000)
        assert close(mt5, ticket).retcode == 10018

    def test_opposite_positions_where_hedging_is_prohibited(self) -> None:
        mt5 = terminal(account=AccountSettings(hedge_allowed=False))
        ticket = opened(mt5, BUY)
        assert send(mt5, SELL).retcode == 10046
        assert send(mt5, BUY).retcode == 10009
        assert close(mt5, ticket).retcode == 10009

    def test_too_many_positions(self) -> None:
        mt5 = terminal(account=AccountSettings(limit_positions=1))
        ticket = opened(mt5)
        assert send(mt5, BUY).retcode == 10040
        assert close(mt5, ticket).retcode == 10009

    def test_too_much_volume_one_way(self) -> None:
        mt5 = terminal(symbols=special(volume_limit=0.3))
        opened(mt5, BUY, 0.2)
        assert send(mt5, BUY, 0.2).retcode == 10034
        assert send(mt5, BUY, 0.1).retcode == 10009
        assert send(mt5, SELL, 0.3).retcode == 10009

    def test_no_money_is_judged_by_what_is_free(self) -> None:
        mt5 = terminal(account=AccountSettings(deposit=1_000.0))
        opened(mt5, BUY, 0.5)
        # 0.9 lots need 990.09 of 995.00; 0.91 would need 1,001.09
        assert send(mt5, BUY, 0.41).retcode == 10019
        assert send(mt5, BUY, 0.4).retcode == 10009

    def test_stops_keep_their_distance(self) -> None:
        mt5 = terminal(symbols=special(stops_level=50))
        # closing price of a purchase: the bid, 1.10000
        assert send(mt5, BUY, sl=1.0996).retcode == 10016
        assert send(mt5, BUY, tp=1.1004).retcode == 10016
        assert send(mt5, BUY, sl=1.0995, tp=1.1005).retcode == 10009
        # of a sale: the ask, 1.10010
        assert send(mt5, SELL, sl=1.1005).retcode == 10016
        assert send(mt5, SELL, sl=1.1006, tp=1.0996).retcode == 10009

    def test_a_symbol_without_stops(self) -> None:
        mt5 = terminal(symbols=special(orders=OrderMask.MARKET))
        assert send(mt5, BUY, sl=1.0).retcode == 10016
        assert send(mt5, BUY, tp=1.2).retcode == 10016
        assert send(mt5, BUY).retcode == 10009


class TestFilling:
    @pytest.mark.parametrize(
        ("execution", "mask", "accepted"),
        [
            (Execution.MARKET, FillingMask.FOK, {0}),
            (Execution.MARKET, FillingMask.IOC, {1}),
            (Execution.MARKET, FillingMask.FOK | FillingMask.IOC, {0, 1}),
            (Execution.MARKET, FillingMask(0), set()),
            (Execution.EXCHANGE, FillingMask.IOC, {1, 2}),
            (Execution.INSTANT, FillingMask.FOK, {0, 1, 2}),
            (Execution.REQUEST, FillingMask(0), {0, 1, 2}),
        ],
    )
    def test_by_execution_mode_and_mask(
        self, execution: Execution, mask: FillingMask, accepted: set[int]
    ) -> None:
        mt5 = terminal(symbols=special(execution=execution, filling=mask))
        answers = {
            filling: send(mt5, BUY, price=1.1001, type_filling=filling).retcode
            for filling in range(4)
        }
        assert {filling for filling, code in answers.items() if code == 10009} == accepted
        assert {code for code in answers.values() if code != 10009} <= {10030}


class TestAskedPrice:
    @pytest.mark.parametrize(
        ("execution", "moved"), [(Execution.INSTANT, 10004), (Execution.REQUEST, 10020)]
    )
    def test_counts_on_instant_and_request_execution(
        self, execution: Execution, moved: int
    ) -> None:
        mt5 = terminal(symbols=special(execution=execution))
        assert send(mt5, BUY).retcode == 10015
        assert send(mt5, BUY, price=NAN).retcode == 10015
        assert send(mt5, BUY, price=1.1000, deviation=9).retcode == moved
        assert send(mt5, BUY, price=1.1002, deviation=9).retcode == moved
        assert send(mt5, BUY, price=1.1000, deviation=10).retcode == 10009
        assert send(mt5, SELL, price=1.1000).retcode == 10009

    def test_is_ignored_on_market_execution(self) -> None:
        mt5 = terminal()
        assert send(mt5, BUY, price=7.0).price == 1.1001
        assert send(mt5, BUY, price=NAN).retcode == 10009


@pytest.mark.parametrize(
    ("volume", "accepted"),
    [(0.3 - 0.1, True), (0.1 + 0.2, True), (0.29, True), (0.295, False), (0.01, True)],
)
def test_binary_fractions_do_not_spoil_a_volume(volume: float, accepted: bool) -> None:
    assert (judge_volume(symbol_settings("EURUSD"), volume) is None) == accepted
