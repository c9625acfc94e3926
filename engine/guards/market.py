"""Market guard: prices that jump, and liquidity that is gone."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from engine import arguments


class MarketReason(StrEnum):
    """Why the market is no place to stay."""

    GAP = "gap"
    LIQUIDITY = "liquidity"


class MarketGuard:
    """Trips when two quotes in a row are far apart, or bid and ask are.

    Direction does not matter: after a jump, even a lucky one, the quote in hand says little
    about the next. Holds no state: a bad input leaves none.

    Args:
        gap: distance of two consecutive mid prices, as a fraction of the earlier, that trips.
        spread: distance of ask and bid, as a fraction of their mid, that trips.

    Raises:
        ValueError: naming the field and the value.
    """

    def __init__(self, gap: float = 0.03, spread: float = 0.01) -> None:
        """Set the thresholds."""
        self.gap = arguments.fraction("gap", gap)
        self.spread = arguments.fraction("spread", spread)

    async def should_close_position(
        self, symbol: str, bid: float, ask: float, previous_price: float | None = None
    ) -> tuple[bool, MarketReason | None]:
        """Judge one quote of a symbol in which a position is open.

        Args:
            symbol: whose quote.
            bid: price to sell at, zero or greater; 0 means that nobody bids.
            ask: price to buy at, not below ``bid``; 0 means that nobody offers.
            previous_price: mid price of the quote before; ``None`` or 0 when there was none.

        Returns:
            ``(True, "gap")``, ``(True, "liquidity")`` or ``(False, None)``. A missing side is
            missing liquidity. A gap counts before a wide spread.

        Raises:
            ValueError: NaN, infinite or negative prices, or ask below bid; the guard neither
                trips on them nor goes blind.
        """
        return self.judge(symbol, bid, ask, previous_price)

    def judge(
        self, symbol: str, bid: float, ask: float, previous_price: float | None = None
    ) -> tuple[bool, MarketReason | None]:
        """Do what :meth:`should_close_position` does, for callers that do not await."""
        arguments.nonempty_text("symbol", symbol)
        bid = arguments.nonnegative_number("bid", bid)
        ask = arguments.nonnegative_number("ask", ask)
        previous = arguments.nonnegative_number("previous_price", previous_price or 0.0)
        if bid == 0 or ask == 0:
            return True, MarketReason.LIQUIDITY
        if ask < bid:
            arguments.refuse("ask", ask, f"it must not be below bid={bid!r}")
        mid = (bid + ask) / 2
        if previous > 0 and abs(mid - previous) / previous >= self.gap:
            return True, MarketReason.GAP
        if (ask - bid) / mid >= self.spread:
            return True, MarketReason.LIQUIDITY
        return False, None


@cache
def get_market_guard() -> MarketGuard:
    """Return the process's one market guard, with the default thresholds."""
    return MarketGuard()
