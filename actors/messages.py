"""What supervisor, accounts and audit say to each other: plain, picklable data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from audit.chain import SealedRecord
from audit.receipts import OpenedStream
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
class Activation:
    """Everything one life of an account actor works with."""

    spec: AccountSpec
    policy: ClosingPolicy
    guards: GuardThresholds
    opened: OpenedStream
    version: str
    config_hash: str
    poll_interval_s: float
    wait_for_predecessor: bool = False
    """The life before did not end cleanly: its last request may still act for a settle window."""


@dataclass(frozen=True, slots=True)
class Activated:
    """An account actor's word that it is ready."""

    user_id: str
    login: int
    currency: str
    open_positions: int
    pid: int
    records: tuple[SealedRecord, ...] = ()
    """What this life has recorded so far: that it has begun."""


@dataclass(frozen=True, slots=True)
class CloseReply:
    """What an account gives back for one call."""

    results: bytes
    """Pickled ``CloseResult`` or ``BulkCloseResult``; only the caller opens it."""
    records: tuple[SealedRecord, ...]
    """Records that the audit has not confirmed yet."""
    closed: int = 0
    failed: int = 0
    still_open: int | None = None
    """Positions that a last read found open; ``None`` if the scope was not all of them."""
    first_sent_us: int | None = None
    last_answered_us: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WatchReply:
    """What a slice of watching has shown."""

    trigger: Any = None
    """A :class:`engine.models.GuardTrigger`, if a guard tripped."""
    records: tuple[SealedRecord, ...] = ()
    next_in_s: float | None = 0.0
    """When to look again; ``None``: the market will not move any more."""
    blind: str | None = None


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


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One account as the supervisor knows it."""

    user_id: str
    state: str
    incarnation: int
    open_episodes: int
    blind: str | None = None


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
