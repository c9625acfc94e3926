"""Market time: cursors, several symbols, latency, and what depends on nothing else."""

from __future__ import annotations

import tracemalloc

import pytest

from engine.simulated import Market, SimulatedTerminal
from engine.simulated.market import Cursor
from tests.unit.simulated.arranging import (
    BUY,
    close,
    opened,
    path,
    send,
    special,
    terminal,
)

RISING = [(1.1 + i / 1000, 1.1 + i / 1000 + 0.0001) for i in range(5)]


def test_a_cursor_starts_where_every_symbol_has_a_price() -> None:
    late = path("GBPUSD", [(1.5, 1.6), (1.6, 1.7)], start_ms=2_500)
    cursor = Cursor(Market([path("EURUSD", RISING), late]))
    assert cursor.time_ms == 2_500
    assert (cursor.bid(0), cursor.bid(1)) == (1.102, 1.5)


def test_a_cursor_starts_at_the_first_of_ticks_at_one_time() -> None:
    cursor = Cursor(Market([path("EURUSD", RISING, step_ms=0)]))
    assert cursor.bid(0) == 1.1


def test_advance_passes_the_ticks_of_all_symbols_in_order_of_time() -> None:
    other = path("GBPUSD", [(1.5, 1.6), (1.6, 1.7), (1.7, 1.8)], step_ms=1_500)
    mt5 = terminal(path("EURUSD", RISING[:3]), other)
    seen = []
    while mt5.advance():
        seen.append((mt5.time_ms, mt5.symbol_info_tick("GBPUSD").bid))  # type: ignore[union-attr]
    assert seen == [(1_000, 1.5), (1_500, 1.6), (2_000, 1.6), (3_000, 1.7)]
    assert not mt5.advance()
    assert mt5.time_ms == 3_000
    assert mt5.next_tick_ms() is None


@pytest.mark.parametrize("with_position", [False, True])
def test_move_to_stands_between_ticks_and_never_goes_back(with_position: bool) -> None:
    mt5 = terminal(path("EURUSD", RISING))
    if with_position:
        opened(mt5)
    mt5.move_to(2_999)
    tick = mt5.symbol_info_tick("EURUSD")
    assert tick is not None
    assert (mt5.time_ms, tick.time_msc, tick.bid) == (2_999, 2_000, 1.102)
    assert mt5.next_tick_ms() == 3_000
    with pytest.raises(ValueError, match=r"time_ms=2998 is before.*2999"):
        mt5.move_to(2_998)
    mt5.move_to(10**9)
    assert (mt5.time_ms, mt5.next_tick_ms()) == (10**9, None)


def test_terminals_share_prices_but_not_their_place_in_them() -> None:
    one = terminal(path("EURUSD", RISING))
    other = terminal(*one.market.paths)
    assert one.advance()
    assert (one.time_ms, other.time_ms) == (1_000, 0)


