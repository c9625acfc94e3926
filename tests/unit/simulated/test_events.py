"""What prices and time do by themselves: SL, TP, stop-out, margin call, swap, sessions."""

from __future__ import annotations

from typing import Any

import pytest

from engine.simulated import (
    FOREX_SESSIONS,
    AccountSettings,
    MarginState,
    Session,
    SimulatedTerminal,
    StopOutMode,
    SwapMode,
)
from engine.simulated.sessions import day_of_week, is_open, opens_in_ms
from tests.unit.simulated.arranging import (
    BUY,
    DAY_MS,
    SELL,
    close,
    opened,
    path,
    special,
    terminal,
)

HOUR_MS = DAY_MS // 24
UP = [(1.1, 1.1001), (1.1050, 1.1051), (1.12, 1.1201)]
DOWN = [(1.1, 1.1001), (1.0950, 1.0951), (1.08, 1.0801)]


class TestStopLossAndTakeProfit:
    @pytest.mark.parametrize(
        ("side", "stops", "quotes", "reason", "price", "comment"),
        [
            (BUY, {"sl": 1.0950}, DOWN, 4, 1.0950, "[sl 1.09500]"),
            (BUY, {"sl": 1.0949}, DOWN, 4, 1.08, "[sl 1.09490]"),
            (SELL, {"sl": 1.1051}, UP, 4, 1.1051, "[sl 1.10510]"),
            (SELL, {"sl": 1.1052}, UP, 4, 1.1201, "[sl 1.10520]"),
            (BUY, {"tp": 1.1050}, UP, 5, 1.1050, "[tp 1.10500]"),
            (SELL, {"tp": 1.0950}, DOWN, 5, 1.0801, "[tp 1.09500]"),
        ],
    )
    def test_fire_at_the_first_tick_beyond(
        self, side: int, stops: Any, quotes: Any, reason: int, price: float, comment: str
    ) -> None:
        mt5 = terminal(path("EURUSD", quotes))
        ticket = opened(mt5, side, magic=6, **stops)
        while mt5.advance():
            pass
        opening, closing = mt5.book.deals_by_position[ticket]
        assert (closing.reason, closing.price, closing.comment) == (reason, price, comment)
        assert (closing.entry, closing.magic, opening.magic) == (1, 6, 6)
        assert mt5.book.orders[-1].reason == reason

    def test_only_where_the_symbol_trades(self) -> None:
        mt5 = terminal(
            path("EURUSD", DOWN, step_ms=30_000),
            symbols=special(sessions=(Session(4, 0, 1), Session(4, 5, 6))),
        )
        ticket = opened(mt5, BUY, sl=1.085)
        while mt5.advance():
            pass
        assert mt5.time_ms == 60_000
        assert ticket in mt5.book.positions

    def test_another_symbols_tick_does_not_fire_them(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0, 1.0001)], step_ms=5_000),
            path("GBPUSD", [(1.5, 1.5001), (1.4, 1.4001)], step_ms=1_000),
        )
        ticket = opened(mt5, BUY, sl=1.05)
        mt5.advance()
        assert ticket in mt5.book.positions
        mt5.advance()
        assert ticket not in mt5.book.positions


def level(mt5: SimulatedTerminal) -> float:
    info = mt5.account_info()
    assert info is not None
    return float(info.margin_level)


def state(mt5: SimulatedTerminal) -> MarginState:
    return mt5.margin_state


