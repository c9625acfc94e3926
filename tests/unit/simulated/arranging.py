"""Small markets and terminals for the tests of this folder."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine.prices.path import PricePath
from engine.simulated import (
    AccountSettings,
    FaultPlan,
    Market,
    SimulatedTerminal,
    SymbolSettings,
    symbol_settings,
)
from engine.simulated.api_table import Struct

Quote = tuple[float, float]

BUY, SELL = 0, 1
DAY_MS = 86_400_000
DIGITS = {"USDJPY": 3, "EURJPY": 3, "XAUUSD": 2, "US500": 1, "GER40": 1}


def path(
    symbol: str, quotes: Sequence[Quote], *, start_ms: int = 0, step_ms: int = 1_000
) -> PricePath:
    """Ticks of (bid, ask), ``step_ms`` apart."""
    return PricePath(
        symbol=symbol,
        digits=DIGITS.get(symbol, 5),
        source="test",
        times_ms=array("q", [start_ms + i * step_ms for i in range(len(quotes))]),
        bids=array("d", [bid for bid, _ in quotes]),
        asks=array("d", [ask for _, ask in quotes]),
    )


def terminal(
    *paths: PricePath,
    symbols: Iterable[SymbolSettings] | None = None,
    account: AccountSettings | None = None,
    latency_ms: float = 0.0,
    pause: Callable[[float], None] | None = None,
    faults: FaultPlan | None = None,
    wall_ms: Callable[[], float] | None = None,
    seed: int = 0,
) -> SimulatedTerminal:
    """A connected terminal; one EURUSD tick of 1.10000/1.10010 unless paths are given."""
    market = Market(paths or (path("EURUSD", [(1.10000, 1.10010)]),), symbols)
    connected = SimulatedTerminal(
        market,
        account,
        latency_ms=latency_ms,
        pause=pause,
        faults=faults,
        wall_ms=wall_ms,
        seed=seed,
    )
    assert connected.initialize()
    return connected


def special(name: str = "EURUSD", **changes: Any) -> list[SymbolSettings]:
    """Settings of one symbol that differ from the usual in ``changes``."""
    return [replace(symbol_settings(name), **changes)]


def request(
    side: int, volume: float = 0.1, symbol: str = "EURUSD", **more: object
) -> dict[str, Any]:
    """A market order."""
    return {"action": 1, "symbol": symbol, "volume": volume, "type": side, **more}


def send(mt5: SimulatedTerminal, side: int, volume: float = 0.1, **more: Any) -> Struct:
    """Send a market order and return the answer."""
    answer = mt5.order_send(request(side, volume, **more))
    assert answer is not None, mt5.last_error()
    return answer


def opened(mt5: SimulatedTerminal, side: int = BUY, volume: float = 0.1, **more: Any) -> int:
    """Open a position and return its ticket."""
    answer = send(mt5, side, volume, **more)
    assert answer.retcode == mt5.TRADE_RETCODE_DONE, answer
    return int(answer.order)


def close(mt5: SimulatedTerminal, ticket: int, volume: float | None = None, **more: Any) -> Struct:
    """Send the close of a position that is in the book, wholly unless ``volume`` is given."""
    position = mt5.book.positions[ticket]
    return send(
        mt5,
        SELL if position.sign > 0 else BUY,
        position.volume if volume is None else volume,
        symbol=position.symbol,
        position=ticket,
        **more,
    )
