"""The words of the engine as data: triggers, requests, results. Frozen, slotted, picklable.

Names and call shapes follow the system that this one succeeds. Input from outside is checked by
``pydantic.TypeAdapter`` on these very classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import uuid4

from engine import arguments
from engine.brokers.port import Deal, Side
from engine.outcomes import Outcome, Verdict


class GuardType(StrEnum):
    """Who may trip."""

    DRAWDOWN = "drawdown"
    MARKET = "market"
    LIQUIDITY = "liquidity"
    MARGIN = "margin"
    DAILY_LOSS = "daily_loss"
    OPERATOR = "operator"


class Severity(StrEnum):
    """How grave a trigger is: a critical one locks its account."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class PositionRef:
    """A position as a caller names it."""

    position_id: str
    ticket: int

    def __post_init__(self) -> None:
        """Refuse empty names and impossible tickets."""
        arguments.nonempty_text("position_id", self.position_id)
        arguments.positive_integer("ticket", self.ticket)


@dataclass(frozen=True, slots=True)
class GuardTrigger:
    """An order to close, with its cause.

    Args:
        user_id: the account.
        guard: who tripped.
        reason: why, for people and for ``close_reason``.
        severity: ``critical`` locks the account.
        positions: which positions; ``None`` is all open ones, an empty tuple is none.
        trigger_id: names the episode and is its idempotency key; generated if absent.
        triggered_at: when, an aware datetime; now if absent.
        inputs: what the guard saw (equity, peak, ticks and their times), plain JSON values.

    Raises:
        ValueError: naming the field and the value.
    """

    user_id: str
    guard: GuardType
    reason: str
    severity: Severity = Severity.CRITICAL
    positions: tuple[PositionRef, ...] | None = None
    trigger_id: str = field(default_factory=lambda: str(uuid4()))
    triggered_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no account could act on."""
        arguments.nonempty_text("user_id", self.user_id)
        arguments.nonempty_text("reason", self.reason)
        arguments.nonempty_text("trigger_id", self.trigger_id)
        object.__setattr__(self, "guard", arguments.member("guard", self.guard, GuardType))
        object.__setattr__(self, "severity", arguments.member("severity", self.severity, Severity))
        if not isinstance(self.triggered_at, datetime) or self.triggered_at.tzinfo is None:
            arguments.refuse("triggered_at", self.triggered_at, "it must be an aware datetime")
        if self.positions is not None:
            object.__setattr__(self, "positions", tuple(self.positions))
            for position in self.positions:
                if not isinstance(position, PositionRef):
                    arguments.refuse("positions", position, "its items must be PositionRef")
        if not isinstance(self.inputs, Mapping):
            arguments.refuse("inputs", self.inputs, "it must be a mapping of names to plain values")
        arguments.json_value("inputs", self.inputs)


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """One position to close, checked.

    Args:
        position_id: the position as the caller names it; an alias, bound at first sight.
        ticket: what the broker calls it now.
        user_id: the account.
        close_reason: why, for the record.
        close_price: asked-for price; counts on instant execution, otherwise only recorded.
        volume: lots to close; ``None`` is all that is open.
        idempotency_key: the same position and key get the identical result; defaults to
            ``position_id``.
        initiator: the guard or person behind it.

    Raises:
        ValueError: naming the field and the value.
    """

    position_id: str
    ticket: int
    user_id: str
    close_reason: str
    close_price: float | None = None
    volume: float | None = None
    idempotency_key: str = ""
    initiator: str = GuardType.OPERATOR.value
    trigger_id: str = ""

    def __post_init__(self) -> None:
        """Refuse what no account could act on."""
        arguments.nonempty_text("position_id", self.position_id)
        arguments.positive_integer("ticket", self.ticket)
        arguments.nonempty_text("user_id", self.user_id)
        arguments.nonempty_text("close_reason", self.close_reason)
        arguments.nonempty_text("initiator", self.initiator)
        if self.close_price is not None:
            arguments.positive_number("close_price", self.close_price)
        if self.volume is not None:
            arguments.positive_number("volume", self.volume)
        if not self.idempotency_key:
            object.__setattr__(self, "idempotency_key", self.position_id)
        arguments.nonempty_text("idempotency_key", self.idempotency_key)

    @property
    def fingerprint(self) -> str:
        """What must be the same when a key comes back: ticket and volume, not the reason."""
        return f"1:{self.ticket}:{'all' if self.volume is None else repr(float(self.volume))}"


@dataclass(frozen=True, slots=True)
class CloseResult:
    """How the close of one position ended. Failures are results, too."""

    success: bool
    position_id: str
    ticket: int
    closed_price: float | None
    """Volume-weighted price of the exit deals."""
    pnl: float | None
    """Realised by the exit deals: profit + commission + swap + fee, account currency."""
    close_reason: str
    close_timestamp: datetime
    """When the engine knew, UTC."""
    error_message: str | None
    close_id: str
    outcome: Outcome
    attempts: int = 0
    """Requests sent to the broker."""
    volume: float = 0.0
    """Lots closed."""
    durable: bool = False
    """Whether the record of this result was on disk when it was returned."""

    @property
    def is_full_success(self) -> bool:
        """Whether the position is proven gone: such a result answers every key."""
        return self.success and self.outcome in (Outcome.DONE, Outcome.ALREADY_CLOSED)


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """A key that has the answer of another key's close: that one closed the position in full."""

    position: str
    """The position's stable identity, or the caller's name where the broker could not be asked."""
    key: str
    fingerprint: str
    position_id: str
    """As this key's caller named it."""
    ticket: int
    """As this key's caller gave it."""
    close_id: str
    """The close whose result it is."""


@dataclass(frozen=True, slots=True)
class BulkCloseResult:
    """How a call over many positions ended: counts, and each position's own result."""

    total_positions: int
    successful_closes: int
    failed_closes: int
    total_pnl: float
    close_reason: str
    results: tuple[CloseResult, ...]

    @classmethod
    def of(cls, close_reason: str, results: Iterable[CloseResult]) -> BulkCloseResult:
        """Count and add up; P&L sums what is known, to the hundredth."""
        all_results = tuple(results)
        good = sum(result.success for result in all_results)
        # A position that is named twice is one close: the same answer counts once.
        distinct = {result.close_id or n: result for n, result in enumerate(all_results)}
        total = math.fsum(r.pnl for r in distinct.values() if r.pnl is not None)
        return cls(
            total_positions=len(all_results),
            successful_closes=good,
            failed_closes=len(all_results) - good,
            total_pnl=round(total, 2),
            close_reason=close_reason,
            results=all_results,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request sent to the broker, and what came back."""

    number: int
    sent_us: int
    """Wall clock, µs UTC, just before the request left."""
    answered_us: int
    verdict: Verdict
    code: int
    text: str
    volume_asked: float
    volume: float
    price: float
    order: int = 0
    deal: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CloseEvidence:
    """What a result rests on, for the audit."""

    key: str
    fingerprint: str
    initiator: str
    trigger_id: str
    position: str
    """The position's stable identity; an unresolved alias if the broker never knew it."""
    symbol: str
    side: Side | None
    volume_before: float
    attempts: Sequence[Attempt]
    deals: Sequence[Deal]
    closed_by: str = ""

    @property
    def sent_us(self) -> int | None:
        """When the first request left, if one did."""
        return self.attempts[0].sent_us if self.attempts else None


EarlierAnswer: TypeAlias = tuple[CloseResult, CloseEvidence] | SharedAnswer
"""What the records of earlier lives say of one key: its own close, or whose answer it has."""
