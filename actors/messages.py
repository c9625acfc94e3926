"""What supervisor, accounts and audit say to each other: plain, picklable data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from audit.chain import SealedRecord
from audit.receipts import AccountHistory, OpenedStream
from engine.brokers.account_spec import AccountSpec
from engine.brokers.port import Deal, Position
from engine.policy import ClosingPolicy


@dataclass(frozen=True, slots=True)
class GuardThresholds:
    """What an account's guards trip at, as fractions."""

    drawdown_warning: float
    drawdown_critical: float
    market_gap: float
    market_spread: float


@dataclass(frozen=True, slots=True)
class Term:
    """What the supervisor tells an account with every call and every renewal."""

    incarnation: int
    """The life that is meant; any other refuses the call."""
    asked_at: float | None = None
    """The newest moment, on the life's own monotonic clock, at which it is known to have asked
    for its lease: every reply and every renewal asks. The lease counts from there."""
    acknowledged: int = 0
    """Records of the life's stream up to this number are on disk."""
    inherited_acknowledged: Mapping[str, int] = field(default_factory=dict)
    """The same of earlier lives' streams, whose last records the life was given to hold."""
    orders_per_s: float | None = None
    """The account's share of its broker server's budget; ``None`` is no limit."""


@dataclass(frozen=True, slots=True)
class Activation:
    """Everything one life of an account actor works with."""

    spec: AccountSpec
    policy: ClosingPolicy
    guards: GuardThresholds
    opened: OpenedStream
    history: AccountHistory
    """Answers of earlier lives, those among them that are not on disk yet."""
    inherited: tuple[SealedRecord, ...]
    """Records of earlier lives that are not known to be on disk: what they answer is answered by
    this life, so it holds them as its own until they are."""
    version: str
    config_hash: str
    poll_interval_s: float
    lease_s: float
    most_held: int
    """Records that the life holds while nobody takes them."""
    earlier_lives: tuple[tuple[str, float], ...] = ()
    """Processes of earlier lives, each with the seconds for which it may still hold its lease,
    unless it is proven dead; the life before last."""
    orders_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class LifeSign:
    """Which life an account actor is in."""

    incarnation: int
    config_hash: str
    asked_at: float
    server: str
    """The broker's."""
    process: str
    """Identity of the operating system's process, see :mod:`actors.process_identity`."""
    records: tuple[SealedRecord, ...] = ()
    """What it holds and does not know to be on disk: it may hang before it is asked again."""


@dataclass(frozen=True, slots=True)
class Activated:
    """An account actor's word that it is ready."""

    user_id: str
    login: int
    server: str
    currency: str
    open_positions: int
    pid: int
    records: tuple[SealedRecord, ...] = ()
    """What this life has recorded so far: that it has begun."""
    asked_at: float = 0.0
    process: str = ""


@dataclass(frozen=True, slots=True)
class CloseReply:
    """What an account gives back for one mandate."""

    results: bytes
    """Pickled ``BulkCloseResult``; only the caller opens it."""
    records: tuple[SealedRecord, ...]
    """Records of the life that are not known to be on disk, oldest first."""
    held_back: int = 0
    """Records that there was no room for: in this reply, so they come later, or in the account."""
    asked_at: float = 0.0
    closed: int = 0
    failed: int = 0
    unknown: int = 0
    """Positions of which nobody knows what became of a request."""
    waiting: int = 0
    """Positions whose market is closed: not final, to be tried again."""
    opens_in_s: float | None = None
    """When the first of those markets opens, as far as the broker says."""
    still_open: int | None = None
    """Positions that a last read found open; ``None`` if the scope was not all of them."""
    first_sent_us: int | None = None
    last_answered_us: int | None = None
    error: str | None = None
    refusal: Exception | None = None
    """What a direct call is refused with: its arguments conflict with an earlier one's."""
    closes: tuple[str, ...] = ()
    """Close ids of the results, in order; empty text for one that was refused."""
    refused: tuple[Mapping[str, Any], ...] = ()
    """What was refused, in order: ``position_id``, ``ticket``, ``error``, ``at_us``. No record of
    a close holds it."""


@dataclass(frozen=True, slots=True)
class WatchReply:
    """What a slice of watching has shown."""

    trigger: Any = None
    """A :class:`engine.models.GuardTrigger`, if a guard tripped."""
    records: tuple[SealedRecord, ...] = ()
    next_in_s: float | None = 0.0
    """When to look again; ``None``: the market will not move any more."""
    blind: str | None = None
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DealsPage:
    """An account's deals of a span of broker time."""

    deals: tuple[Deal, ...]
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is open on an account."""

    positions: int
    pending: int
    asked_at: float = 0.0
    held: int = 0
    """Records that are not known to be on disk."""

    @property
    def is_flat(self) -> bool:
        """Whether nothing is open and nothing waits to be opened."""
        return self.positions == self.pending == 0


@dataclass(frozen=True, slots=True)
class AccountBook:
    """The broker's own view of an account."""

    user_id: str
    currency: str
    positions: tuple[Position, ...]
    deals: tuple[Deal, ...]


class EpisodeState(StrEnum):
    """Where an episode stands."""

    ACCEPTED = "accepted"
    CLOSING = "closing"
    WAITING = "waiting"
    """Everything that can be closed is; the rest waits for its market to open."""
    FLAT = "flat"
    RESIDUAL = "residual"

    @property
    def is_final(self) -> bool:
        """Whether the episode has ended."""
        return self in (EpisodeState.FLAT, EpisodeState.RESIDUAL)


@dataclass(frozen=True, slots=True)
class EpisodeReport:
    """One episode as its caller sees it. Times are µs UTC."""

    trigger_id: str
    user_id: str
    state: EpisodeState
    results: bytes
    durable: bool
    triggered_us: int
    accepted_us: int
    first_sent_us: int | None
    last_answered_us: int | None
    durable_us: int | None
    closed: int
    failed: int
    error: str | None = None
    refusal: str | None = None
    """The error class that a direct call was refused with, by name."""
    waiting_until_us: int | None = None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One account as the supervisor knows it."""

    user_id: str
    state: str
    incarnation: int
    open_episodes: int
    blind: str | None = None
    locked_by: str | None = None
    """The episode that keeps the account locked."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The engine at one moment."""

    accounts: tuple[AccountStatus, ...]
    episodes_open: int
    episodes_finished: int
    positions_closed: int
    unacknowledged_records: int
    audit: Mapping[str, Any] = field(default_factory=dict)
    alarms: Sequence[str] = ()
