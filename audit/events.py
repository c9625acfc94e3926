"""Records of what happens around closes: mandates, episodes, locks, alerts, accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit.canonical import read_number, write_number
from audit.incidents import pending_cancelled, reversal
from audit.records import (
    AuditRecord,
    EventType,
    Status,
    event_id,
    optional_text,
    storable,
)
from engine.clock import to_datetime, to_wall_us
from engine.mandates import DirectClose, Mandate
from engine.models import GuardTrigger, GuardType, PositionRef, Severity

__all__ = [
    "account_locked",
    "account_released",
    "actor_killed",
    "close_accepted",
    "direct_close_of",
    "episode_finished",
    "guard_alert",
    "mandate_of",
    "pending_cancelled",
    "plain_event",
    "reversal",
    "trigger_accepted",
    "trigger_of",
    "trigger_refused",
]


def trigger_accepted(trigger: GuardTrigger, *, occurred_at: int) -> AuditRecord:
    """Record that an episode was opened. It stays open until :func:`episode_finished`.

    Args:
        trigger: kept whole, so that :func:`trigger_of` gives it back.
        occurred_at: when it was accepted, µs UTC.
    """
    natural = (trigger.user_id, trigger.trigger_id)
    return _of_trigger(
        EventType.TRIGGER_ACCEPTED, trigger, occurred_at, Status.OK, "accepted", natural
    )


def trigger_refused(trigger: GuardTrigger, why: str, *, occurred_at: int) -> AuditRecord:
    """Record that a trigger was not acted on, and why. Each refusal is a fact of its own."""
    natural = (trigger.user_id, trigger.trigger_id, occurred_at)
    return _of_trigger(
        EventType.TRIGGER_REFUSED, trigger, occurred_at, Status.WARNING, why, natural
    )


def trigger_of(record: AuditRecord) -> GuardTrigger:
    """Read the trigger back from the record of its acceptance or refusal: equal to the original.

    Raises:
        ValueError: the record holds no trigger.
    """
    if record.event_type not in (EventType.TRIGGER_ACCEPTED, EventType.TRIGGER_REFUSED):
        raise ValueError(
            f"event_type={record.event_type.value!r} is not allowed: only "
            f"{EventType.TRIGGER_ACCEPTED.value!r} and {EventType.TRIGGER_REFUSED.value!r} "
            "records hold a trigger"
        )
    meta = record.meta_data
    return GuardTrigger(
        user_id=meta["user_id"],
        guard=GuardType(meta["guard"]),
        reason=meta["reason"],
        severity=Severity(meta["severity"]),
        positions=_positions_read(meta["positions"]),
        trigger_id=meta["trigger_id"],
        triggered_at=to_datetime(meta["triggered_at"]),
        inputs=meta["inputs"],
    )


def close_accepted(close: DirectClose, *, occurred_at: int) -> AuditRecord:
    """Record that a direct close was accepted as an episode, open until it is finished.

    Args:
        close: kept whole, so that :func:`direct_close_of` gives it back.
        occurred_at: when it was accepted, µs UTC.
    """
    return AuditRecord(
        event_id=event_id(EventType.CLOSE_ACCEPTED, close.user_id, close.episode_id),
        event_type=EventType.CLOSE_ACCEPTED,
        user_id=storable(close.user_id),
        occurred_at=occurred_at,
        description=storable(f"accepted: {close.reason}"),
        trigger_id=storable(close.episode_id),
        close_reason=storable(close.reason),
        initiator=optional_text(close.initiator),
        meta_data={
            "episode_id": close.episode_id,
            "user_id": close.user_id,
            "reason": close.reason,
            "positions": _positions_written(close.positions),
            "key": close.key,
            "volume": write_number(close.volume),
            "close_price": write_number(close.close_price),
            "initiator": close.initiator,
            "is_bulk": close.is_bulk,
        },
    )


def direct_close_of(record: AuditRecord) -> DirectClose:
    """Read a direct close back from the record of its acceptance: equal to the original.

    Raises:
        ValueError: the record holds no direct close.
    """
    if record.event_type is not EventType.CLOSE_ACCEPTED:
        raise ValueError(
            f"event_type={record.event_type.value!r} is not allowed: "
            f"only {EventType.CLOSE_ACCEPTED.value!r} records hold a direct close"
        )
    meta = record.meta_data
    return DirectClose(
        episode_id=meta["episode_id"],
        user_id=meta["user_id"],
        reason=meta["reason"],
        positions=_positions_read(meta["positions"]),
        key=meta["key"],
        volume=read_number(meta["volume"]),
        close_price=read_number(meta["close_price"]),
        initiator=meta["initiator"],
        is_bulk=meta["is_bulk"],
    )


def mandate_of(record: AuditRecord) -> Mandate:
    """Read back what opened an episode, from the record of its acceptance.

    Raises:
        ValueError: the record is no acceptance.
    """
    if record.event_type is EventType.TRIGGER_ACCEPTED:
        return trigger_of(record)
    if record.event_type is EventType.CLOSE_ACCEPTED:
        return direct_close_of(record)
    raise ValueError(
        f"event_type={record.event_type.value!r} is not allowed: only "
        f"{EventType.TRIGGER_ACCEPTED.value!r} and {EventType.CLOSE_ACCEPTED.value!r} "
        "records open an episode"
    )


def episode_finished(
    trigger_id: str,
    user_id: str,
    *,
    occurred_at: int,
    closed: int,
    residual: int,
    description: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditRecord:
    """Record that an episode ended: flat, or with positions that could not be closed.

    Args:
        trigger_id: names the episode.
        user_id: the account.
        occurred_at: when, µs UTC.
        closed: positions of its scope that are gone.
        residual: positions of its scope that are not, or not surely.
        description: for people; a standard sentence if empty.
        details: further facts, plain JSON values.
    """
    return AuditRecord(
        event_id=event_id(EventType.EPISODE_FINISHED, user_id, trigger_id),
        event_type=EventType.EPISODE_FINISHED,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=Status.FAILED if residual else Status.OK,
        description=storable(description or f"{closed} closed, {residual} residual"),
        trigger_id=storable(trigger_id),
        outcome="residual" if residual else "flat",
        meta_data={**(details or {}), "closed": closed, "residual": residual},
    )


def guard_alert(
    user_id: str,
    guard: GuardType,
    description: str,
    *,
    occurred_at: int,
    inputs: Mapping[str, Any] | None = None,
) -> AuditRecord:
    """Record a guard's warning that closed nothing.

    Args:
        user_id: the account.
        guard: who warns.
        description: of what.
        occurred_at: when, µs UTC; with account and guard it makes the alert's identity.
        inputs: what the guard saw, plain JSON values.
    """
    return AuditRecord(
        event_id=event_id(EventType.GUARD_ALERT, user_id, guard.value, occurred_at),
        event_type=EventType.GUARD_ALERT,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=Status.WARNING,
        description=storable(description),
        initiator=guard.value,
        meta_data=dict(inputs or {}),
    )


def account_locked(user_id: str, trigger_id: str, *, occurred_at: int) -> AuditRecord:
    """Record that an episode locked its account, until :func:`account_released`.

    Args:
        user_id: the account.
        trigger_id: the episode.
        occurred_at: when, µs UTC; part of the lock's identity, for it may come again.
    """
    return AuditRecord(
        event_id=event_id(EventType.ACCOUNT_LOCKED, user_id, trigger_id, occurred_at),
        event_type=EventType.ACCOUNT_LOCKED,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=Status.WARNING,
        description="locked: what appears on it is closed until it is released",
        trigger_id=storable(trigger_id),
    )


def account_released(
    user_id: str, *, occurred_at: int, initiator: str, locked_by: str = ""
) -> AuditRecord:
    """Record that an account may trade again.

    Args:
        user_id: the account.
        occurred_at: when, µs UTC.
        initiator: who released it.
        locked_by: the episode that had locked it; with the time, for clocks may be set back, it
            makes the release's identity.
    """
    natural = (occurred_at, locked_by) if locked_by else (occurred_at,)
    return plain_event(
        EventType.ACCOUNT_RELEASED,
        user_id,
        *natural,
        occurred_at=occurred_at,
        description="released",
        initiator=initiator,
    )


def actor_killed(
    user_id: str, incarnation: int, *, occurred_at: int, silent_s: float, trigger_id: str = ""
) -> AuditRecord:
    """Record that the watchdog ended an account's actor.

    Args:
        user_id: the account.
        incarnation: the life that was ended; it is ended once.
        occurred_at: when, µs UTC.
        silent_s: seconds since it was last heard of.
        trigger_id: the episode that it was silent about.
    """
    made = plain_event(
        EventType.ACTOR_KILLED,
        user_id,
        incarnation,
        occurred_at=occurred_at,
        description=f"life {incarnation} was silent for {silent_s:.3f} s and was ended",
        status=Status.WARNING,
        details={"incarnation": incarnation, "silent_s": write_number(silent_s)},
    )
    return replace(made, trigger_id=optional_text(trigger_id))


def plain_event(
    event_type: EventType,
    user_id: str,
    *natural: str | int,
    occurred_at: int,
    description: str = "",
    initiator: str = "",
    status: Status = Status.OK,
    details: Mapping[str, Any] | None = None,
) -> AuditRecord:
    """Record a fact that has no maker of its own: an account added, a stream opened, and so on.

    Args:
        event_type: what happened.
        user_id: the account, or ``""`` for the engine as a whole.
        *natural: what makes this fact this fact, besides type and account.
        occurred_at: when, µs UTC.
        description: for people.
        initiator: the guard or person behind it.
        status: how well it went.
        details: further facts, plain JSON values.
    """
    return AuditRecord(
        event_id=event_id(event_type, user_id, *natural),
        event_type=event_type,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=status,
        description=storable(description),
        initiator=optional_text(initiator),
        meta_data=dict(details or {}),
    )


def _of_trigger(
    event_type: EventType,
    trigger: GuardTrigger,
    occurred_at: int,
    status: Status,
    description: str,
    natural: tuple[str | int, ...],
) -> AuditRecord:
    return AuditRecord(
        event_id=event_id(event_type, *natural),
        event_type=event_type,
        user_id=storable(trigger.user_id),
        occurred_at=occurred_at,
        status=status,
        description=storable(f"{description}: {trigger.reason}"),
        trigger_id=storable(trigger.trigger_id),
        close_reason=storable(trigger.reason),
        initiator=trigger.guard.value,
        meta_data={
            "user_id": trigger.user_id,
            "guard": trigger.guard,
            "reason": trigger.reason,
            "severity": trigger.severity,
            "positions": _positions_written(trigger.positions),
            "trigger_id": trigger.trigger_id,
            "triggered_at": to_wall_us(trigger.triggered_at),
            "inputs": dict(trigger.inputs),
        },
    )


def _positions_written(positions: Sequence[PositionRef] | None) -> list[list[str | int]] | None:
    if positions is None:
        return None
    return [[position.position_id, position.ticket] for position in positions]


def _positions_read(written: Sequence[Sequence[Any]] | None) -> tuple[PositionRef, ...] | None:
    if written is None:
        return None
    return tuple(PositionRef(position_id, ticket) for position_id, ticket in written)
