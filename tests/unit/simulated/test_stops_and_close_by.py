"""Changing SL and TP, and closing positions by one another, on hedging accounts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import OrderMask
from tests.unit.simulated.arranging import BUY, SELL, close, opened, path, special, terminal


class TestStops:
    def test_are_set_and_removed(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5)
        change: dict[str, Any] = {"action": 6, "position": ticket, "symbol": "EURUSD"}
        for sl, tp, retcode in (
            (1.0, 1.2, 10009),
            (1.0, 1.2, 10025),
            (1.2, 0.0, 10016),
            (0.0, 0.0, 10009),
        ):
            answer = mt5.order_send(change | {"sl": sl, "tp": tp})
            assert answer is not None
            assert answer.retcode == retcode
        assert (mt5.book.positions[ticket].sl, mt5.book.positions[ticket].tp) == (0.0, 0.0)

    def test_the_symbol_may_be_left_out(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5)
        answer = mt5.order_send({"action": 6, "position": ticket, "sl": 1.0})
        assert answer is not None
        assert (answer.retcode, mt5.book.positions[ticket].sl) == (10009, 1.0)

    @pytest.mark.parametrize("symbol", ["", "EURUSD"])
    def test_of_a_closed_or_unknown_position(self, symbol: str) -> None:
        mt5 = terminal()
        ticket = opened(mt5)
        close(mt5, ticket)
        for position, retcode in ((ticket, 10036), (5, 10013)):
            answer = mt5.order_send(
                {"action": 6, "position": position, "symbol": symbol, "sl": 1.0}
            )
            assert answer is not None
            assert answer.retcode == retcode

    def test_of_another_symbol(self) -> None:
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001)]), path("GBPUSD", [(1.5, 1.5001)]))
        ticket = opened(mt5)
        answer = mt5.order_send({"action": 6, "position": ticket, "symbol": "GBPUSD", "sl": 1.0})
        assert answer is not None
        assert answer.retcode == 10013

    def test_cannot_be_moved_when_frozen(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0901, 1.0902)]), symbols=special(freeze_level=20)
        )
        ticket = opened(mt5, sl=1.09)
        mt5.advance()
        answer = mt5.order_send({"action": 6, "position": ticket, "sl": 1.05})
        assert answer is not None
        assert answer.retcode == 10029


class TestCloseBy:
    def test_takes_the_smaller_volume_out_of_both(self) -> None:
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001), (1.2, 1.2001)]))
        long = opened(mt5, BUY, 0.3)
        mt5.advance()
        short = opened(mt5, SELL, 0.2)
        answer = mt5.order_send({"action": 10, "position": long, "position_by": short})
        assert answer is not None
        assert (answer.retcode, answer.volume, answer.price) == (10009, 0.2, 1.2)
        assert mt5.book.positions[long].volume == 0.1
        assert short not in mt5.book.positions
        first, second = mt5.book.deals[-2:]
        # (1.2 - 1.1001) x 20,000: one spread is saved
        assert (first.position_id, first.entry, first.profit) == (long, 3, 1_998.0)
        assert (second.position_id, second.entry, second.profit) == (short, 3, 0.0)
        order = mt5.book.orders[-1]
        assert (order.type, order.position_id, order.position_by_id) == (8, long, short)

    @pytest.mark.parametrize("known", [True, False])
    def test_needs_two_open_positions(self, known: bool) -> None:
        mt5 = terminal()
        long = opened(mt5)
        gone = opened(mt5, SELL)
        close(mt5, gone)
        answer = mt5.order_send(
            {"action": 10, "position": long, "position_by": gone if known else 5}
        )
        assert answer is not None
        assert answer.retcode == (10036 if known else 10013)

    def test_needs_opposite_positions_of_one_symbol(self) -> None:
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001)]), path("GBPUSD", [(1.5, 1.5001)]))
        long, same = opened(mt5), opened(mt5)
        other = opened(mt5, SELL, symbol="GBPUSD")
        for by in (same, other, long):
            answer = mt5.order_send({"action": 10, "position": long, "position_by": by})
            assert answer is not None
            assert answer.retcode == 10013

    def test_needs_a_symbol_that_takes_it(self) -> None:
        mt5 = terminal(symbols=special(orders=OrderMask.ALL & ~OrderMask.CLOSE_BY))
        long, short = opened(mt5), opened(mt5, SELL)
        answer = mt5.order_send({"action": 10, "position": long, "position_by": short})
        assert answer is not None
        assert answer.retcode == 10035
