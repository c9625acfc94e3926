"""Pending orders: where they may stand, and what the price stream makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import AccountSettings, MarginMode, OrderMask, SimulatedTerminal, TradeMode
from engine.simulated.api_table import Struct
from tests.unit.simulated.arranging import (
    BUY,
    DAY_MS,
    SELL,
    opened,
    path,
    send,
    special,
    terminal,
)

BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP, BUY_STOP_LIMIT, SELL_STOP_LIMIT = range(2, 8)
UP = [(1.1, 1.1001), (1.11, 1.1101), (1.12, 1.1201), (1.1, 1.1001)]
DOWN = [(1.1, 1.1001), (1.09, 1.0901), (1.08, 1.0801), (1.1, 1.1001)]


def place(mt5: SimulatedTerminal, order_type: int, price: float, **more: Any) -> Struct:
    answer = mt5.order_send(
        {
            "action": 5,
            "symbol": "EURUSD",
            "volume": 0.1,
            "type": order_type,
            "price": price,
            "type_filling": 2,
        }
        | more
    )
    assert answer is not None, mt5.last_error()
    return answer


def placed(mt5: SimulatedTerminal, order_type: int, price: float, **more: Any) -> int:
    answer = place(mt5, order_type, price, **more)
    assert answer.retcode == 10009, answer
    return int(answer.order)


@pytest.mark.parametrize(
    ("order_type", "price", "quotes", "time_ms", "fill"),
    [
        (BUY_LIMIT, 1.085, DOWN, 2_000, 1.0801),
        (SELL_LIMIT, 1.115, UP, 2_000, 1.12),
        (BUY_STOP, 1.105, UP, 1_000, 1.1101),
        (SELL_STOP, 1.095, DOWN, 1_000, 1.09),
    ],
)
def test_an_order_fills_at_the_first_price_beyond_its_own(
    order_type: int, price: float, quotes: Any, time_ms: int, fill: float
) -> None:
    mt5 = terminal(path("EURUSD", quotes))
    ticket = placed(mt5, order_type, price, sl=0.0, comment="wait", magic=3)
    (order,) = mt5.orders_get(ticket=ticket) or ()
    assert (order.state, order.type, order.price_open) == (1, order_type, price)
    while mt5.advance():
        pass
    assert mt5.orders_get() == ()
    deal = mt5.book.deals_by_position[ticket][0]
    assert (deal.time_msc, deal.price, deal.comment, deal.magic) == (time_ms, fill, "wait", 3)
    (done,) = mt5.history_orders_get(ticket=ticket) or ()
    assert (done.state, done.position_id, done.price_current) == (4, ticket, fill)


def test_a_stop_limit_waits_for_its_limit_after_its_stop() -> None:
    mt5 = terminal(path("EURUSD", UP))
    ticket = placed(mt5, BUY_STOP_LIMIT, 1.105, stoplimit=1.1005)
    mt5.advance()
    (order,) = mt5.orders_get() or ()
    assert (order.type, order.price_open, order.price_stoplimit) == (BUY_LIMIT, 1.1005, 0.0)
    mt5.move_to(3_000)
    assert mt5.book.deals_by_position[ticket][0].price == 1.1001


def test_a_sell_stop_limit_too() -> None:
    mt5 = terminal(path("EURUSD", DOWN))
    ticket = placed(mt5, SELL_STOP_LIMIT, 1.095, stoplimit=1.0999)
    mt5.move_to(3_000)
    assert mt5.book.deals_by_position[ticket][0].time_msc == 3_000


@pytest.mark.parametrize(
    ("order_type", "price", "more", "retcode"),
    [
        (BUY_LIMIT, 1.1001, {}, 10015),
        (BUY_LIMIT, 1.0, {}, 10009),
        (SELL_LIMIT, 1.1, {}, 10015),
        (BUY_STOP, 1.1, {}, 10015),
        (SELL_STOP, 1.2, {}, 10015),
        (BUY_LIMIT, 0.0, {}, 10015),
        (BUY_LIMIT, float("nan"), {}, 10015),
        (BUY_STOP_LIMIT, 1.2, {"stoplimit": 1.3}, 10015),
        (BUY_STOP_LIMIT, 1.2, {}, 10015),
        (SELL_STOP_LIMIT, 1.0, {"stoplimit": 0.9}, 10015),
        (BUY_LIMIT, 1.0, {"sl": 1.05}, 10016),
        (BUY_LIMIT, 1.0, {"sl": 0.9, "tp": 1.05}, 10009),
        (BUY_STOP_LIMIT, 1.2, {"stoplimit": 1.1, "sl": 1.15}, 10016),
        (BUY, 1.0, {}, 10035),
        (9, 1.0, {}, 10013),
        (BUY_LIMIT, 1.0, {"volume": 0.001}, 10014),
        (BUY_LIMIT, 1.0, {"type_filling": 3}, 10030),
        (BUY_LIMIT, 1.0, {"type_filling": 0}, 10009),
        (BUY_LIMIT, 1.0, {"type_time": 4}, 10022),
        (BUY_LIMIT, 1.0, {"type_time": 2}, 10022),
        (BUY_LIMIT, 1.0, {"type_time": 2, "expiration": 60}, 10009),
    ],
)
def test_placing(order_type: int, price: float, more: dict[str, Any], retcode: int) -> None:
    mt5 = terminal()
    assert place(mt5, order_type, price, **more).retcode == retcode
    assert mt5.orders_total() == (retcode == 10009)


def test_limits_by_account_and_symbol() -> None:
    mt5 = terminal(account=AccountSettings(limit_orders=1))
    placed(mt5, BUY_LIMIT, 1.0)
    assert place(mt5, BUY_LIMIT, 1.0).retcode == 10033
    mt5 = terminal(symbols=special(volume_limit=0.3))
    opened(mt5, BUY, 0.2)
    placed(mt5, BUY_LIMIT, 1.0)
    assert place(mt5, BUY_LIMIT, 1.0).retcode == 10034
    assert place(mt5, SELL_LIMIT, 1.2).retcode == 10009


def test_a_symbol_may_refuse_kinds_and_directions() -> None:
    mt5 = terminal(symbols=special(orders=OrderMask.MARKET | OrderMask.STOP))
    assert place(mt5, BUY_LIMIT, 1.0).retcode == 10035
    assert place(mt5, BUY_STOP, 1.2).retcode == 10009
    mt5 = terminal(symbols=special(trade_mode=TradeMode.CLOSE_ONLY))
    assert place(mt5, BUY_LIMIT, 1.0).retcode == 10044


def test_change_and_removal() -> None:
    mt5 = terminal()
    ticket = placed(mt5, BUY_LIMIT, 1.0)

    def change(**more: Any) -> int:
        answer = mt5.order_send({"action": 7, "order": ticket} | more)
        assert answer is not None
        return int(answer.retcode)

    assert change(price=1.0) == 10025
    assert change(price=1.2) == 10015
    assert change(price=1.05, sl=1.0, type_time=2, expiration=60) == 10009
    order = mt5.book.pending[ticket]
    assert (order.price, order.sl, order.expiration) == (1.05, 1.0, 60)
    for retcode in (10009, 10013):
        answer = mt5.order_send({"action": 8, "order": ticket})
        assert answer is not None
        assert answer.retcode == retcode
    assert change(price=1.0) == 10013
    assert mt5.orders_total() == 0
    assert mt5.book.orders[-1].state == mt5.ORDER_STATE_CANCELED


def test_frozen_near_its_price() -> None:
    mt5 = terminal(path("EURUSD", DOWN), symbols=special(freeze_level=20))
    ticket = placed(mt5, BUY_LIMIT, 1.09)
    mt5.advance()
    for action in (7, 8):
        answer = mt5.order_send({"action": action, "order": ticket, "price": 1.05})
        assert answer is not None
        assert answer.retcode == 10029


@pytest.mark.parametrize(
    ("more", "alive_ms"),
    [
        ({}, 10 * DAY_MS),
        ({"type_time": 1}, DAY_MS - 1),
        ({"type_time": 2, "expiration": 3_600}, 3_599_999),
        ({"type_time": 3, "expiration": DAY_MS // 1000 + 60}, 2 * DAY_MS - 1),
    ],
)
def test_an_order_stands_as_long_as_it_says(more: dict[str, Any], alive_ms: int) -> None:
    quiet = [(1.1, 1.1001)] * 3
    prices = path("EURUSD", quiet)
    prices.times_ms[1], prices.times_ms[2] = alive_ms, alive_ms + 1
    mt5 = terminal(prices)
    ticket = placed(mt5, BUY_LIMIT, 1.0, **more)
    mt5.advance()
    assert list(mt5.book.pending) == [ticket]
    mt5.advance()
    assert list(mt5.book.pending) == ([] if more else [ticket])
    if more:
        assert mt5.book.orders[-1].state == mt5.ORDER_STATE_EXPIRED


def test_without_money_a_triggered_order_is_rejected() -> None:
    mt5 = terminal(path("EURUSD", UP), account=AccountSettings(deposit=50.0))
    placed(mt5, BUY_STOP, 1.105)
    mt5.advance()
    assert mt5.positions_total() == 0
    assert mt5.book.orders[-1].state == mt5.ORDER_STATE_REJECTED


def test_on_netting_it_trades_into_the_position() -> None:
    account = AccountSettings(margin_mode=MarginMode.NETTING)
    mt5 = terminal(path("EURUSD", UP), account=account)
    identifier = send(mt5, SELL, 0.3).order
    placed(mt5, BUY_STOP, 1.105)
    mt5.advance()
    assert [(p.sign, p.volume) for p in mt5.book.positions.values()] == [(-1, 0.2)]
    assert mt5.book.orders[-1].position_id == identifier


def test_its_stops_become_the_positions() -> None:
    mt5 = terminal(path("EURUSD", UP))
    ticket = placed(mt5, BUY_STOP, 1.105, sl=1.1, tp=1.2)
    mt5.advance()
    assert (mt5.book.positions[ticket].sl, mt5.book.positions[ticket].tp) == (1.1, 1.2)