class TestLatency:
    def test_without_latency_an_order_fills_at_the_current_tick(self) -> None:
        mt5 = terminal(path("EURUSD", RISING))
        mt5.move_to(1_700)
        deal = mt5.history_deals_get(position=opened(mt5, BUY))[0]  # type: ignore[index]
        assert (deal.time_msc, deal.price) == (1_000, RISING[1][1])
        assert mt5.time_ms == 1_700

    def test_with_latency_it_fills_at_the_first_tick_at_or_after_its_arrival(self) -> None:
        pauses: list[float] = []
        mt5 = terminal(path("EURUSD", RISING), latency_ms=250.0, pause=pauses.append)
        deal = mt5.history_deals_get(position=opened(mt5, BUY))[0]  # type: ignore[index]
        assert (deal.time_msc, deal.price) == (1_000, RISING[1][1])
        assert mt5.time_ms == 250
        assert mt5.symbol_info_tick("EURUSD").time_msc == 0  # type: ignore[union-attr]
        assert pauses == [0.25]

    def test_a_tick_at_the_arrival_is_the_one(self) -> None:
        mt5 = terminal(path("EURUSD", RISING), latency_ms=2_000.0)
        deal = mt5.history_deals_get(position=opened(mt5, BUY))[0]  # type: ignore[index]
        assert (deal.time_msc, mt5.time_ms) == (2_000, 2_000)

    def test_after_the_path_an_order_fills_at_the_last_tick(self) -> None:
        mt5 = terminal(path("EURUSD", RISING), latency_ms=60_000.0)
        deal = mt5.history_deals_get(position=opened(mt5, BUY))[0]  # type: ignore[index]
        assert (deal.time_msc, deal.price) == (4_000, RISING[4][1])

    def test_a_fraction_of_a_millisecond_is_rounded_up(self) -> None:
        mt5 = terminal(path("EURUSD", RISING), latency_ms=0.2)
        opened(mt5)
        assert mt5.time_ms == 1

    def test_what_ticks_on_the_way_bring_about_comes_first(self) -> None:
        falling = path("EURUSD", [(1.1, 1.1001), (1.09, 1.0901), (1.08, 1.0801), (1.2, 1.21)])
        mt5 = terminal(falling, latency_ms=2_500.0)
        with mt5.without_latency():
            ticket = opened(mt5, BUY, sl=1.095)
        answer = mt5.order_send(
            {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 1, "position": ticket}
        )
        assert answer is not None
        assert answer.retcode == 10036
        deals = mt5.history_deals_get(position=ticket)
        assert deals is not None
        assert [(deal.reason, deal.price) for deal in deals] == [(3, 1.1001), (4, 1.09)]

    def test_conversion_uses_the_prices_of_the_fill(self) -> None:
        # EURGBP has its next tick at 4,000; by then GBPUSD has moved to 1.7.
        mt5 = terminal(
            path("EURGBP", [(0.70, 0.71), (0.80, 0.81)], step_ms=4_000),
            path("GBPUSD", [(1.5, 1.5), (1.6, 1.6), (1.7, 1.7)], step_ms=2_000),
            path("EURUSD", [(1.1, 1.1)]),
            latency_ms=10.0,
        )
        with mt5.without_latency():
            ticket = opened(mt5, BUY, 0.1, symbol="EURGBP")
        close(mt5, ticket)
        # (0.80 - 0.71) x 10,000 = 900 GBP x 1.7
        assert mt5.history_deals_get(position=ticket)[-1].profit == 1_530.00  # type: ignore[index]
        assert mt5.time_ms == 10

    def test_without_latency_ends_with_its_block(self) -> None:
        mt5 = terminal(path("EURUSD", RISING), latency_ms=100.0)
        with mt5.without_latency():
            opened(mt5)
        assert mt5.time_ms == 0
        opened(mt5)
        assert mt5.time_ms == 100

    @pytest.mark.parametrize("latency_ms", [-1.0, float("nan"), float("inf")])
    def test_an_impossible_latency_is_refused(self, latency_ms: float) -> None:
        with pytest.raises(ValueError, match="latency_ms="):
            terminal(latency_ms=latency_ms)


def test_the_same_requests_give_the_same_history() -> None:
    def run() -> list[tuple[object, ...]]:
        mt5 = terminal(path("EURUSD", RISING), latency_ms=700.0, seed=3)
        tickets = [opened(mt5, BUY, sl=1.0) for _ in range(3)]
        close(mt5, tickets[1], 0.05)
        return [tuple(deal) for deal in mt5.book.deals]

    assert run() == run()


class TestMarketArguments:
    def test_no_path(self) -> None:
        with pytest.raises(ValueError, match="paths is empty"):
            Market([])

    def test_one_symbol_twice(self) -> None:
        with pytest.raises(ValueError, match="a symbol twice: EURUSD, EURUSD"):
            Market([path("EURUSD", RISING), path("EURUSD", RISING)])

    def test_settings_without_a_path(self) -> None:
        with pytest.raises(ValueError, match=r"'GBPUSD', but no price path.*EURUSD"):
            Market([path("EURUSD", RISING)], special("GBPUSD"))

    def test_an_unknown_symbol_needs_settings(self) -> None:
        with pytest.raises(ValueError, match=r"'EURUSD\.x' is neither"):
            Market([path("EURUSD.x", RISING)])

    def test_digits_come_from_the_path(self) -> None:
        market = Market([path("GER40", [(1.0, 2.0)])])
        assert market.specs[0].digits == 1
        assert market.symbols == ("GER40",)


def test_an_idle_terminal_is_small() -> None:
    market = terminal(path("EURUSD", RISING)).market
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [SimulatedTerminal(market) for _ in range(100)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(kept) < 4_096


def test_orders_sent_together_get_numbers_in_turn() -> None:
    mt5 = terminal()
    answers = [send(mt5, BUY) for _ in range(3)]
    assert [(a.order, a.deal, a.request_id) for a in answers] == [
        (1_000_001, 1_000_002, 1),
        (1_000_002, 1_000_003, 2),
        (1_000_003, 1_000_004, 3),
    ]
