"""Profit and margin against cases computed by hand; each line of arithmetic stands here."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import (
    AccountSettings,
    CalcMode,
    Market,
    SimulatedTerminal,
    SymbolSettings,
    symbol_settings,
)
from engine.simulated.conversion import to_money
from tests.unit.simulated.arranging import (
    BUY,
    SELL,
    close,
    opened,
    path,
    special,
    terminal,
)

EURUSD = [(1.10000, 1.10010), (1.10500, 1.10510)]
USDJPY = [(94.600, 94.620), (93.100, 93.130)]
EURJPY = [(104.060, 104.090), (102.870, 102.920)]
GBPUSD = [(1.50000, 1.50020), (1.51000, 1.51020)]
EURGBP = [(0.73330, 0.73340), (0.73170, 0.73190)]
XAUUSD = [(1_900.50, 1_900.90), (1_912.25, 1_912.75)]
GER40 = [(15_000.0, 15_001.5), (14_890.5, 14_892.0)]


def account(currency: str, leverage: int = 100) -> AccountSettings:
    return AccountSettings(currency=currency, leverage=leverage, deposit=1_000_000.0)


def at_the_end(mt5: SimulatedTerminal) -> SimulatedTerminal:
    while mt5.advance():
        pass
    return mt5


def realised(mt5: SimulatedTerminal, ticket: int) -> float:
    at_the_end(mt5)
    info = mt5.account_info()
    assert info is not None
    floating = info.profit
    assert close(mt5, ticket).retcode == 10009
    deals = mt5.history_deals_get(position=ticket)
    assert deals is not None
    assert deals[-1].profit == floating
    return float(deals[-1].profit)


def margin(mt5: SimulatedTerminal) -> float:
    info = mt5.account_info()
    assert info is not None
    assert info.margin_free == pytest.approx(info.equity - info.margin, abs=1e-9)
    return float(info.margin)


class TestDirectPair:
    def test_usd_account_long(self) -> None:
        mt5 = terminal(path("EURUSD", EURUSD), account=account("USD"))
        ticket = opened(mt5, BUY, 0.37)
        # 0.37 x 100,000 EUR / 100 = 370 EUR, bought at the ask: 370 x 1.10010 = 407.037
        assert margin(mt5) == 407.04
        # (1.10500 - 1.10010) x 37,000 = 0.0049 x 37,000 = 181.30 USD
        assert realised(mt5, ticket) == 181.30

    def test_usd_account_short(self) -> None:
        mt5 = terminal(path("EURUSD", EURUSD), account=account("USD", 30))
        ticket = opened(mt5, SELL, 0.37)
        # 37,000 / 30 = 1,233.3333 EUR, sold at the bid: x 1.10000 = 1,356.6667
        assert margin(mt5) == 1_356.67
        # (1.10000 - 1.10510) x 37,000 = -0.0051 x 37,000 = -188.70 USD
        assert realised(mt5, ticket) == -188.70

    def test_eur_account(self) -> None:
        mt5 = terminal(path("EURUSD", EURUSD), account=account("EUR"))
        ticket = opened(mt5, BUY, 0.37)
        # 37,000 EUR / 100: no conversion
        assert margin(mt5) == 370.00
        # 181.30 USD are sold, so EUR is bought at the ask: 181.30 / 1.10510 = 164.0575
        assert realised(mt5, ticket) == 164.06

    def test_eur_account_loss(self) -> None:
        mt5 = terminal(path("EURUSD", EURUSD), account=account("EUR"))
        ticket = opened(mt5, SELL, 0.37)
        # -188.70 USD are bought back, EUR sold at the bid: 188.70 / 1.10500 = 170.7692
        assert realised(mt5, ticket) == -170.77


class TestYenPair:
    def test_usd_account_loss(self) -> None:
        mt5 = terminal(path("USDJPY", USDJPY), account=account("USD"))
        ticket = opened(mt5, BUY, 0.5, symbol="USDJPY")
        # 50,000 USD / 100
        assert margin(mt5) == 500.00
        # (93.100 - 94.620) x 50,000 = -76,000 JPY, bought at the bid: / 93.100 = -816.3265
        assert realised(mt5, ticket) == -816.33

    def test_usd_account_profit(self) -> None:
        mt5 = terminal(path("USDJPY", USDJPY), account=account("USD"))
        ticket = opened(mt5, SELL, 0.5, symbol="USDJPY")
        # (94.600 - 93.130) x 50,000 = 73,500 JPY, sold at the ask: / 93.130 = 789.2194
        assert realised(mt5, ticket) == 789.22

    def test_eur_account(self) -> None:
        mt5 = terminal(
            path("USDJPY", USDJPY),
            path("EURJPY", EURJPY),
            path("EURUSD", EURUSD),
            account=account("EUR"),
        )
        ticket = opened(mt5, SELL, 0.5, symbol="USDJPY")
        # 500 USD of margin, sold (a short position): EUR at the ask: 500 / 1.10010 = 454.5041
        assert margin(mt5) == 454.50
        # 73,500 JPY of profit, sold for EUR at the ask of EURJPY: 73,500 / 102.920 = 714.1469
        assert realised(mt5, ticket) == 714.15


class TestCross:
    def test_usd_account(self) -> None:
        mt5 = terminal(
            path("EURGBP", EURGBP),
            path("GBPUSD", GBPUSD),
            path("EURUSD", EURUSD),
            account=account("USD", 50),
        )
        ticket = opened(mt5, BUY, 0.8, symbol="EURGBP")
        # 80,000 EUR / 50 = 1,600 EUR, bought at the ask of EURUSD: x 1.10010 = 1,760.16
        assert margin(mt5) == 1_760.16
        # (0.73170 - 0.73340) x 80,000 = -136.00 GBP, bought at the ask: x 1.51020 = -205.3872
        assert realised(mt5, ticket) == -205.39

    def test_eur_account(self) -> None:
        mt5 = terminal(path("EURGBP", EURGBP), account=account("EUR", 50))
        ticket = opened(mt5, SELL, 0.8, symbol="EURGBP")
        assert margin(mt5) == 1_600.00
        # (0.73330 - 0.73190) x 80,000 = 112.00 GBP, EUR bought at the ask: / 0.73190 = 153.0264
        assert realised(mt5, ticket) == 153.03

    def test_yen_cross_converts_through_usd(self) -> None:
        mt5 = terminal(
            path("EURJPY", EURJPY),
            path("USDJPY", USDJPY),
            path("GBPUSD", GBPUSD),
            path("EURUSD", EURUSD),
            account=account("GBP"),
        )
        ticket = opened(mt5, BUY, 0.2, symbol="EURJPY")
        # 200 EUR bought with USD at 1.10010 = 220.02 USD, bought with GBP at the bid:
        # / 1.50000 = 146.68
        assert margin(mt5) == 146.68
        # (102.870 - 104.090) x 20,000 = -24,400 JPY; in USD / 93.100 = -262.0838;
        # in GBP at the bid of GBPUSD: / 1.51000 = -173.5654
        assert realised(mt5, ticket) == -173.57


class TestContractForDifference:
    def test_gold_in_usd(self) -> None:
        mt5 = terminal(path("XAUUSD", XAUUSD), account=account("USD", 20))
        ticket = opened(mt5, BUY, 0.25, symbol="XAUUSD")
        # 0.25 x 100 oz x 1,900.90 / 20 = 2,376.125
        assert margin(mt5) == 2_376.13
        # (1,912.25 - 1,900.90) x 25 = 283.75
        assert realised(mt5, ticket) == 283.75

    def test_gold_in_eur(self) -> None:
        mt5 = terminal(path("XAUUSD", XAUUSD), path("EURUSD", EURUSD), account=account("EUR", 20))
        ticket = opened(mt5, SELL, 0.25, symbol="XAUUSD")
        # 25 x 1,900.50 / 20 = 2,375.625 USD, sold: EUR at the ask: / 1.10010 = 2,159.4628
        assert margin(mt5) == 2_159.46
        # (1,900.50 - 1,912.75) x 25 = -306.25 USD, EUR sold at the bid: / 1.10500 = -277.1493
        assert realised(mt5, ticket) == -277.15

    def test_index_in_usd(self) -> None:
        mt5 = terminal(path("GER40", GER40), path("EURUSD", EURUSD), account=account("USD", 20))
        ticket = opened(mt5, BUY, 2.0, symbol="GER40")
        # 2 x 15,001.5 / 20 = 1,500.15 EUR, bought at the ask: x 1.10010 = 1,650.3150
        assert margin(mt5) == 1_650.32
        # (14,890.5 - 15,001.5) x 2 = -222 EUR, bought at the ask: x 1.10510 = -245.3322
        assert realised(mt5, ticket) == -245.33

    def test_index_in_eur(self) -> None:
        mt5 = terminal(path("GER40", GER40), account=account("EUR", 20))
        ticket = opened(mt5, SELL, 2.0, symbol="GER40")
        assert margin(mt5) == 1_500.00
        # (15,000.0 - 14,892.0) x 2
        assert realised(mt5, ticket) == 216.00


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # 0.1 x 100,000 EUR x 1.10010, whatever the leverage
        ({"calc_mode": CalcMode.FOREX_NO_LEVERAGE}, 11_001.00),
        # 0.1 x 100,000 x 1.10010 in the margin currency (here USD)
        ({"calc_mode": CalcMode.CFD, "currency_margin": "USD"}, 11_001.00),
        ({"calc_mode": CalcMode.CFDINDEX, "currency_margin": "USD"}, 11_001.00),
        ({"calc_mode": CalcMode.CFDLEVERAGE, "currency_margin": "USD"}, 110.01),
        # 0.1 x 1,500 USD
        (
            {"calc_mode": CalcMode.FUTURES, "currency_margin": "USD", "margin_initial": 1_500.0},
            150.00,
        ),
        # 0.1 x 50,000 EUR / 100 x 1.10010
        ({"margin_initial": 50_000.0}, 55.01),
        # half of 0.1 x 100,000 / 100 x 1.10010
        ({"margin_rate": 0.5}, 55.01),
    ],
)
def test_margin_by_calculation_mode(changes: dict[str, Any], expected: float) -> None:
    mt5 = terminal(symbols=special(**changes), account=account("USD"))
    opened(mt5, BUY, 0.1)
    assert margin(mt5) == expected
    assert mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, 1.10010) == expected


def test_hedged_lots_are_charged_once_by_default() -> None:
    mt5 = terminal(account=account("USD"))
    opened(mt5, BUY, 0.3)
    opened(mt5, SELL, 0.2)
    # 0.1 lots beyond at 1,100.10 a lot; 0.2 hedged at the average
    # (0.3 x 1,100.10 + 0.2 x 1,100.00) / 0.5 = 1,100.06: 110.01 + 220.012
    assert margin(mt5) == 330.02


def test_hedged_lots_may_cost_nothing() -> None:
    mt5 = terminal(symbols=special(margin_hedged=0.0), account=account("USD"))
    opened(mt5, BUY, 0.3)
    opened(mt5, SELL, 0.2)
    assert margin(mt5) == 110.01
    opened(mt5, SELL, 0.1)
    assert margin(mt5) == 0.0
    info = mt5.account_info()
    assert info is not None
    assert info.margin_level == 0.0


def test_margin_stays_as_it_was_at_the_opening() -> None:
    mt5 = terminal(path("EURUSD", EURUSD), account=account("USD"))
    opened(mt5, BUY, 0.37)
    before = margin(mt5)
    at_the_end(mt5)
    assert margin(mt5) == before


def test_account_profit_is_the_sum_of_its_positions() -> None:
    mt5 = terminal(path("USDJPY", USDJPY), account=account("USD"))
    for volume in (0.01, 0.07, 0.13, 0.29):
        opened(mt5, BUY, volume, symbol="USDJPY")
        opened(mt5, SELL, volume, symbol="USDJPY")
    at_the_end(mt5)
    info, positions = mt5.account_info(), mt5.positions_get()
    assert info is not None
    assert positions is not None
    assert info.profit == round(sum(p.profit for p in positions), 2)
    assert info.equity == round(info.balance + info.profit, 2)


def test_profit_that_was_asked_for_equals_profit_that_was_made() -> None:
    mt5 = terminal(path("USDJPY", USDJPY), account=account("USD"))
    ticket = opened(mt5, SELL, 0.5, symbol="USDJPY")
    at_the_end(mt5)
    asked = mt5.order_calc_profit(mt5.ORDER_TYPE_SELL, "USDJPY", 0.5, 94.600, 93.130)
    assert asked == realised(mt5, ticket)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((2, "EURUSD", 0.1, 1.1), "action"),
        ((True, "EURUSD", 0.1, 1.1), "action"),
        ((0, "EURUSD", -0.1, 1.1), "volume"),
        ((0, "EURUSD", 0.1, float("nan")), "price"),
        ((0, "EURUSD", "0.1", 1.1), "volume"),
    ],
)
def test_calculations_refuse_bad_arguments(arguments: tuple[object, ...], name: str) -> None:
    mt5 = terminal()
    assert mt5.order_calc_margin(*arguments) is None  # type: ignore[arg-type]
    assert mt5.last_error() == (-2, f'Invalid "{name}" argument')


def test_calculations_know_only_the_markets_symbols() -> None:
    mt5 = terminal()
    assert mt5.order_calc_profit(0, "GBPUSD", 0.1, 1.1, 1.2) is None
    assert mt5.last_error()[0] == mt5.RES_E_NOT_FOUND


def test_a_currency_without_a_way_is_refused_with_what_to_add() -> None:
    with pytest.raises(ValueError, match=r"EURGBP.*from GBP.*GBPUSD or USDGBP"):
        SimulatedTerminal(Market([path("EURGBP", EURGBP)]), account("USD"))


def test_an_index_is_no_exchange_rate() -> None:
    with pytest.raises(ValueError, match="GER40 cannot be valued in USD"):
        SimulatedTerminal(Market([path("GER40", GER40)]), account("USD"))


@pytest.mark.parametrize(
    ("amount", "digits", "rounded"),
    [
        (1.005, 2, 1.01),
        (-1.005, 2, -1.01),
        (2.344999, 2, 2.34),
        (0.5, 0, 1.0),
        (-0.001, 2, 0.0),
        (1e15 + 0.5, 2, 1e15 + 0.5),
    ],
)
def test_money_is_rounded_half_away_from_zero(amount: float, digits: int, rounded: float) -> None:
    assert to_money(amount, digits) == rounded


class TestSymbolSettings:
    def test_unknown_pairs_are_derived(self) -> None:
        settings = symbol_settings("NOKJPY")
        assert (settings.currency_base, settings.currency_profit) == ("NOK", "JPY")
        assert (settings.digits, settings.contract_size) == (3, 100_000.0)
        assert symbol_settings("EURUSD", 4).point == 0.0001

    @pytest.mark.parametrize("name", ["AAPL", "ABCDEF", "EURUSDX", ""])
    def test_other_names_are_refused_with_the_way_out(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"catalogue.*describe it with SymbolSettings"):
            symbol_settings(name)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"digits": 9}, "digits=9"),
            ({"volume_step": 0.0}, "volume_step=0.0"),
            ({"contract_size": float("inf")}, "contract_size=inf"),
            ({"volume_min": 5.0, "volume_max": 1.0}, "volume_min=5.0 is above volume_max=1.0"),
            ({"stops_level": -1}, "stops_level=-1"),
            ({"currency_profit": ""}, "currency_profit is empty"),
            ({"calc_mode": CalcMode.FUTURES}, "margin_initial=0.0"),
        ],
    )
    def test_bad_settings_are_refused_by_name(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            special(**changes)

    def test_an_empty_name_is_refused(self) -> None:
        with pytest.raises(ValueError, match="name=''"):
            SymbolSettings("", 5, "EUR", "USD", "EUR")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leverage": 0}, "leverage=0"),
        ({"leverage": True}, "leverage=True"),
        ({"deposit": -1.0}, "deposit=-1.0"),
        ({"stop_out": float("nan")}, "stop_out=nan"),
        ({"currency": ""}, "currency=''"),
        ({"limit_orders": -1}, "limit_orders=-1"),
        ({"currency_digits": 9}, "currency_digits=9"),
    ],
)
def test_bad_account_settings_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AccountSettings(**changes)


def test_the_password_is_in_no_repr() -> None:
    assert "geheim" not in repr(AccountSettings(password="geheim"))
