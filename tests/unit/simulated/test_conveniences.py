"""Buy, Sell and Close."""

from __future__ import annotations

import pytest

from engine.simulated import Execution, Fault, FaultKind, FaultPlan
from tests.unit.simulated.arranging import BUY, SELL, opened, path, special, terminal


def test_buy_and_sell_trade_at_the_market() -> None:
    mt5 = terminal(symbols=special(execution=Execution.INSTANT))
    bought, sold = mt5.Buy("EURUSD", 0.1, comment="b"), mt5.Sell("EURUSD", 0.2)
    assert bought is not None
    assert sold is not None
    assert (bought.price, bought.request.comment, sold.price) == (1.1001, "b", 1.1)
    assert [p.sign for p in mt5.book.positions.values()] == [1, -1]


def test_a_requote_is_tried_again_at_the_fresh_price() -> None:
    mt5 = terminal(symbols=special(execution=Execution.INSTANT))
    answer = mt5.Buy("EURUSD", 0.1, 1.09)
    assert answer is not None
    assert (answer.retcode, answer.price, answer.request_id) == (10009, 1.1001, 2)


def test_tries_end() -> None:
    mt5 = terminal(faults=FaultPlan((Fault(FaultKind.PRICE_OFF, times=99),)))
    answer = mt5.Sell("EURUSD", 0.1)
    assert answer is not None
    assert (answer.retcode, answer.request_id) == (10021, 10)


def test_a_ticket_makes_it_a_close() -> None:
    mt5 = terminal()
    ticket = opened(mt5, BUY)
    answer = mt5.Sell("EURUSD", 0.1, ticket=ticket)
    assert answer is not None
    assert answer.retcode == 10009
    assert mt5.positions_total() == 0


def test_close_closes_what_it_is_told() -> None:
    mt5 = terminal(path("EURUSD", [(1.1, 1.1001)]), path("GBPUSD", [(1.5, 1.5001)]))
    first, other = opened(mt5, BUY), opened(mt5, SELL, symbol="GBPUSD")
    opened(mt5, SELL), opened(mt5, BUY)
    assert mt5.Close("EURUSD", ticket=first) is True
    assert mt5.positions_total() == 3
    assert mt5.Close("EURUSD", comment="bye") is True
    assert list(mt5.book.positions) == [other]
    assert mt5.book.deals[-1].comment == "bye"
    assert mt5.Close("EURUSD") is False


@pytest.mark.parametrize(("times", "result"), [(1, "Partially"), (2, False)])
def test_close_says_when_not_all_went(times: int, result: object) -> None:
    mt5 = terminal(faults=FaultPlan((Fault(FaultKind.FROZEN, nth=3, times=times),)))
    opened(mt5), opened(mt5)
    assert mt5.Close("EURUSD") == result


def test_errors_are_none() -> None:
    mt5 = terminal()
    assert mt5.Buy("NONE", 0.1) is None
    assert mt5.last_error()[0] == mt5.RES_E_NOT_FOUND
    opened(mt5)
    assert mt5.Close("EURUSD", comment="x" * 30) is None
    assert mt5.last_error() == (-2, 'Invalid "comment" argument')
    mt5.shutdown()
    assert mt5.Close("EURUSD") is None
