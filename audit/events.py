"""Records of what happens around closes: triggers, episodes, alerts, accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.records import AuditRecord, EventType, Status, event_id, optional_text, storable
from engine.clock import to_datetime, to_wall_us
from engine.models import GuardTrigger, GuardType, PositionRef, Severity


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
    positions = meta["positions"]
    return GuardTrigger(
        user_id=meta["user_id"],
        guard=GuardType(meta["guard"]),
        reason=meta["reason"],
        severity=Severity(meta["severity"]),
        positions=None
        if positions is None
        else tuple(PositionRef(position_id, ticket) for position_id, ticket in positions),
        trigger_id=meta["trigger_id"],
        triggered_at=to_datetime(meta["triggered_at"]),
        inputs=meta["inputs"],
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
    positions = trigger.positions
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
            "positions": None
            if positions is None
            else [[position.position_id, position.ticket] for position in positions],
            "trigger_id": trigger.trigger_id,
            "triggered_at": to_wall_us(trigger.triggered_at),
            "inputs": dict(trigger.inputs),
        },
    )
