"""One account as the supervisor knows it: its actor, the life that is in it, and its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.links import AccountLink
from audit.chain import SealedRecord
from audit.streams import account_owner, stream_name
from engine.brokers.account_spec import AccountSpec


@dataclass(slots=True)
class RosterEntry:
    """One account. Times are the supervisor's monotonic clock, unless said otherwise."""

    spec: AccountSpec
    incarnation: int = 0
    link: AccountLink | None = None
    is_lost: bool = True
    """Whether the actor has to be asked for its life, or given a new one, before it is called."""
    asked_at: float | None = None
    """Newest moment at which the life is known to have asked for its lease, by *its* clock."""
    lease_end: float = 0.0
    """No life of this account holds a lease beyond it."""
    heard: float = 0.0
    """When the actor last gave a sign, or was first called after a pause."""
    calls: int = 0
    """Calls that it has not answered."""
    due: int = 0
    """Episodes that cause requests now, or do as soon as it is their turn."""
    share: float = 0.0
    """Requests a second that it was last allowed, if its server's budget is divided."""
    server: str = ""
    process: str = ""
    earlier: list[tuple[str, float]] = field(default_factory=list)
    """Processes of earlier lives, with the ends of their leases."""
    inherited: tuple[str, ...] = ()
    """Streams of earlier lives whose last records the present one holds as its own."""
    arming: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, records: Iterable[SealedRecord]) -> None:
        """Take note of the streams whose records its present life holds."""
        streams = {record.stream for record in records}
        self.inherited = tuple(sorted(streams - {self.stream}))

    @property
    def stream(self) -> str:
        """The audit stream of its present life."""
        return stream_name(account_owner(self.spec.user_id), self.incarnation)
