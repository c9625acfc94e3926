"""What the audit answers: receipts, opened streams, episodes, locks, histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.chain import ChainHead, SealedRecord


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was kept apart, because it contradicts another or cannot be read."""

    record: SealedRecord
    reason: str


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """What became of a batch.

    Every record of it is in one of the first two, but for those behind a gap in their stream:
    the journal takes the records of a stream only in order, so they must be sent again, after
    what :attr:`expected` asks for.
    """

    acknowledged: frozenset[str]
    """Event ids that are on disk, now or already before."""
    set_aside: tuple[SetAside, ...] = ()
    """Kept apart, each with the reason: alarm, and do not send them again."""
    superseded: frozenset[str] = frozenset()
    """Streams of the batch whose owner has a newer incarnation: their writers must stop."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Streams of the batch that have a gap, each with the number that the journal needs next."""


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
    predecessor_process: str | None = None
    """The process that ran the life before, as its ``stream_opened`` record named it
    (``meta_data["process"]``); ``None`` if there was none, or its record did not arrive."""


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """An episode that was accepted and is not finished."""

    trigger_id: str
    user_id: str
    accepted_at: int
    """When the journal had it, µs UTC."""
    body: bytes
    """The ``trigger_accepted`` or ``close_accepted`` record: see
    :func:`audit.events.mandate_of`."""
    is_released: bool = False
    """Whether its account was released after it was accepted."""


@dataclass(frozen=True, slots=True)
class FinishedEpisode:
    """An episode that ended. Bodies are canonical: see :func:`audit.records.record_of`."""

    trigger_id: str
    user_id: str
    accepted: bytes
    """The record of its acceptance: see :func:`audit.events.mandate_of`."""
    finished: bytes
    """The ``episode_finished`` record."""
    closes: tuple[bytes, ...]
    """The ``position_closed`` records that name it, and those of other episodes whose answers it
    shares, oldest first, as far as they can be read."""


@dataclass(frozen=True, slots=True)
class AccountLock:
    """An account that is to stay flat until it is released."""

    user_id: str
    trigger_id: str
    """The episode that locked it."""
    locked_at: int
    """µs UTC."""
    sweeps: int
    """Number of the last follow-up trigger that was accepted; 0 if there was none."""


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """The answers of one account's closes: see :func:`audit.replay.remembered`."""

    user_id: str
    closes: tuple[bytes, ...]
    """Canonical bodies of its ``position_closed`` and ``close_answered`` records, oldest first."""
    is_complete: bool
    """Whether these are all. If not, the journal no longer holds some and the store could not
    be read, or has lost them."""
