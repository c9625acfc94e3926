"""Prices: a market that all terminals share, and each terminal's own place in it.

Market time is apart from wall time. A :class:`Market` holds price paths and never changes; a
:class:`Cursor` is where one terminal stands in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from engine.prices.path import PricePath, PriceTick
from engine.simulated.conversion import Conversions
from engine.simulated.symbols import SymbolSettings, symbol_settings


class Market:
    """Read-only prices and specifications of some symbols, shared by any number of terminals.

    A symbol's *slot* is its place among the market's paths; the parts of the simulator name
    symbols by it.
    """

    __slots__ = ("_conversions", "_slots", "end_ms", "paths", "specs", "start_ms")

    def __init__(
        self, paths: Iterable[PricePath], symbols: Iterable[SymbolSettings] | None = None
    ) -> None:
        """Join paths and specifications.

        Args:
            paths: One path for each symbol. Paths needed only for converting currencies count.
            symbols: Settings for symbols that differ from :func:`symbol_settings`.

        Raises:
            ValueError: No path; two of one symbol; settings for a symbol without a path; a symbol
                that is unknown and not described.
        """
        self.paths = tuple(paths)
        """The price paths, by slot."""
        if not self.paths:
            raise ValueError("paths is empty; a market needs the price path of at least one symbol")
        self._slots = {path.symbol: slot for slot, path in enumerate(self.paths)}
        if len(self._slots) != len(self.paths):
            names = sorted(path.symbol for path in self.paths)
            raise ValueError(f"paths holds a symbol twice: {', '.join(names)}; give one path each")
        own = {settings.name: settings for settings in symbols or ()}
        for name in own:
            if name not in self._slots:
                raise ValueError(
                    f"symbols describes {name!r}, but no price path has that symbol; "
                    f"paths are there for {', '.join(self._slots)}"
                )
        self.specs = tuple(
            own.get(path.symbol) or symbol_settings(path.symbol, path.digits) for path in self.paths
        )
        """The symbols' settings, by slot."""
        self.start_ms = max(path.times_ms[0] for path in self.paths)
        """The first moment at which every symbol has a price."""
        self.end_ms = max(path.times_ms[-1] for path in self.paths)
        """Time of the last tick of any symbol."""
        self._conversions: dict[str, Conversions] = {}

    def slot(self, symbol: str) -> int | None:
        """Return the slot of ``symbol``, ``None`` when the market does not have it."""
        return self._slots.get(symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols, by slot."""
        return tuple(self._slots)

    def conversions(self, currency: str) -> Conversions:
        """Return the ways from every symbol's currencies to ``currency``, worked out once.

        Raises:
            ValueError: The market lacks a pair that is needed; the message says which.
        """
        known = self._conversions.get(currency)
        if known is None:
            known = self._conversions[currency] = Conversions(self.specs, currency)
        return known


class Quotes:
    """The prices of all symbols at one moment: an index into each path."""

    __slots__ = ("_paths", "indices", "time_ms")

    def __init__(self, paths: tuple[PricePath, ...], indices: list[int], time_ms: int) -> None:
        """Stand at ``time_ms``, each path at the tick that ``indices`` names."""
        self._paths = paths
        self.indices = indices
        self.time_ms = time_ms

    def bid(self, slot: int) -> float:
        """Return the bid of the symbol in ``slot``."""
        return self._paths[slot].bids[self.indices[slot]]

    def ask(self, slot: int) -> float:
        """Return the ask of the symbol in ``slot``."""
        return self._paths[slot].asks[self.indices[slot]]

    def tick_ms(self, slot: int) -> int:
        """Return the time of the tick that the symbol in ``slot`` stands at."""
        return self._paths[slot].times_ms[self.indices[slot]]

    def tick(self, slot: int) -> PriceTick:
        """Return the tick that the symbol in ``slot`` stands at."""
        return self._paths[slot].tick(self.indices[slot])


class Cursor(Quotes):
    """One terminal's place in a market; it starts where every symbol has a price."""

    __slots__ = ("changes", "market")

    def __init__(self, market: Market) -> None:
        """Stand at the market's start."""
        start = market.start_ms
        super().__init__(
            market.paths,
            [0 if path.times_ms[0] == start else path.index_at(start) for path in market.paths],
            start,
        )
        self.market = market
        self.changes = 0
        """Counts ticks passed, so that readers know whether prices may have changed."""

    def next_tick(self) -> tuple[int, int] | None:
        """Return time and slot of the next tick of any symbol, ``None`` at the end.

        Of ticks at one time, the symbol in the lower slot comes first.
        """
        best: tuple[int, int] | None = None
        for slot, path in enumerate(self._paths):
            following = self.indices[slot] + 1
            if following < len(path.times_ms):
                time_ms = path.times_ms[following]
                if best is None or time_ms < best[0]:
                    best = (time_ms, slot)
        return best

    def step(self, slot: int, time_ms: int) -> None:
        """Take the next tick of the symbol in ``slot``; it is of ``time_ms``."""
        self.indices[slot] += 1
        self.time_ms = time_ms
        self.changes += 1

    def jump(self, time_ms: int) -> None:
        """Go to ``time_ms`` at once, without a stop at the ticks between."""
        for slot, path in enumerate(self._paths):
            last = bisect_right(path.times_ms, time_ms, lo=self.indices[slot] + 1) - 1
            self.indices[slot] = last
        self.time_ms = time_ms
        self.changes += 1

    def tick_at_or_after(self, slot: int, time_ms: int) -> PriceTick:
        """Return the symbol's first tick at or after ``time_ms``; at the end, its last tick."""
        return self._paths[slot].tick(self._paths[slot].index_at_or_after(time_ms))

    def quotes_for_fill(self, slot: int, time_ms: int) -> Quotes:
        """Return the prices at which an order for ``slot`` that arrives at ``time_ms`` fills.

        That symbol stands at its first tick at or after ``time_ms`` (after the path's end, at
        its last tick), all others where they stand at that tick's time.
        """
        path = self._paths[slot]
        index = min(bisect_left(path.times_ms, time_ms), len(path.times_ms) - 1)
        moment = max(path.times_ms[index], self.time_ms)
        if len(self._paths) == 1:
            return Quotes(self._paths, [index], moment)
        indices = [
            bisect_right(other.times_ms, moment, lo=here + 1) - 1
            for other, here in zip(self._paths, self.indices, strict=True)
        ]
        indices[slot] = index
        return Quotes(self._paths, indices, moment)
