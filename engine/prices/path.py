"""A symbol's price path: ticks in order of market time, held compactly."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PriceTick:
    """One quote: market time in ms since 1970 (as the source counts them), bid and ask."""

    time_ms: int
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class PricePath:
    """Ticks of one symbol, oldest first, at least one; times never run backwards.

    Three flat arrays (24 bytes a tick) rather than objects: a path crosses process borders
    once per account and is read by every account.
    """

    symbol: str
    digits: int
    """Decimals of the symbol's prices; one point is ``10 ** -digits``."""
    source: str
    """Where the ticks come from, for people: a file's name, a scenario's name and seed."""
    times_ms: array[int] = field(repr=False)
    bids: array[float] = field(repr=False)
    asks: array[float] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty or ragged path."""
        if not len(self.times_ms) == len(self.bids) == len(self.asks):
            raise ValueError(
                f"price path {self.source}: {len(self.times_ms)} times, {len(self.bids)} bids "
                f"and {len(self.asks)} asks; the three must be of one length"
            )
        if not self.times_ms:
            raise ValueError(f"price path {self.source} has no ticks; at least one is needed")

    def __len__(self) -> int:
        """Count the ticks."""
        return len(self.times_ms)

    def tick(self, index: int) -> PriceTick:
        """Return the tick at ``index``."""
        return PriceTick(self.times_ms[index], self.bids[index], self.asks[index])

    def index_at(self, time_ms: int) -> int:
        """Return the last tick at or before ``time_ms``; 0 when all are later."""
        return max(0, bisect_right(self.times_ms, time_ms) - 1)

    def index_at_or_after(self, time_ms: int) -> int:
        """Return the first tick at or after ``time_ms``; the last one when all are earlier."""
        return min(len(self) - 1, bisect_left(self.times_ms, time_ms))

    def lowest(self) -> int:
        """Return the index of the lowest bid, the first of equals: a long book's worst moment."""
        return min(range(len(self)), key=self.bids.__getitem__)
