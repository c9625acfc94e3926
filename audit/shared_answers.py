"""The record of an answer that one key has from another, and back.

A full success answers every key of its position. Which keys it has answered, and for which
requests, must outlive the account's process: those keys are used.
"""

from __future__ import annotations

from audit.records import AuditRecord, EventType, event_id, optional_text, storable
from engine.models import CloseRequest, CloseResult, SharedAnswer


def shared_answer_record(
    position: str, request: CloseRequest, answer: CloseResult, *, occurred_at: int
) -> AuditRecord:
    """Record that a new key was given another key's full success. It is no close of its own.

    Args:
        position: the position as the account knows it: its stable identity, or the caller's name
            for it where the broker could not be asked. With the key it makes the fact's identity.
        request: what came under the new key.
        answer: the full success; it has a final record of its own.
        occurred_at: when, µs UTC.
    """
    key = request.idempotency_key
    return AuditRecord(
        event_id=event_id(EventType.CLOSE_ANSWERED, request.user_id, position, key),
        event_type=EventType.CLOSE_ANSWERED,
        user_id=storable(request.user_id),
        occurred_at=occurred_at,
        description=storable(
            f"{answer.outcome.value}: position {position} was closed in full before, and that "
            "answers this key"
        ),
        trigger_id=optional_text(request.trigger_id),
        close_id=optional_text(answer.close_id),
        position_id=optional_text(request.position_id),
        ticket=request.ticket,
        close_reason=optional_text(request.close_reason),
        initiator=optional_text(request.initiator),
        request_fingerprint=optional_text(request.fingerprint),
        meta_data={
            "position": position,
            "key": key,
            "fingerprint": request.fingerprint,
            "position_id": request.position_id,
            "ticket": request.ticket,
            "close_id": answer.close_id,
        },
    )


def shared_answer_of(record: AuditRecord) -> SharedAnswer:
    """Read a shared answer back from its record.

    Raises:
        ValueError: the record is of another type.
        KeyError: it lacks what this version needs.
    """
    if record.event_type is not EventType.CLOSE_ANSWERED:
        raise ValueError(
            f"event_type={record.event_type.value!r} is not allowed: "
            f"only {EventType.CLOSE_ANSWERED.value!r} records hold a shared answer"
        )
    meta = record.meta_data
    return SharedAnswer(
        position=meta["position"],
        key=meta["key"],
        fingerprint=meta["fingerprint"],
        position_id=meta["position_id"],
        ticket=meta["ticket"],
        close_id=meta["close_id"],
    )
