"""One account as the supervisor knows it: its actor, the life that is in it, and its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.links import AccountLink
from actors.messages import LifeSign
from audit.chain import SealedRecord
from audit.receipts import OpenedStream
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
    """No life of this account holds a lease beyond it: the present one and those before it."""
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
    """Where the present life is known to be; empty until its reply or its sign has arrived."""
    earlier: dict[str, float] = field(default_factory=dict)
    """Processes in which others than the present life may still hold a lease, each with the
    latest end of it, oldest first; the empty name is a process that nobody knows."""
    inherited: tuple[str, ...] = ()
    """Streams of earlier lives whose last records the present one holds as its own."""
    arming: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, records: Iterable[SealedRecord]) -> None:
        """Take note of the streams whose records its present life holds."""
        streams = {record.stream for record in records}
        self.inherited = tuple(sorted(streams - {self.stream}))

    def adopts(self, sign: LifeSign) -> None:
        """Take up the present life as it was found, which may not be where it was thought to be."""
        if sign.process != self.process:
            self._outlives(self.process)
        self.server, self.process = sign.server, sign.process

    def succeeds(self, opened: OpenedStream, now: float) -> tuple[tuple[str, float], ...]:
        """Let a new life begin, and keep in mind which others may still hold a lease.

        To be called before the life is told to begin: its reply may be lost, and its lease be
        renewed before that.

        Returns:
            :attr:`earlier` as the new life is told it, in seconds from now; the last one is the
            life before, wherever that is.
        """
        predecessor = opened.predecessor_process
        self.earlier = {process: end for process, end in self.earlier.items() if end > now}
        if predecessor and self.process not in ("", predecessor):
            # The newest life that the journal knows is one that others have begun.
            self._outlives(self.process)
        before = dict(self.earlier)
        self._outlives(predecessor or self.process)
        told = tuple((process, max(0.0, end - now)) for process, end in self.earlier.items())
        if opened.predecessor_ended_cleanly:  # or there was none
            self.earlier = before
        self.process = ""
        return told

    def _outlives(self, process: str) -> None:
        # As the last one: of two lives in one process the later one counts.
        end = max(self.lease_end, self.earlier.pop(process, 0.0))
        self.earlier[process] = end

    @property
    def stream(self) -> str:
        """The audit stream of its present life."""
        return stream_name(account_owner(self.spec.user_id), self.incarnation)
