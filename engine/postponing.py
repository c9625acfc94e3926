"""Postponing: closes that cannot be made now and are to be tried again under the same key.

A market is closed, or an older position must go first. Such a try is not final: its key is free
again. What it has sent is kept, and becomes part of the evidence once the close is final.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.brokers.deadlines import DeadlineBroker
from engine.brokers.port import Position
from engine.clock import Clock
from engine.errors import BrokerError, MarketClosed, RiskEngineError
from engine.models import Attempt, CloseRequest
from engine.outcomes import Outcome, Verdict
from engine.policy import ClosingPolicy
from engine.unfinished import UnfinishedClose

MOST_ATTEMPTS_KEPT = 32
"""Requests kept of the tries of one close; more than these were all refused alike."""
MOST_POSTPONED = 10_000
"""Closes remembered as postponed; beyond, the oldest lose the evidence of their earlier tries."""

UNKNOWN_FOR_S = 60.0
"""How long a market of which nobody knows when it opens may wait for one of which it is known."""


class OlderFirst(RiskEngineError):
    """A FIFO broker wants older positions of the symbol closed first; the call can do so.

    Attributes:
        oldest_first: the symbol's open positions, the refused one among them.
    """

    def __init__(self, oldest_first: tuple[Position, ...]) -> None:
        """Name the symbol's positions."""
        super().__init__(oldest_first)
        self.oldest_first = oldest_first

    def __str__(self) -> str:
        """Say which order the broker wants."""
        return f"in this order: {', '.join(p.position_id for p in self.oldest_first)}"


@dataclass(slots=True)
class _Postponed:
    attempts: list[Attempt] = field(default_factory=list)
    sent: int = 0
    executed: float = 0.0
    """Lots that the tries have closed: their deals may come later than the next try."""
    closed_since: float | None = None
    """When the market was first found closed, on the monotonic clock."""
    refused_at: float = 0.0
    tick_ms: int | None = None
    """The symbol's last tick when the market was last found closed."""


class Postponements:
    """The postponed closes of one account.

    Args:
        broker: asked for ticks, and for session times if it knows them.
        clock: measures how long a market has been closed.
        policy: how long one is waited for, and how often it is tried.
    """

    def __init__(self, broker: DeadlineBroker, clock: Clock, policy: ClosingPolicy) -> None:
        """Start with nothing postponed."""
        self._broker = broker
        self._clock = clock
        self._policy = policy
        self._postponed: dict[tuple[str, str], _Postponed] = {}

    def take_up(self, close: UnfinishedClose) -> None:
        """Hand the requests of earlier tries over to a new try."""
        known = self._postponed.get(_entry(close)) if self._postponed else None
        if known is not None:
            close.earlier = tuple(known.attempts)
            close.earlier_count = known.sent
            close.executed = max(close.executed, known.executed)

    def put_off(self, close: UnfinishedClose) -> None:
        """Keep what a try has sent."""
        self._keep(close)

    def finished(self, close: UnfinishedClose) -> None:
        """Forget a close that is final now, or will be."""
        if not self._postponed:
            return
        self._postponed.pop(_entry(close), None)

    async def still_closed(self, close: UnfinishedClose, position: Position) -> MarketClosed | None:
        """Say so if ``position``'s market was found closed, and nothing speaks for a change.

        A tick that has moved since, or ``session_probe_s``, makes it worth another try; a broker
        that knows its sessions is believed when it says that the market is closed.
        """
        known = self._postponed.get(_entry(close))
        if known is None or known.closed_since is None:
            return None
        now = self._clock.monotonic()
        if now - known.refused_at >= self._policy.session_probe_s:
            return None
        opens_in_s = await self._opens_in_s(position.symbol)
        if not opens_in_s and await self._tick_ms(position.symbol) != known.tick_ms:
            return None
        return _closed(close.request, position.symbol, opens_in_s)

    async def market_is_closed(self, close: UnfinishedClose) -> MarketClosed | None:
        """Postpone a try that was refused because the market is closed.

        Returns:
            What to raise; ``None``, and ``close`` has failed, when it was closed for too long.
        """
        known = self._keep(close)
        now = self._clock.monotonic()
        if known.closed_since is None:
            known.closed_since = now
        known.refused_at = now
        closed_for = now - known.closed_since
        if closed_for >= self._policy.session_wait_s:
            last = close.attempts[-1]
            close.fail(
                Outcome.REJECTED,
                f"the market of {close.symbol} has been closed for {closed_for:.0f} s, longer "
                f"than session_wait_s={self._policy.session_wait_s!r}; the last answer was "
                f"{last.code} {last.text}",
            )
            return None
        known.tick_ms = await self._tick_ms(close.symbol)
        return _closed(close.request, close.symbol, await self._opens_in_s(close.symbol))

    def _keep(self, close: UnfinishedClose) -> _Postponed:
        known = self._postponed.pop(_entry(close), None) or _Postponed()
        self._postponed[_entry(close)] = known  # the last one: it is the youngest now
        if len(self._postponed) > MOST_POSTPONED:
            del self._postponed[next(iter(self._postponed))]
        known.sent = close.attempt_count
        known.executed = close.executed
        known.attempts = _worth_keeping(close.all_attempts)
        return known

    async def _tick_ms(self, symbol: str) -> int | None:
        try:
            return (await self._broker.quote(symbol)).time_ms
        except BrokerError:
            return None  # no tick: as good as one that has not moved

    async def _opens_in_s(self, symbol: str) -> float | None:
        try:
            return await self._broker.opens_in_s(symbol)
        except BrokerError:
            return None


def soonest_opening_s(waiting: Sequence[MarketClosed]) -> float | None:
    """Return for how many seconds another try is of no use; ``None`` if nobody can say.

    A market that refuses although its broker says that it is in session (0: on a holiday) is one
    of which nobody knows when it opens.
    """
    told = [closed.opens_in_s or 0.0 for closed in waiting]
    known = [opens_in_s for opens_in_s in told if 0.0 < opens_in_s < math.inf]
    soonest = min(known, default=math.inf)
    is_of_use = soonest <= UNKNOWN_FOR_S or len(known) == len(told)
    return soonest if known and is_of_use else None


def _entry(close: UnfinishedClose) -> tuple[str, str]:
    return close.position, close.request.idempotency_key


def _closed(request: CloseRequest, symbol: str, opens_in_s: float | None) -> MarketClosed:
    return MarketClosed(symbol, request.position_id, request.ticket, opens_in_s)


def _worth_keeping(attempts: tuple[Attempt, ...]) -> list[Attempt]:
    """Drop refusals of the middle; what may have moved volume is never dropped."""
    kept = list(attempts)
    while len(kept) > MOST_ATTEMPTS_KEPT:
        middle = range(1, len(kept) - MOST_ATTEMPTS_KEPT // 2)
        n = next((n for n in middle if kept[n].verdict is Verdict.MARKET_CLOSED), None)
        if n is None:
            break
        del kept[n]
    return kept
