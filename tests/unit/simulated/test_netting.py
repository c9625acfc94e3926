"""Netting accounts: one position a symbol, enlarged, reduced, closed and reversed by trades."""

from __future__ import annotations

import pytest

from engine.simulated import AccountSettings, MarginMode, SimulatedTerminal
from tests.unit.simulated.arranging import BUY, DAY_MS, SELL, path, request, send, special, terminal

QUOTES = [(1.10000, 1.10010), (1.11000, 1.11010), (1.12000, 1.12010)]


@pytest.fixture
def mt5() -> SimulatedTerminal:
    return terminal(path("EURUSD", QUOTES), account=AccountSettings(margin_mode=MarginMode.NETTING))


def net(mt5: SimulatedTerminal) -> tuple[int, float, float]:
    (position,) = mt5.book.positions.values()
    return position.sign, position.volume, position.price_open


def test_the_same_direction_enlarges_at_the_average_price(mt5: SimulatedTerminal) -> None:
    first = send(mt5, BUY, 0.1)
    mt5.advance()
    send(mt5, BUY, 0.3)
    sign, volume, price = net(mt5)
    # (1.10010 x 0.1 + 1.11010 x 0.3) / 0.4
    assert (sign, volume) == (1, 0.4)
    assert price == pytest.approx(1.10760, abs=1e-12)
    assert [d.entry for d in mt5.book.deals_by_position[first.order]] == [0, 0]


def test_the_opposite_direction_reduces_and_closes(mt5: SimulatedTerminal) -> None:
    identifier = send(mt5, BUY, 0.3).order
    mt5.advance()
    send(mt5, SELL, 0.1)
    assert net(mt5) == (1, 0.2, 1.1001)
    send(mt5, SELL, 0.2)
    assert mt5.positions_get() == ()
    # (1.11000 - 1.10010) x 10,000 and x 20,000
    deals = mt5.book.deals_by_position[identifier]
    assert [(d.entry, d.profit) for d in deals] == [(0, 0.0), (1, 99.0), (1, 198.0)]


def test_more_than_the_position_reverses_it(mt5: SimulatedTerminal) -> None:
    opening = send(mt5, BUY, 0.1)
    mt5.advance()
    reversal = send(mt5, SELL, 0.3, comment="over")
    assert net(mt5) == (-1, 0.2, 1.11)
    (position,) = mt5.positions_get(ticket=reversal.order) or ()
    assert (position.identifier, position.ticket) == (opening.order, reversal.order)
    assert mt5.positions_get(ticket=opening.order) == ()
    deal = mt5.book.deals[-1]
    # (1.11000 - 1.10010) x 10,000 of the old position
    assert (deal.entry, deal.volume, deal.profit) == (mt5.DEAL_ENTRY_INOUT, 0.3, 99.0)
    assert deal.position_id == opening.order


def test_a_reversal_pays_the_swap_of_the_old_position_once() -> None:
    mt5 = terminal(
        path("EURUSD", QUOTES, start_ms=DAY_MS - 1, step_ms=1),
        symbols=special(swap_long=-10.0),
        account=AccountSettings(margin_mode=MarginMode.NETTING),
    )
    send(mt5, BUY, 0.1)
    mt5.advance()
    send(mt5, SELL, 0.3)
    # 10,000 x 0.00001 x -10
    assert mt5.book.deals[-1].swap == -1.0
    (position,) = mt5.book.positions.values()
    assert position.swap == 0.0
    send(mt5, BUY, 0.2)
    assert mt5.book.deals[-1].swap == 0.0


def test_margin_of_a_reversed_position_is_that_of_what_is_left(mt5: SimulatedTerminal) -> None:
    send(mt5, BUY, 0.1)
    send(mt5, SELL, 0.3)
    info = mt5.account_info()
    assert info is not None
    # 20,000 / 100 x 1.10000
    assert info.margin == 220.00


def test_a_second_close_is_not_refused_but_opens_the_opposite(mt5: SimulatedTerminal) -> None:
    ticket = send(mt5, BUY, 0.1).order
    for _ in range(2):
        answer = mt5.order_send(request(SELL, 0.1, position=ticket))
        assert answer is not None
        assert answer.retcode == 10009
    assert net(mt5) == (-1, 0.1, 1.1)


def test_reducing_needs_no_money() -> None:
    mt5 = terminal(
        path("EURUSD", QUOTES),
        account=AccountSettings(margin_mode=MarginMode.NETTING, deposit=115.0, stop_out=0.0),
    )
    send(mt5, BUY, 0.1)
    assert send(mt5, BUY, 0.1).retcode == 10019
    assert send(mt5, SELL, 0.3).retcode == 10019
    assert send(mt5, SELL, 0.1).retcode == 10009


def test_only_a_new_position_counts_against_the_limit() -> None:
    mt5 = terminal(
        path("EURUSD", QUOTES),
        path("GBPUSD", [(1.5, 1.5001)]),
        account=AccountSettings(margin_mode=MarginMode.NETTING, limit_positions=1),
    )
    send(mt5, BUY)
    assert send(mt5, BUY).retcode == 10009
    assert send(mt5, SELL, symbol="GBPUSD").retcode == 10040


def test_stops_are_named_by_symbol(mt5: SimulatedTerminal) -> None:
    send(mt5, BUY, 0.1)
    answer = mt5.order_send({"action": 6, "symbol": "EURUSD", "sl": 1.0})
    assert answer is not None
    assert answer.retcode == 10009
    assert next(iter(mt5.book.positions.values())).sl == 1.0


def test_close_by_is_for_hedging_accounts(mt5: SimulatedTerminal) -> None:
    ticket = send(mt5, BUY, 0.1).order
    answer = mt5.order_send({"action": 10, "position": ticket, "position_by": ticket})
    assert answer is not None
    assert answer.retcode == 10035


def test_checking_a_reversal_counts_only_what_would_be_left(mt5: SimulatedTerminal) -> None:
    send(mt5, BUY, 0.1)
    check = mt5.order_check(request(SELL, 0.3))
    assert check is not None
    assert (check.retcode, check.margin) == (0, 220.00)