class TestStopOut:
    # 1 lot needs 1,100.10; deposit 2,000: level 50 % is equity 550.05, a loss of 1,449.95.
    def test_at_the_level_itself_nothing_happens(self) -> None:
        mt5 = terminal(
            # 1.10010 - 1.08565 = 0.01445: a loss of 1,445; then 0.01455: 1,455
            path("EURUSD", [(1.1, 1.1001), (1.08565, 1.08575), (1.08555, 1.08565)]),
            account=AccountSettings(deposit=2_000.0),
        )
        ticket = opened(mt5, BUY, 1.0)
        assert state(mt5) is MarginState.FINE
        mt5.advance()
        assert level(mt5) == pytest.approx(555 / 1_100.10 * 100)
        assert state(mt5) is MarginState.MARGIN_CALL
        assert ticket in mt5.book.positions
        mt5.advance()
        assert mt5.positions_total() == 0
        deal = mt5.book.deals[-1]
        assert (deal.reason, deal.price, deal.profit) == (mt5.DEAL_REASON_SO, 1.08555, -1_455.0)
        # 545 / 1,100.10
        assert deal.comment == "[so 49.54%]"

    def test_the_largest_loss_goes_first_and_only_as_far_as_needed(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0800, 1.0801)]),
            account=AccountSettings(deposit=1_300.0),
        )
        small, large, middle = (opened(mt5, BUY, lots) for lots in (0.1, 0.5, 0.2))
        mt5.advance()
        # Losses 201, 1,005 and 402; equity -308. Without the large one the level is
        # -308 / 330.03, still below; without the middle one -308 / 110.01; all go.
        closing = [d.position_id for d in mt5.book.deals if d.entry == 1]
        assert closing == [large, middle, small]
        assert mt5.book.balance == 1_300 - 201 - 1_005 - 402

    def test_it_ends_when_the_level_is_restored(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0900, 1.0901)]),
            account=AccountSettings(deposit=1_050.0),
        )
        small, large, middle = (opened(mt5, BUY, lots) for lots in (0.1, 0.5, 0.2))
        mt5.advance()
        # Loss 0.0101 x 80,000 = 808; equity 242; margin 880.08: 27 %. Without the large
        # one 242 / 330.03 = 73 %: enough.
        assert [d.position_id for d in mt5.book.deals if d.entry == 1] == [large]
        assert set(mt5.book.positions) == {small, middle}
        assert level(mt5) == pytest.approx(242 / 330.03 * 100)

    def test_level_zero_switches_it_off(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (0.9, 0.9001)]),
            account=AccountSettings(deposit=2_000.0, stop_out=0.0),
        )
        opened(mt5, BUY, 1.0)
        mt5.advance()
        assert mt5.positions_total() == 1
        assert state(mt5) is MarginState.MARGIN_CALL
        info = mt5.account_info()
        assert info is not None
        # 0.2001 x 100,000
        assert (info.equity, info.margin_free) == (-18_010.0, -19_110.10)

    def test_in_money_the_level_is_equity(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0951, 1.0952), (1.0949, 1.0950)]),
            account=AccountSettings(
                deposit=2_000.0,
                stop_out_mode=StopOutMode.MONEY,
                stop_out=1_490.0,
                margin_call=1_600.0,
            ),
        )
        opened(mt5, BUY, 1.0)
        mt5.advance()
        assert state(mt5) is MarginState.MARGIN_CALL
        assert mt5.positions_total() == 1
        mt5.advance()
        assert mt5.book.deals[-1].comment == "[so 1480.00]"

    def test_credit_carries_losses(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.0855, 1.0856)]),
            account=AccountSettings(deposit=2_000.0, credit=500.0),
        )
        opened(mt5, BUY, 1.0)
        mt5.advance()
        assert mt5.positions_total() == 1

    def test_positions_outside_their_session_stay(self) -> None:
        mt5 = terminal(
            path("EURUSD", [(1.1, 1.1001), (1.08, 1.0801)], step_ms=120_000),
            account=AccountSettings(deposit=2_000.0),
            symbols=special(sessions=(Session(4, 0, 1),)),
        )
        opened(mt5, BUY, 1.0)
        mt5.advance()
        assert state(mt5) is MarginState.STOP_OUT
        assert mt5.positions_total() == 1


def nights(count: int, start_day: int = 0) -> Any:
    """One EURUSD tick at every noon from a day since 1970-01-01 (a Thursday) on."""
    return path(
        "EURUSD",
        [(1.1, 1.1001)] * (count + 1),
        start_ms=start_day * DAY_MS + 12 * HOUR_MS,
        step_ms=DAY_MS,
    )


