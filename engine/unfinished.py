"""One close in the making: what was asked, what was sent, what the deals have shown so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.brokers.port import Deal, Position, Side
from engine.identity import close_id, close_tag
from engine.models import Attempt, CloseRequest
from engine.outcomes import Outcome
from engine.realised import VOLUME_DUST, DealBook, volume_of


@dataclass(slots=True)
class UnfinishedClose:
    """Mutable notes on one close, owned by the account that works on it."""

    request: CloseRequest
    position: str
    """The position's stable identity."""
    identifier: int
    symbol: str = ""
    side: Side | None = None
    volume_before: float = 0.0
    """Lots that the first fresh read found open."""
    at_most: float | None = None
    """Lots that can still be open, after what was executed. A read above it is a stale one."""
    executed: float = 0.0
    """Lots that our requests are known to have closed."""
    attempts: list[Attempt] = field(default_factory=list)
    book: DealBook = field(default_factory=DealBook)
    """The position's deals as last read."""
    gone: bool = False
    """A read found the position absent."""
    failure: Outcome | None = None
    error: str | None = None
    mended: set[int] = field(default_factory=set)
    """Codes that were mended once."""
    close_id: str = field(init=False)
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the deterministic names."""
        name = close_id(self.request.user_id, self.position, self.request.idempotency_key)
        self.close_id = str(name)
        self.tag = close_tag(name)

    def seen_open(self, position: Position) -> None:
        """Note a fresh read of the open position."""
        self.symbol = position.symbol
        self.side = position.side
        if not self.volume_before:
            self.volume_before = position.volume

    def is_stale(self, position: Position) -> bool:
        """Whether a read shows more than can be open: it lags behind what was executed."""
        return self.at_most is not None and position.volume > self.at_most + VOLUME_DUST

    def saw_deals(self, deals: Iterable[Deal]) -> None:
        """Note a fresh read of the position's deals."""
        self.book = DealBook.of(deals)

    def note_executed(self, volume: float, open_before: float) -> None:
        """Note that one request took ``volume`` lots out of ``open_before``."""
        self.executed += volume
        self.at_most = max(0.0, open_before - volume)

    def fail(self, outcome: Outcome, error: str) -> None:
        """Note why the close cannot go on."""
        self.failure = outcome
        self.error = error

    @property
    def wanted(self) -> float | None:
        """Lots still to close of a partial request; ``None`` for all that is open."""
        if self.request.volume is None:
            return None
        return max(0.0, self.request.volume - self.executed)

    @property
    def is_satisfied(self) -> bool:
        """Whether what was executed fulfils the request."""
        goal = self.volume_before
        if self.request.volume is not None:
            goal = min(goal, self.request.volume)
        return self.executed > 0 and self.executed >= goal - VOLUME_DUST

    @property
    def is_proven(self) -> bool:
        """Whether deals under our own tag show all that we say was executed."""
        return self.executed > 0 and self.failure is None and self.deals_cover_executed

    @property
    def deals_cover_executed(self) -> bool:
        """Whether the deals under our tag account for all that we executed."""
        return volume_of(self.book.tagged(self.tag)) >= self.executed - VOLUME_DUST
