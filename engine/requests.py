"""Close requests from the call shapes that platforms use, checked before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import arguments
from engine.models import CloseRequest, GuardType


def full_close(
    position_id: str,
    ticket: int,
    user_id: str,
    close_reason: str,
    close_price: float | None,
    idempotency_key: str | None,
) -> CloseRequest:
    """Ask to close all that is open of a position; the key defaults to ``position_id``.

    Raises:
        ValueError: a bad argument, named with its value.
    """
    return CloseRequest(
        position_id=position_id,
        ticket=ticket,
        user_id=user_id,
        close_reason=close_reason,
        close_price=close_price,
        idempotency_key=_key(idempotency_key, position_id),
    )


def partial_close(
    position_id: str,
    ticket: int,
    user_id: str,
    volume: float,
    close_reason: str,
    close_price: float | None,
    idempotency_key: str | None,
) -> CloseRequest:
    """Ask to close ``volume`` lots of a position.

    The key defaults to position and volume, so that a later full close is a request of its own.

    Raises:
        ValueError: a bad argument, named with its value.
    """
    lots = arguments.positive_number("volume", volume)
    return CloseRequest(
        position_id=position_id,
        ticket=ticket,
        user_id=user_id,
        close_reason=close_reason,
        close_price=close_price,
        volume=lots,
        idempotency_key=_key(idempotency_key, f"{position_id}/volume={lots!r}"),
    )


def triggered_close(
    position_id: str,
    trigger_reason: str,
    guard_type: str,
    user_id: str,
    position_data: Mapping[str, Any],
    idempotency_key: str | None,
) -> CloseRequest:
    """Ask to close a position because a guard has tripped.

    Raises:
        ValueError: a bad argument, named with its value; ``position_data.ticket`` among them.
    """
    arguments.nonempty_text("trigger_reason", trigger_reason)
    guard = arguments.member("guard_type", guard_type, GuardType)
    if not isinstance(position_data, Mapping):
        arguments.refuse("position_data", position_data, "it must be a mapping with 'ticket'")
    return CloseRequest(
        position_id=position_id,
        ticket=arguments.positive_integer("position_data.ticket", position_data.get("ticket")),
        user_id=user_id,
        close_reason=f"{guard.value}: {trigger_reason}",
        idempotency_key=_key(idempotency_key, position_id),
        initiator=guard.value,
    )


def position_entries(positions: object) -> list[Any] | None:
    """Check the ``positions`` of a bulk call: ``None``, or a list of entries, good or bad.

    Raises:
        ValueError: it is neither.
    """
    if positions is None:
        return None
    if isinstance(positions, str | bytes | Mapping) or not isinstance(positions, Sequence):
        arguments.refuse(
            "positions", positions, "it must be None, or a list of {'position_id', 'ticket'}"
        )
    return list(positions)


def _key(given: str | None, default: str) -> str:
    return default if given is None else arguments.nonempty_text("idempotency_key", given)
