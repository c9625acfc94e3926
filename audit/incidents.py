"""Records of what an account's broker was found to hold, or was asked, besides closes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from audit.records import (
    AuditRecord,
    EventType,
    Status,
    event_id,
    optional_real,
    optional_text,
    storable,
)
from engine.brokers.port import PendingOrder, Position


def reversal(
    user_id: str,
    position: str,
    opened: Position,
    *,
    occurred_at: int,
    trigger_id: str = "",
    initiator: str = "",
) -> AuditRecord:
    """Record that an order of ours left an opposite position on a netting account.

    Args:
        user_id: the account.
        position: stable identity of the position whose close did it.
        opened: what stands there now.
        occurred_at: when it was found, µs UTC; each finding is a fact of its own.
        trigger_id: the close's episode.
        initiator: the guard or person behind the close.
    """
    natural = (user_id, position, opened.identifier, occurred_at)
    return AuditRecord(
        event_id=event_id(EventType.REVERSAL, *natural),
        event_type=EventType.REVERSAL,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=Status.FAILED,
        description=storable(
            f"the close of position {position} left {opened.side.value} {opened.volume:.10g} lots "
            f"{opened.symbol} open"
        ),
        trigger_id=optional_text(trigger_id),
        position_id=opened.position_id,
        ticket=opened.ticket,
        symbol=optional_text(opened.symbol),
        volume=optional_real(opened.volume),
        initiator=optional_text(initiator),
        meta_data={"closed_position": position, "opened": _plain_fields(opened)},
    )


def pending_cancelled(
    user_id: str, order: PendingOrder, *, trigger_id: str, occurred_at: int, trouble: str = ""
) -> AuditRecord:
    """Record that a waiting order was cancelled, or could not be; each time is a fact of its own.

    Args:
        user_id: the account.
        order: the order.
        trigger_id: the episode that wants it gone.
        occurred_at: when that was known, µs UTC.
        trouble: why it is still there; empty if it is gone.
    """
    natural = (user_id, trigger_id, order.ticket, occurred_at)
    return AuditRecord(
        event_id=event_id(EventType.PENDING_CANCELLED, *natural),
        event_type=EventType.PENDING_CANCELLED,
        user_id=storable(user_id),
        occurred_at=occurred_at,
        status=Status.FAILED if trouble else Status.OK,
        description=storable(f"not cancelled: {trouble}" if trouble else "cancelled"),
        trigger_id=optional_text(trigger_id),
        ticket=order.ticket,
        symbol=optional_text(order.symbol),
        volume=optional_real(order.volume),
        meta_data={"order": _plain_fields(order), "trouble": trouble},
    )


def _plain_fields(said: PendingOrder | Position) -> dict[str, Any]:
    return {field.name: getattr(said, field.name) for field in fields(said)}
