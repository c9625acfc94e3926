"""The reading calls: connection, errors, selection, history, symbols."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from engine.simulated import AccountSettings, MarginMode, Market, SimulatedTerminal
from engine.simulated.api_table import FUNCTIONS
from tests.unit.simulated.arranging import (
    BUY,
    SELL,
    close,
    opened,
    path,
    request,
    send,
    terminal,
)

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "login": (100_001,),
    "history_deals_get": (0, 1),
    "history_orders_get": (0, 1),
    "history_deals_total": (0, 1),
    "history_orders_total": (0, 1),
    "order_send": ({},),
    "order_check": ({},),
    "order_calc_margin": (0, "EURUSD", 0.1, 1.1),
    "order_calc_profit": (0, "EURUSD", 0.1, 1.1, 1.2),
    **dict.fromkeys(
        (
            "symbol_info",
            "symbol_info_tick",
            "symbol_select",
            "market_book_add",
            "market_book_get",
            "market_book_release",
        ),
        ("EURUSD",),
    ),
}
NEED_A_CONNECTION = sorted(set(FUNCTIONS) - {"initialize", "shutdown", "last_error"})
UNSUPPORTED = [name for name in FUNCTIONS if name.startswith("copy_")]


def two_symbols() -> SimulatedTerminal:
    return terminal(path("EURUSD", [(1.1, 1.1001)]), path("GBPUSD", [(1.5, 1.5002)]))


class TestConnection:
    @pytest.mark.parametrize("name", NEED_A_CONNECTION)
    def test_every_call_needs_one(self, name: str) -> None:
        mt5 = terminal()
        mt5.shutdown()
        answer = getattr(mt5, name)(*ARGUMENTS.get(name, ()))
        assert answer is None or answer is False
        assert mt5.last_error() == (-10004, "No IPC connection")

    @pytest.mark.parametrize("name", sorted(set(NEED_A_CONNECTION) - set(UNSUPPORTED)))
    def test_with_one_every_call_answers(self, name: str) -> None:
        mt5 = terminal()
        answer = getattr(mt5, name)(*ARGUMENTS.get(name, ()))
        assert answer is not None
        assert answer is not False
        assert mt5.last_error() == (1, "Success")

    @pytest.mark.parametrize("name", UNSUPPORTED)
    def test_arrays_are_not_supported(self, name: str) -> None:
        mt5 = terminal()
        assert getattr(mt5, name)("EURUSD", 1, 0, 10) is None
        assert mt5.last_error()[0] == mt5.RES_E_UNSUPPORTED

    def test_credentials_must_be_the_accounts(self) -> None:
        account = AccountSettings(login=7, password="right", server="Here")
        mt5 = SimulatedTerminal(Market([path("EURUSD", [(1.1, 1.2)])]), account)
        assert not mt5.initialize("terminal64.exe", login=7, password="wrong", server="Here")
        assert mt5.last_error() == (-6, "Terminal: Authorization failed")
        assert mt5.account_info() is None
        assert mt5.initialize("terminal64.exe", login=7, password="right", server="Here")
        assert not mt5.login(8, password="right")
        assert not mt5.login(7, server="There")
        assert mt5.login(7, password="right", timeout=10)
        assert mt5.last_error() == (1, "Success")

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"path": 5}, "path"),
            ({"login": "7"}, "login"),
            ({"login": True}, "login"),
            ({"login": -7}, "login"),
            ({"login": 7, "password": 5}, "password"),
            ({"login": 7, "server": b"Here"}, "server"),
            ({"timeout": "x"}, "timeout"),
            ({"timeout": 10.0}, "timeout"),
        ],
    )
    def test_credentials_are_typed(self, arguments: dict[str, Any], name: str) -> None:
        account = AccountSettings(login=7)
        mt5 = terminal(account=account)
        if "path" not in arguments:
            assert not mt5.login(**{"login": 7} | arguments)
            assert mt5.last_error() == (-2, f'Invalid "{name}" argument')
            assert mt5.account_info() is not None  # still connected
        assert not mt5.initialize(**arguments)
        assert mt5.last_error() == (-2, f'Invalid "{name}" argument')
        assert mt5.account_info() is None

    def test_the_next_call_resets_the_error(self) -> None:
        mt5 = terminal()
        assert mt5.symbol_info("NONE") is None
        assert mt5.last_error()[0] == mt5.RES_E_NOT_FOUND
        assert mt5.last_error()[0] == mt5.RES_E_NOT_FOUND
        mt5.positions_total()
        assert mt5.last_error() == (1, "Success")

    def test_the_version_is_the_packages(self) -> None:
        assert terminal().version() == (500, 6231, "simulated")


class TestPositions:
    def test_nothing_found_is_an_empty_tuple(self) -> None:
        mt5 = terminal()
        assert mt5.positions_get() == ()
        assert mt5.positions_get(ticket=5) == ()
        assert mt5.positions_get(symbol="EURUSD") == ()
        assert mt5.orders_get() == ()

    def test_selection(self) -> None:
        mt5 = two_symbols()
        eur, gbp = opened(mt5), opened(mt5, symbol="GBPUSD")

        def tickets(**keywords: Any) -> list[int]:
            return [p.ticket for p in mt5.positions_get(**keywords) or ()]

        assert tickets() == [eur, gbp]
        assert tickets(ticket=gbp) == [gbp]
        assert tickets(symbol="EURUSD") == [eur]
        assert tickets(group="*,!EUR*") == [gbp]
        assert tickets(symbol="EURUSD", ticket=gbp) == [eur]
        assert mt5.positions_total() == 2

    def test_a_misspelt_keyword_returns_all(self) -> None:
        mt5 = two_symbols()
        opened(mt5)
        opened(mt5, symbol="GBPUSD")
        assert len(mt5.positions_get(tikcet=1) or ()) == 2

    def test_only_keywords_are_taken(self) -> None:
        with pytest.raises(TypeError):
            terminal().positions_get("EURUSD")  # type: ignore[call-arg]

    @pytest.mark.parametrize(
        ("keywords", "name"),
        [
            ({"ticket": "1"}, "ticket"),
            ({"ticket": True}, "ticket"),
            ({"ticket": 1.0}, "ticket"),
            ({"symbol": 1}, "symbol"),
            ({"group": 1}, "group"),
        ],
    )
    def test_bad_arguments_are_errors(self, keywords: dict[str, Any], name: str) -> None:
        mt5 = terminal()
        opened(mt5)
        assert mt5.positions_get(**keywords) is None
        assert mt5.last_error() == (-2, f'Invalid "{name}" argument')

    def test_a_position_shows_what_it_is_worth(self) -> None:
        mt5 = terminal()
        ticket = opened(mt5, SELL, 0.2, comment="mine", magic=9)
        (position,) = mt5.positions_get(ticket=ticket) or ()
        assert (position.ticket, position.identifier, position.type) == (ticket, ticket, 1)
        assert (position.volume, position.price_open, position.price_current) == (0.2, 1.1, 1.1001)
        assert (position.profit, position.comment, position.magic) == (-2.0, "mine", 9)
        assert position.reason == mt5.POSITION_REASON_EXPERT


class TestHistory:
    @pytest.fixture
    def mt5(self) -> SimulatedTerminal:
        """Deposit, a position opened at 0 s and closed at 2 s, another opened at 2 s."""
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001)] * 3), path("GBPUSD", [(1.5, 1.5002)] * 3))
        ticket = opened(mt5)
        mt5.move_to(2_000)
        close(mt5, ticket)
        opened(mt5, symbol="GBPUSD")
        return mt5

    def test_by_dates_with_both_ends(self, mt5: SimulatedTerminal) -> None:
        assert len(mt5.history_deals_get(0, 2) or ()) == 4
        assert len(mt5.history_deals_get(1, 2) or ()) == 2
        assert len(mt5.history_deals_get(0, 1) or ()) == 2
        assert mt5.history_deals_get(3, 9) == ()
        assert mt5.history_deals_total(0, 2) == 4
        assert len(mt5.history_orders_get(0, 2) or ()) == 3
        assert mt5.history_orders_total(2, 2) == 2

    def test_by_dates_and_group(self, mt5: SimulatedTerminal) -> None:
        assert [d.symbol for d in mt5.history_deals_get(0, 9, group="GBP*") or ()] == ["GBPUSD"]

    def test_by_order(self, mt5: SimulatedTerminal) -> None:
        assert [d.entry for d in mt5.history_deals_get(ticket=1_000_002) or ()] == [1]
        assert [o.type for o in mt5.history_orders_get(ticket=1_000_002) or ()] == [SELL]

    def test_by_position(self, mt5: SimulatedTerminal) -> None:
        assert [d.entry for d in mt5.history_deals_get(position=1_000_001) or ()] == [0, 1]
        assert mt5.history_deals_get(position=5) == ()
        assert [o.type for o in mt5.history_orders_get(position=1_000_001) or ()] == [BUY, SELL]

    def test_with_dates_the_position_is_ignored(self, mt5: SimulatedTerminal) -> None:
        assert len(mt5.history_deals_get(0, 2, position=1_000_001) or ()) == 4

    def test_aware_dates_are_what_they_say(self, mt5: SimulatedTerminal) -> None:
        east = timezone(timedelta(hours=5))
        since = datetime(1970, 1, 1, 5, 0, 1, tzinfo=east)
        until = datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
        assert len(mt5.history_deals_get(since, until) or ()) == 2

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set here")
    def test_naive_dates_are_local_time(
        self, mt5: SimulatedTerminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "UTC-3")  # POSIX: three hours east
        time.tzset()
        try:
            since = datetime(1970, 1, 1, 3, 0, 1)  # noqa: DTZ001 - the case
            until = datetime(1970, 1, 1, 3, 0, 2)  # noqa: DTZ001 - the case
            assert len(mt5.history_deals_get(since, until) or ()) == 2
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize(
        ("dates", "keywords", "name"),
        [
            ((), {}, "date_from"),
            ((0,), {}, "date_to"),
            (("0", 1), {}, "date_from"),
            ((0, 1.5), {}, "date_to"),
            ((True, 1), {}, "date_from"),
            ((0, 1), {"group": 3}, "group"),
            ((), {"ticket": "x"}, "ticket"),
            ((), {"position": "x"}, "position"),
        ],
    )
    def test_bad_arguments_are_errors(
        self, mt5: SimulatedTerminal, dates: tuple[object, ...], keywords: Any, name: str
    ) -> None:
        for call in (mt5.history_deals_get, mt5.history_orders_get):
            assert call(*dates, **keywords) is None
            assert mt5.last_error() == (-2, f'Invalid "{name}" argument')

    def test_the_first_deal_is_the_deposit(self, mt5: SimulatedTerminal) -> None:
        deal = (mt5.history_deals_get(0, 9) or ())[0]
        assert (deal.type, deal.profit, deal.position_id) == (mt5.DEAL_TYPE_BALANCE, 10_000.0, 0)

    def test_a_closing_deal_says_everything(self, mt5: SimulatedTerminal) -> None:
        deal = (mt5.history_deals_get(position=1_000_001) or ())[1]
        assert (deal.type, deal.entry, deal.reason) == (SELL, 1, mt5.DEAL_REASON_EXPERT)
        assert (deal.volume, deal.price, deal.time_msc, deal.time) == (0.1, 1.1, 2_000, 2)
        assert (deal.order, deal.position_id, deal.profit) == (1_000_002, 1_000_001, -1.0)


class TestSymbols:
    def test_a_symbol_shows_its_specification_and_prices(self) -> None:
        info = terminal().symbol_info("EURUSD")
        assert info is not None
        assert (info.name, info.digits, info.point, info.spread) == ("EURUSD", 5, 0.00001, 10)
        assert (info.bid, info.ask, info.filling_mode, info.order_mode) == (1.1, 1.1001, 3, 127)
        assert (info.trade_contract_size, info.trade_tick_value) == (100_000.0, 1.0)

    def test_unknown_symbols_are_not_found(self) -> None:
        mt5 = terminal()
        for call in (
            mt5.symbol_info,
            mt5.symbol_info_tick,
            mt5.symbol_select,
            mt5.market_book_add,
            mt5.market_book_get,
        ):
            assert call("NONE") in (None, False)
            assert mt5.last_error()[0] == mt5.RES_E_NOT_FOUND
        assert mt5.symbol_info(5) is None  # type: ignore[arg-type]
        assert mt5.last_error() == (-2, 'Invalid "symbol" argument')

    def test_groups(self) -> None:
        mt5 = two_symbols()

        def names(group: str | None = None) -> list[str]:
            return [info.name for info in mt5.symbols_get(group) or ()]

        assert names() == ["EURUSD", "GBPUSD"]
        assert names("*USD,!EUR*") == ["GBPUSD"]
        assert names("E*D") == ["EURUSD"]
        assert names("EUR") == []
        assert names("EURUSD, GBPUSD") == ["EURUSD", "GBPUSD"]
        assert mt5.symbols_total() == 2
        assert mt5.symbols_get(1) is None  # type: ignore[arg-type]

    def test_a_hidden_symbol_has_no_ticks(self) -> None:
        mt5 = two_symbols()
        assert mt5.symbol_select("EURUSD", False)
        assert mt5.symbol_info_tick("EURUSD") is None
        assert mt5.symbol_info("EURUSD").select is False  # type: ignore[union-attr]
        assert mt5.symbol_select("EURUSD")
        assert mt5.symbol_info_tick("EURUSD") is not None

    def test_a_symbol_in_use_cannot_be_hidden(self) -> None:
        mt5 = two_symbols()
        opened(mt5)
        assert not mt5.symbol_select("EURUSD", False)
        assert mt5.last_error()[0] == mt5.RES_E_FAIL

    def test_the_depth_of_market_is_empty(self) -> None:
        mt5 = terminal()
        assert mt5.market_book_add("EURUSD") is True
        assert mt5.market_book_get("EURUSD") == ()
        assert mt5.market_book_release("EURUSD") is True


class TestAccount:
    def test_it_shows_the_settings(self) -> None:
        account = AccountSettings(
            login=5, currency="EUR", leverage=30, fifo=True, margin_mode=MarginMode.NETTING
        )
        info = terminal(account=account).account_info()
        assert info is not None
        assert (info.login, info.currency, info.leverage) == (5, "EUR", 30)
        assert (info.fifo_close, info.margin_mode, info.currency_digits) == (True, 0, 2)
        assert (info.margin_so_call, info.margin_so_so) == (100.0, 50.0)

    def test_credit_counts_as_equity_but_not_as_balance(self) -> None:
        mt5 = terminal(account=AccountSettings(deposit=100.0, credit=50.0))
        info = mt5.account_info()
        assert info is not None
        assert (info.balance, info.credit, info.equity) == (100.0, 50.0, 150.0)
        assert [d.type for d in mt5.history_deals_get(0, 9) or ()] == [2, 3]

    def test_it_follows_prices_and_trades(self) -> None:
        mt5 = terminal(path("EURUSD", [(1.1, 1.1001), (1.2, 1.2001)]))
        opened(mt5)
        first = mt5.account_info()
        assert mt5.account_info() is first
        mt5.advance()
        second = mt5.account_info()
        assert first is not None
        assert second is not None
        # bid 1.1 then 1.2 against 1.1001 with 10,000 EUR
        assert (first.profit, second.profit) == (-1.0, 999.0)

    def test_the_terminal_shows_its_switches(self) -> None:
        info = terminal(account=AccountSettings(auto_trading=False)).terminal_info()
        assert info is not None
        assert (info.connected, info.trade_allowed, info.tradeapi_disabled) == (True, False, False)


class TestCheck:
    def test_a_good_request(self) -> None:
        mt5 = terminal()
        check = mt5.order_check(request(BUY, 1.0))
        assert check is not None
        # 100,000 EUR / 100 at 1.1001
        assert (check.retcode, check.comment, check.margin) == (0, "Done", 1_100.10)
        assert check.margin_free == 8_899.90
        assert check.request.volume == 1.0
        assert mt5.positions_total() == 0

    def test_a_bad_request(self) -> None:
        mt5 = terminal()
        for bad, retcode in (({"volume": 0.001}, 10014), ({"volume": 99.0}, 10019)):
            check = mt5.order_check(request(BUY) | bad)
            assert check is not None
            assert check.retcode == retcode

    def test_it_agrees_with_sending(self) -> None:
        mt5 = terminal()
        check = mt5.order_check(request(BUY, 1.0))
        send(mt5, BUY, 1.0)
        info = mt5.account_info()
        assert check is not None
        assert info is not None
        assert check.margin == info.margin
