"""The engine's guards, closer and simulated venue against the independent calculation, no Ray."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from actors.stress.options import StressOptions
from actors.stress.plan import PlannedAccount, make_plan
from engine.brokers.port import Side
from engine.clock import SystemClock
from engine.closer import PositionCloser
from engine.models import BulkCloseResult, GuardTrigger
from engine.prices import PricePath
from engine.simulated.replay import replay_broker
from engine.watch import AccountWatch
from tests.cluster import independent, made_prices
from tests.cluster.independent import EURUSD, USDJPY, Contract, Holding, Trip

Outcome = tuple[GuardTrigger, BulkCloseResult] | None


async def replay(account: PlannedAccount, prices: PricePath, latency_ms: float) -> Outcome:
    """Walk an account through the prices until its guards trip, and liquidate it."""
    feed = replay_broker(
        account.user_id,
        prices=prices,
        deposit=account.deposit,
        positions=[(side.value, lots) for side, lots in account.positions],
        latency_ms=latency_ms,
        pause=None,
    )
    await feed.connect()
    watch = AccountWatch(account.user_id, feed, SystemClock())
    closer = PositionCloser()
    closer.attach(account.user_id, feed)
    while feed.due_in() is not None:
        feed.advance()
        look = await watch.look()
        if look.trigger is not None:
            return look.trigger, await closer.liquidate(look.trigger)
    return None


def check(trip: Trip, at: independent.Quote, trigger: GuardTrigger) -> None:
    (tick,) = trigger.inputs["ticks"]
    assert (trigger.guard.value, trigger.reason.split()[0]) == (trip.guard, trip.reason)
    assert tick["time_ms"] == at.time_ms
    assert (tick["bid"], tick["ask"]) == (float(at.bid), float(at.ask))


@pytest.mark.parametrize(
    ("make", "symbol", "contract", "leverage", "reasons"),
    [
        (made_prices.slide_in_ticks, "EURUSD", EURUSD, "6:30", {"drawdown"}),
        (made_prices.gap_in_bars, "USDJPY", USDJPY, "1:3", {"gap"}),
        (made_prices.gap_in_bars, "USDJPY", USDJPY, "3:20", {"drawdown", "gap"}),
        (made_prices.gap_at_the_first_step, "EURUSD", EURUSD, "1:2", {"gap"}),
        (made_prices.spread_that_blows_out, "EURUSD", EURUSD, "1:5", {"liquidity"}),
    ],
)
@pytest.mark.parametrize("latency_ms", [0, 7.3, 250, 90_000])
async def test_triggers_prices_and_money_are_as_calculated(
    tmp_path: Path,
    make: Callable[[Path], Path],
    symbol: str,
    contract: Contract,
    leverage: str,
    reasons: set[str],
    latency_ms: float,
) -> None:
    path = make(tmp_path)
    plan = make_plan(
        StressOptions(prices=path, symbol=symbol, accounts=8, positions=6, leverage=leverage)
    )
    quotes = independent.read_quotes(path)
    seen = set()
    for account in plan.accounts:
        holdings = [Holding(side is Side.LONG, Decimal(repr(n))) for side, n in account.positions]
        trip = independent.find_trip(quotes, Decimal(account.deposit), holdings, contract)
        outcome = await replay(account, plan.prices, latency_ms)
        if trip is None:
            assert outcome is None
            continue
        assert outcome is not None
        trigger, bulk = outcome
        check(trip, quotes[trip.quote], trigger)
        seen.add(trip.reason)
        exits = independent.liquidate(quotes, trip.quote, holdings, contract, latency_ms)
        # In the order of closing: tickets are given in the order of opening.
        numbers = {ticket: n for n, ticket in enumerate(sorted(r.ticket for r in bulk.results))}
        assert [(numbers[r.ticket], r.closed_price, r.pnl) for r in bulk.results] == [
            (out.holding, float(out.price), float(out.pnl)) for out in exits
        ]
        assert bulk.total_pnl == float(sum(out.pnl for out in exits))
    assert seen == reasons