class TestSwap:
    def test_every_midnight_and_three_days_on_wednesday(self) -> None:
        mt5 = terminal(nights(7), symbols=special(swap_long=-6.5, swap_short=2.0))
        long, short = opened(mt5, BUY, 0.2), opened(mt5, SELL, 0.2)
        charged = []
        while mt5.advance():
            charged.append(mt5.book.positions[long].swap)
        # 20,000 x 0.00001 x -6.5 = -1.30 a night; Thursday, Friday, weekend, Mon, Tue, Wed x 3
        assert charged == [-1.3, -2.6, -2.6, -2.6, -3.9, -5.2, -9.1]
        assert mt5.book.positions[short].swap == 2.8

    def test_it_counts_as_open_profit_and_is_paid_at_the_close(self) -> None:
        mt5 = terminal(nights(1), symbols=special(swap_long=-6.5))
        ticket = opened(mt5, BUY, 0.3)
        mt5.advance()
        info = mt5.account_info()
        assert info is not None
        # spread 3.00 and swap 1.95
        assert (info.profit, info.equity) == (-4.95, 9_995.05)
        close(mt5, ticket, 0.1)
        close(mt5, ticket)
        swaps = [d.swap for d in mt5.book.deals_by_position[ticket]]
        assert swaps == [0.0, -0.65, -1.3]
        assert mt5.book.balance == 9_995.05

    def test_none_for_a_position_that_does_not_see_midnight(self) -> None:
        mt5 = terminal(nights(1), symbols=special(swap_long=-6.5))
        ticket = opened(mt5)
        mt5.move_to(DAY_MS - 1)
        assert mt5.book.positions[ticket].swap == 0.0
        mt5.move_to(DAY_MS)
        assert mt5.book.positions[ticket].swap == -0.65

    def test_a_jump_over_days_charges_them_all(self) -> None:
        mt5 = terminal(nights(1), symbols=special(swap_long=-6.5))
        ticket = opened(mt5)
        mt5.move_to(7 * DAY_MS)
        assert mt5.book.positions[ticket].swap == pytest.approx(-0.65 * 7)

    @pytest.mark.parametrize(
        ("mode", "quoted", "expected"),
        [
            (SwapMode.DISABLED, -5.0, 0.0),
            # 0.5 lots x 0.00001 x 100,000 x -5
            (SwapMode.POINTS, -5.0, -2.5),
            # 0.5 lots x -5 EUR, bought at the ask 1.1001
            (SwapMode.CURRENCY_SYMBOL, -5.0, -2.75),
            (SwapMode.CURRENCY_MARGIN, -5.0, -2.75),
            # 0.5 lots x 5 EUR, sold at the bid 1.1
            (SwapMode.CURRENCY_MARGIN, 5.0, 2.75),
            (SwapMode.CURRENCY_DEPOSIT, -5.0, -2.5),
            # 50,000 x 1.1 x -5 % / 360; at the opening price 1.1001
            (SwapMode.INTEREST_CURRENT, -5.0, -7.64),
            (SwapMode.INTEREST_OPEN, -5.0, -7.64),
        ],
    )
    def test_by_mode(self, mode: SwapMode, quoted: float, expected: float) -> None:
        mt5 = terminal(nights(1), symbols=special(swap_mode=mode, swap_long=quoted))
        ticket = opened(mt5, BUY, 0.5)
        mt5.advance()
        assert mt5.book.positions[ticket].swap == expected

    def test_interest_takes_its_own_price(self) -> None:
        moving = path("EURUSD", [(1.1, 1.1001), (1.3, 1.3001), (1.3, 1.3001)], step_ms=20 * HOUR_MS)
        for mode, expected in ((SwapMode.INTEREST_CURRENT, -9.03), (SwapMode.INTEREST_OPEN, -7.64)):
            mt5 = terminal(moving, symbols=special(swap_mode=mode, swap_long=-5.0))
            ticket = opened(mt5, BUY, 0.5)
            while mt5.advance():
                pass
            assert mt5.book.positions[ticket].swap == expected


class TestSessions:
    def test_days_are_counted_from_sunday(self) -> None:
        assert [day_of_week(day * DAY_MS) for day in range(7)] == [4, 5, 6, 0, 1, 2, 3]

    def test_the_forex_week(self) -> None:
        open_days = [is_open(FOREX_SESSIONS, day * DAY_MS) for day in range(7)]
        assert open_days == [True, True, False, False, True, True, True]
        assert is_open(None, 2 * DAY_MS)

    def test_ends_are_exclusive(self) -> None:
        sessions = (Session(4, 60, 120),)
        minutes = [59, 60, 119, 120]
        assert [is_open(sessions, m * 60_000) for m in minutes] == [False, True, True, False]

    def test_when_the_next_session_opens(self) -> None:
        minute, thursday_noon = 60_000, 12 * HOUR_MS
        friday_evening = 2 * DAY_MS - minute
        assert opens_in_ms(FOREX_SESSIONS, thursday_noon) == 0
        assert opens_in_ms(FOREX_SESSIONS, friday_evening) == 0
        assert opens_in_ms(FOREX_SESSIONS, 2 * DAY_MS + 500) == 2 * DAY_MS - 500
        assert opens_in_ms(None, 2 * DAY_MS) == 0
        assert opens_in_ms((), thursday_noon) is None
        once_a_week = (Session(4, 60, 120),)
        assert opens_in_ms(once_a_week, 0) == HOUR_MS
        assert opens_in_ms(once_a_week, 2 * HOUR_MS) == 7 * DAY_MS - HOUR_MS

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [((7,), "day=7"), ((1, 5, 5), "opens=5, closes=5"), ((1, 0, 1441), "closes=1441")],
    )
    def test_impossible_sessions_are_refused(self, arguments: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Session(*arguments)
