"""MT5Broker: its connection, and what it reads."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import deque
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from engine.brokers.mt5 import MT5Broker
from engine.brokers.port import ClosedBy, DealEntry, MarginMode, Side
from engine.errors import BrokerUnavailable, SymbolUnavailable, WrongAccount
from tests.unit.brokers.scripted_terminal import (
    LOGIN,
    Fails,
    ScriptedTerminal,
    account_info,
    deal_info,
    order_info,
    position_info,
    symbol_info,
)

run = asyncio.run
SECRET = "correct-horse-battery"


def broker_on(terminal: ScriptedTerminal) -> MT5Broker:
    return MT5Broker(terminal, login=LOGIN)


def test_connect_logs_in_with_everything_that_is_given() -> None:
    terminal = ScriptedTerminal()
    broker = MT5Broker(
        terminal,
        login=LOGIN,
        password=SecretStr(SECRET),
        server="Venue-Demo",
        path="C:/mt5/a/terminal64.exe",
        timeout_s=12.5,
    )
    state = run(broker.connect())
    assert terminal.called("initialize") == [
        (
            ("C:/mt5/a/terminal64.exe",),
            {"login": LOGIN, "password": SECRET, "server": "Venue-Demo", "timeout": 12_500},
        )
    ]
    assert (state.login, state.server, state.currency) == (LOGIN, "Venue-Demo", "USD")
    assert (state.balance, state.equity, state.margin) == (10_000.0, 9_500.0, 100.0)
    assert state.margin_mode is MarginMode.HEDGING
    assert not state.is_real
    assert state.trade_allowed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"margin_mode": 0}, ("margin_mode", MarginMode.NETTING)),
        ({"margin_mode": 1}, ("margin_mode", MarginMode.NETTING)),
        ({"trade_mode": 2}, ("is_real", True)),
        ({"trade_mode": 1}, ("is_real", False)),
        ({"trade_expert": False}, ("trade_allowed", False)),
        ({"trade_allowed": False}, ("trade_allowed", False)),
        ({"fifo_close": True}, ("fifo", True)),
        ({"currency_digits": 0}, ("currency_digits", 0)),
    ],
)
def test_what_an_account_says_of_itself(
    changes: dict[str, object], expected: tuple[str, object]
) -> None:
    broker = broker_on(ScriptedTerminal(account_info=account_info(**changes)))
    name, value = expected
    assert getattr(run(broker.account()), name) == value


def test_a_refused_login_says_what_to_check_and_hides_the_password() -> None:
    terminal = ScriptedTerminal(
        initialize=Fails(-6, f"Authorization failed for {SECRET}", value=False)
    )
    broker = MT5Broker(terminal, login=LOGIN, password=SecretStr(SECRET))
    with pytest.raises(BrokerUnavailable, match=r"-6.*check login, password and server") as caught:
        run(broker.connect())
    assert SECRET not in str(caught.value)


def test_no_error_and_no_log_shows_the_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    terminal = ScriptedTerminal(
        initialize=OSError(f"bad arguments: password={SECRET}"),
        shutdown=OSError(f"still holding {SECRET}"),
    )
    broker = MT5Broker(terminal, login=LOGIN, password=SecretStr(SECRET))
    with pytest.raises(BrokerUnavailable, match="OSError: bad arguments") as caught:
        run(broker.connect())
    run(broker.disconnect())
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "shutdown() of" in caplog.text
    for text in (str(caught.value), repr(caught.value), repr(broker), caplog.text):
        assert SECRET not in text


def test_another_account_is_refused_at_connect_and_at_every_later_check() -> None:
    right, wrong = account_info(), account_info(login=666)
    terminal = ScriptedTerminal(account_info=deque([wrong, right, wrong]))
    broker = broker_on(terminal)
    with pytest.raises(WrongAccount, match=f"666.*{LOGIN}"):
        run(broker.connect())
    run(broker.connect())
    with pytest.raises(WrongAccount):
        run(broker.account())


def test_without_a_login_the_first_account_seen_is_held_to() -> None:
    terminal = ScriptedTerminal(account_info=deque([account_info(), account_info(login=666)]))
    broker = MT5Broker(terminal)
    run(broker.connect())
    with pytest.raises(WrongAccount):
        run(broker.account())


@pytest.mark.parametrize("code", [-10000, -10001, -10002, -10003, -10004, -10005])
def test_a_lost_connection_is_reported_and_opened_again_by_the_next_read(code: int) -> None:
    terminal = ScriptedTerminal(positions_get=deque([Fails(code, "IPC"), (position_info(),)]))
    broker = broker_on(terminal)
    run(broker.connect())
    with pytest.raises(BrokerUnavailable, match=rf"positions_get\(\).*{code}"):
        run(broker.positions())
    assert len(terminal.called("initialize")) == 1
    assert len(run(broker.positions())) == 1
    assert len(terminal.called("initialize")) == 2


def test_an_ordinary_failure_does_not_reopen_the_connection() -> None:
    terminal = ScriptedTerminal(positions_get=deque([Fails(-1, "failed"), ()]))
    broker = broker_on(terminal)
    with pytest.raises(BrokerUnavailable):
        run(broker.positions())
    assert run(broker.positions()) == ()
    assert len(terminal.called("initialize")) == 1


def test_an_exception_of_the_terminal_is_an_unanswered_read() -> None:
    terminal = ScriptedTerminal(orders_get=deque([EOFError("stream closed"), ()]))
    broker = broker_on(terminal)
    with pytest.raises(BrokerUnavailable, match=r"orders_get\(\).*EOFError: stream closed"):
        run(broker.pending_orders())
    assert run(broker.pending_orders()) == ()
    assert len(terminal.called("initialize")) == 2


def test_a_reconnection_that_finds_another_account_reads_nothing() -> None:
    terminal = ScriptedTerminal(
        positions_get=deque([Fails(-10002), (position_info(),)]),
        account_info=deque([account_info(), account_info(login=666)]),
    )
    broker = broker_on(terminal)
    with pytest.raises(BrokerUnavailable):
        run(broker.positions())
    with pytest.raises(WrongAccount):
        run(broker.positions())
    assert len(terminal.called("positions_get")) == 1


def test_positions_are_plain_data_and_looked_up_by_keyword() -> None:
    terminal = ScriptedTerminal(positions_get=(position_info(), position_info(ticket=43, type=1)))
    broker = broker_on(terminal)
    first, second = run(broker.positions())
    assert (first.ticket, first.identifier, first.position_id) == (42, 41, "41")
    assert (first.side, second.side) == (Side.LONG, Side.SHORT)
    assert (first.volume, first.profit, first.opened_ms) == (0.3, -3000.0, 500)
    assert pickle.loads(pickle.dumps(first)) == first
    run(broker.positions(42))
    assert terminal.called("positions_get") == [((), {}), ((), {"ticket": 42})]


def test_quotes_know_the_closing_side() -> None:
    quote = run(broker_on(ScriptedTerminal()).quote("EURUSD"))
    assert quote.closing_price(Side.LONG) == 1.1
    assert quote.closing_price(Side.SHORT) == 1.1002


def test_a_symbol_is_read_once_and_made_visible() -> None:
    terminal = ScriptedTerminal(symbol_info=symbol_info(visible=False))
    broker = broker_on(terminal)
    for _ in range(3):
        assert run(broker.symbol("EURUSD")).contract_size == 100_000.0
    run(broker.quote("EURUSD"))
    assert len(terminal.called("symbol_info")) == 1
    assert terminal.called("symbol_select") == [(("EURUSD", True), {})]


def test_an_unknown_symbol_is_told_from_a_silent_terminal() -> None:
    with pytest.raises(SymbolUnavailable, match="'NOPE'"):
        run(broker_on(ScriptedTerminal(symbol_info=Fails(-4, "Not found"))).symbol("NOPE"))
    with pytest.raises(BrokerUnavailable):
        run(broker_on(ScriptedTerminal(symbol_info=Fails(-10002))).symbol("EURUSD"))


def test_a_symbol_without_price_has_no_quote() -> None:
    empty = SimpleNamespace(bid=0.0, ask=0.0, time_msc=0)
    with pytest.raises(SymbolUnavailable, match="no price"):
        run(broker_on(ScriptedTerminal(symbol_info_tick=empty)).quote("EURUSD"))


def test_deals_of_a_position_are_trades_in_order() -> None:
    terminal = ScriptedTerminal(
        history_deals_get=(
            deal_info(ticket=9, time_msc=2_000),
            deal_info(ticket=5, type=2, symbol="", position_id=0),
            deal_info(ticket=8, time_msc=2_000),
            deal_info(ticket=7, time_msc=1_000, entry=0, type=0, comment="opened", reason=0),
        )
    )
    deals = run(broker_on(terminal).deals_of(41))
    assert terminal.called("history_deals_get") == [((), {"position": 41})]
    assert [deal.ticket for deal in deals] == [7, 8, 9]
    assert [deal.entry for deal in deals] == [DealEntry.IN, DealEntry.OUT, DealEntry.OUT]
    assert deals[1].side is Side.SHORT
    assert deals[1].result == pytest.approx(-3003.75)
    assert deals[1].comment == "RE-TAG"


@pytest.mark.parametrize(
    ("reason", "who"),
    [
        (0, ClosedBy.HAND),
        (1, ClosedBy.HAND),
        (2, ClosedBy.HAND),
        (3, ClosedBy.EXPERT),
        (4, ClosedBy.STOP_LOSS),
        (5, ClosedBy.TAKE_PROFIT),
        (6, ClosedBy.STOP_OUT),
        (7, ClosedBy.OTHER),
        (99, ClosedBy.OTHER),
    ],
)
def test_who_closed(reason: int, who: ClosedBy) -> None:
    terminal = ScriptedTerminal(history_deals_get=(deal_info(reason=reason),))
    assert run(broker_on(terminal).deals_of(41))[0].closed_by is who


def test_a_span_of_deals_is_asked_in_aware_seconds_and_cut_to_the_millisecond() -> None:
    terminal = ScriptedTerminal(
        history_deals_get=tuple(
            deal_info(ticket=t, time_msc=ms)
            for t, ms in ((1, 1_499), (2, 1_500), (3, 2_700), (4, 2_701))
        )
    )
    deals = run(broker_on(terminal).deals_between(1_500, 2_700))
    assert [deal.ticket for deal in deals] == [2, 3]
    assert terminal.called("history_deals_get") == [
        ((datetime.fromtimestamp(1, UTC), datetime.fromtimestamp(3, UTC)), {})
    ]


def test_unanswered_history_is_an_error_and_an_empty_one_is_not() -> None:
    broker = broker_on(ScriptedTerminal(history_deals_get=deque([(), Fails(-1)])))
    assert run(broker.deals_of(41)) == ()
    with pytest.raises(BrokerUnavailable):
        run(broker.deals_of(41))


def test_pending_orders_leave_out_orders_on_their_way() -> None:
    terminal = ScriptedTerminal(
        orders_get=(order_info(), order_info(ticket=91, type=0), order_info(ticket=92, type=5))
    )
    orders = run(broker_on(terminal).pending_orders())
    assert [(order.ticket, order.side) for order in orders] == [(90, Side.LONG), (92, Side.SHORT)]


def test_disconnect_is_harmless_without_a_connection() -> None:
    terminal = ScriptedTerminal()
    broker = broker_on(terminal)
    run(broker.disconnect())
    assert terminal.calls == []
    run(broker.connect())
    run(broker.disconnect())
    run(broker.disconnect())
    assert len(terminal.called("shutdown")) == 1
