"""Settling: what became of a request whose answer proves nothing.

Two sources are asked, positions and deals, more than once, at growing intervals. A request that
left a trace is settled as soon as both agree. "It was not executed" can only be said when the
settle window is over: until then the request may still act at the venue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from engine.brokers.port import Broker, Deal, Position
from engine.errors import BrokerError
from engine.patience import Patience
from engine.reading import read_position
from engine.realised import VOLUME_DUST
from engine.unfinished import UnfinishedClose


class Fate(Enum):
    """What became of a request."""

    EXECUTED = "executed"
    GONE = "gone"
    """The position is closed, and not by this request."""
    NOT_EXECUTED = "not executed"
    UNRESOLVED = "unresolved"
    """The evidence stayed away or contradictory to the end of the window."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A fate, the lots this request executed, and why for people."""

    fate: Fate
    volume: float = 0.0
    reason: str = ""


class Settler:
    """Settles requests of one account; times in seconds."""

    def __init__(self, broker: Broker, patience: Patience, window_s: float) -> None:
        """Keep the broker to ask and how long a request may still act."""
        self._broker = broker
        self._patience = patience
        self._window_s = window_s

    async def settle(self, close: UnfinishedClose, position: Position) -> Settlement:
        """Find out what became of the last request of ``close``, sent for ``position``."""
        # Not what the deals showed last: those of an earlier part may still be on their way.
        before = close.executed
        last: list[tuple[Position | None, tuple[Deal, ...]]] = []
        trouble: list[str] = []

        async def look() -> Settlement | None:
            last.clear()
            try:
                now = await read_position(self._broker, position.ticket, position.identifier)
                close.saw_deals(await self._broker.deals_of(position.identifier))
            except BrokerError as error:
                trouble[:] = [str(error)]
                return None
            last.append((now, close.book.deals))
            return _agreed(close, position, now, before)

        settled = await self._patience.until(look, self._window_s)
        if settled is not None:
            return settled
        if not last:
            return Settlement(Fate.UNRESOLVED, reason=f"the evidence stayed away: {trouble[0]}")
        return _at_the_end(close, position, last[0][0], before)


def _ours(close: UnfinishedClose, before: float) -> float:
    return close.book.closed_under(close.tag) - before


def _agreed(
    close: UnfinishedClose, sent_for: Position, now: Position | None, before: float
) -> Settlement | None:
    """Return what positions and deals agree on already."""
    ours = _ours(close, before)
    if ours > VOLUME_DUST:
        left = 0.0 if now is None or now.side is not sent_for.side else now.volume
        # Of a request that was filled in part so far, the rest may still be: until the window ends.
        is_whole = ours >= close.attempts[-1].volume_asked - VOLUME_DUST
        is_over = is_whole or (now is None and not close.nets)
        if is_over and left <= sent_for.volume - ours + VOLUME_DUST:
            return Settlement(Fate.EXECUTED, ours)
        return None
    if now is None and close.book.is_fully_closed and not close.nets:
        # On a netting account the request may still act, and would open the opposite.
        return Settlement(Fate.GONE)
    return None


def _at_the_end(
    close: UnfinishedClose, sent_for: Position, now: Position | None, before: float
) -> Settlement:
    """Conclude from the last look, when the window is over."""
    ours = _ours(close, before)
    if ours > VOLUME_DUST:
        # Deals are the venue's ledger; a position that is still listed lags behind them.
        return Settlement(Fate.EXECUTED, ours)
    if now is None and close.book.is_fully_closed:
        return Settlement(Fate.GONE)
    if now is None:
        return Settlement(
            Fate.UNRESOLVED,
            reason="the position is no longer listed, but no deal shows by whom",
        )
    if now.volume > sent_for.volume + VOLUME_DUST:
        return Settlement(Fate.NOT_EXECUTED, reason="the position has grown")
    return Settlement(Fate.NOT_EXECUTED)
