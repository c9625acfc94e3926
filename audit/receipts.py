"""What the journal answers: receipts, opened streams, open episodes."""

from __future__ import annotations

from dataclasses import dataclass

from audit.chain import ChainHead, SealedRecord


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was kept apart, because it contradicts another or cannot be read."""

    record: SealedRecord
    reason: str


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """What became of a batch. Every record of it is in one of the first two."""

    acknowledged: frozenset[str]
    """Event ids that are on disk, now or already before."""
    set_aside: tuple[SetAside, ...] = ()
    """Kept apart, each with the reason: alarm, and do not send them again."""
    superseded: frozenset[str] = frozenset()
    """Streams of the batch whose owner has a newer incarnation: their writers must stop."""


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """A new life of an owner, numbered durably."""

    stream: str
    incarnation: int
    predecessor: ChainHead | None
    """Last known head of the owner's previous stream that has one."""
    predecessor_ended_cleanly: bool = True
    """Whether the life before said, in its last record, that nothing was under way; also true
    when there was none. If not, its last request may still act at the broker."""


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """An episode that was accepted and is not finished."""

    trigger_id: str
    user_id: str
    accepted_at: int
    """When the journal had it, µs UTC."""
    body: bytes
    """The ``trigger_accepted`` record: see :func:`audit.events.trigger_of`."""
