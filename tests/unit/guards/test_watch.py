"""One account under watch: what trips, what warns, and what the guards do when they cannot see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from engine.brokers.port import Quote
from engine.models import GuardType, Severity
from engine.watch import AccountWatch, Look
from tests.scripted_broker import ScriptedBroker
from tests.virtual_time import VirtualClock


@dataclass
class Watched(ScriptedBroker):
    """A broker whose equity and quotes a test moves."""

    quotes: dict[str, Quote] = field(default_factory=dict)

    async def quote(self, symbol: str) -> Quote:
        self._read()
        return self.quotes.get(symbol, Quote(symbol, 1.0999, 1.1001, 0))

    def equity(self, amount: float) -> None:
        self.account_state = replace(self.account_state, equity=amount)


@pytest.fixture
def broker() -> Watched:
    broker = Watched()
    broker.add(1)
    broker.add(2)
    return broker


def watch_of(broker: Watched, peak: float = 0.0) -> AccountWatch:
    return AccountWatch("ann", broker, VirtualClock(), peak=peak)


async def test_the_peak_is_the_highest_equity_seen(broker: Watched) -> None:
    watch = watch_of(broker)
    for equity in (1000.0, 1500.0, 1350.1):
        broker.equity(equity)
        assert await watch.look() == Look()
    broker.equity(1200.0)
    look = await watch.look()
    assert look.trigger is not None
    assert (look.trigger.guard, look.trigger.severity) == (GuardType.DRAWDOWN, Severity.CRITICAL)
    assert look.trigger.positions is None
    assert look.trigger.inputs["peak"] == 1500.0
    assert look.trigger.inputs["ticks"] == [
        {"symbol": "EURUSD", "bid": 1.0999, "ask": 1.1001, "time_ms": 0}
    ]


async def test_a_warning_is_given_once_for_each_crossing(broker: Watched) -> None:
    watch = watch_of(broker, peak=1000.0)
    warned = []
    for equity in (890.0, 880.0, 905.0, 890.0, 930.0, 890.0):
        broker.equity(equity)
        warned.append((await watch.look()).warning is not None)
    assert warned == [True, False, False, False, False, True], "trembling at the line is no news"


async def test_equity_below_zero_is_a_full_drawdown(broker: Watched) -> None:
    watch = watch_of(broker, peak=1000.0)
    broker.equity(-500.0)
    look = await watch.look()
    assert look.trigger is not None
    assert look.trigger.inputs["equity"] == -500.0


async def test_a_gap_in_one_symbol_covers_its_positions_only(broker: Watched) -> None:
    broker.open[2] = replace(broker.open[2], symbol="GBPUSD")
    watch = watch_of(broker)
    await watch.look()
    broker.quotes["GBPUSD"] = Quote("GBPUSD", 1.0, 1.0001, 5)
    look = await watch.look()
    assert look.trigger is not None
    assert look.trigger.guard is GuardType.MARKET
    assert look.trigger.reason.startswith("gap in GBPUSD")
    assert [p.ticket for p in look.trigger.positions or ()] == [2]


async def test_a_gap_in_the_only_symbol_covers_the_account(broker: Watched) -> None:
    watch = watch_of(broker)
    await watch.look()
    broker.quotes["EURUSD"] = Quote("EURUSD", 1.0, 1.0001, 5)
    look = await watch.look()
    assert look.trigger is not None
    assert look.trigger.positions is None


async def test_without_positions_nothing_trips(broker: Watched) -> None:
    watch = watch_of(broker, peak=1000.0)
    broker.open.clear()
    broker.equity(1.0)
    assert await watch.look() == Look()


async def test_a_broker_that_does_not_answer_blinds_one_look_only(broker: Watched) -> None:
    watch = watch_of(broker, peak=1000.0)
    broker.equity(500.0)
    broker.unreadable = 1
    look = await watch.look()
    assert look.trigger is None
    assert look.blind == "scripted: no answer"
    assert (await watch.look()).trigger is not None


async def test_a_quote_of_nonsense_neither_trips_nor_spoils_the_next(broker: Watched) -> None:
    watch = watch_of(broker)
    await watch.look()
    broker.quotes["EURUSD"] = Quote("EURUSD", float("nan"), 1.1, 5)
    look = await watch.look()
    assert look.trigger is None
    assert look.blind is not None
    assert "bid=nan" in look.blind
    broker.quotes.clear()
    assert await watch.look() == Look()


async def test_each_life_begins_with_a_peak_of_its_own(broker: Watched) -> None:
    """A fall that both lives together have seen is seen by neither."""
    first = watch_of(broker)
    for equity in (1500.0, 1210.0):
        broker.equity(equity)
        assert (await first.look()).trigger is None
    second = watch_of(broker)
    for equity in (1210.0, 1000.0):
        broker.equity(equity)
        assert (await second.look()).trigger is None
    assert second.peak == 1210.0
    assert (await first.look()).trigger is not None
