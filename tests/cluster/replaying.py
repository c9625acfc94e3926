"""Accounts whose market stands in the test, and walks only as far as the test lets it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from actors.registry import Shared
from engine.brokers.account_spec import AccountSpec
from engine.prices import PricePath

PRICES = "prices"
MINUTE_MS = 60_000


def path(*bids: float, spread: float = 0.0001) -> PricePath:
    """Make a EURUSD path of one tick a minute."""
    return PricePath(
        symbol="EURUSD",
        digits=5,
        source="made for a test",
        times_ms=array("q", (n * MINUTE_MS for n in range(1, len(bids) + 1))),
        bids=array("d", bids),
        asks=array("d", (round(bid + spread, 5) for bid in bids)),
    )


def account(
    user_id: str,
    positions: int = 3,
    *,
    lots: float = 0.1,
    latency_ms: float = 0.0,
    deposit: float = 100_000.0,
    sides: Sequence[str] = ("long",),
) -> AccountSpec:
    """Describe an account that holds ``positions`` of EURUSD, opened at the first tick."""
    return AccountSpec(
        user_id=user_id,
        broker="engine.simulated.replay:replay_broker",
        options={
            "prices": Shared(PRICES),
            "deposit": deposit,
            "positions": [(sides[n % len(sides)], lots) for n in range(positions)],
            "latency_ms": latency_ms,
        },
    )
