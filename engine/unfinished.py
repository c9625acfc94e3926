"""One close in the making: what was asked, what was sent, what the deals have shown so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.brokers.port import Deal, Position, Side
from engine.identity import close_id, close_tag
from engine.models import Attempt, CloseRequest
from engine.outcomes import Outcome
from engine.realised import VOLUME_DUST, DealBook


@dataclass(slots=True)
class UnfinishedClose:
    """Mutable notes on one close, owned by the account that works on it."""

    request: CloseRequest
    position: str
    """The position's stable identity."""
    identifier: int
    ticket: int = 0
    """What the broker calls the position now; it can change."""
    nets: bool = False
    """Whether the account holds one net position a symbol: a ticket protects nothing there."""
    symbol: str = ""
    side: Side | None = None
    volume_before: float = 0.0
    """Lots that the first fresh read found open."""
    at_most: float | None = None
    """Lots that can still be open, after what was executed. A read above it is a stale one..."""
    at_most_until: float = 0.0
    """... until then, on the monotonic clock; afterwards the position has grown."""
    executed: float = 0.0
    """Lots that our requests are known to have closed."""
    attempts: list[Attempt] = field(default_factory=list)
    """Requests of this try."""
    earlier: tuple[Attempt, ...] = ()
    """Requests of earlier tries that were put off, as far as they were kept."""
    earlier_count: int = 0
    """How many requests earlier tries have sent."""
    book: DealBook = field(default_factory=DealBook)
    """The position's deals as last read."""
    gone: bool = False
    """A read found the position absent."""
    market_closed: bool = False
    """The broker refused because the market is closed, and that is to be waited for."""
    out_of_order: bool = False
    """The broker refused because an older position of the symbol must go first."""
    has_heir: bool = False
    """Another key's full success tells the position's end: this one tells its own part only."""
    failure: Outcome | None = None
    error: str | None = None
    mended: set[int] = field(default_factory=set)
    """Codes that were mended once."""
    close_id: str = field(init=False)
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the deterministic names."""
        name = close_id(self.request.user_id, self.position, self.request.idempotency_key)
        self.ticket = self.ticket or self.request.ticket
        self.close_id = str(name)
        self.tag = close_tag(name)

    def seen_open(self, position: Position) -> None:
        """Note a fresh read of the open position."""
        self.symbol = position.symbol
        self.side = position.side
        self.ticket = position.ticket
        if not self.volume_before:
            self.volume_before = position.volume + self.executed

    def is_stale(self, position: Position, now: float) -> bool:
        """Whether a read shows more than can be open: it lags behind what was executed."""
        if self.at_most is None or now >= self.at_most_until:
            return False
        return position.volume > self.at_most + VOLUME_DUST

    def saw_deals(self, deals: Iterable[Deal]) -> None:
        """Note a fresh read of the position's deals."""
        self.book = DealBook.of(deals)

    def note_executed(self, volume: float, open_before: float, until: float) -> None:
        """Note that one request took ``volume`` lots out of ``open_before``.

        Until ``until`` on the monotonic clock, reads may still show what was open before.
        """
        self.executed += volume
        self.at_most = max(0.0, open_before - volume)
        self.at_most_until = until

    def fail(self, outcome: Outcome, error: str) -> None:
        """Note why the close cannot go on."""
        self.failure = outcome
        self.error = error

    def give_up_waiting(self, position: Position) -> None:
        """Note that what is left is not tried again when its market opens."""
        self.seen_open(position)
        if self.is_satisfied:
            return
        why = "its market was closed, and it was not to be waited for any longer"
        if self.earlier:
            why += f"; the last answer was {self.earlier[-1].code} {self.earlier[-1].text}"
        was_sent = self.attempt_count or self.executed
        self.fail(Outcome.REJECTED if was_sent else Outcome.NOT_SENT, why)

    @property
    def wanted(self) -> float | None:
        """Lots still to close of a partial request; ``None`` for all that is open."""
        if self.request.volume is None:
            return None
        return max(0.0, self.request.volume - self.executed)

    @property
    def all_attempts(self) -> tuple[Attempt, ...]:
        """The requests of this try and of those that were put off."""
        return self.earlier + tuple(self.attempts)

    @property
    def attempt_count(self) -> int:
        """How many requests were sent, in this try and before."""
        return self.earlier_count + len(self.attempts)

    @property
    def may_have_executed(self) -> bool:
        """Whether some request of this life was not surely refused."""
        return any(not attempt.verdict.surely_not_executed for attempt in self.all_attempts)

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
        return self.book.closed_under(self.tag) >= self.executed - VOLUME_DUST
