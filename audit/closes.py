"""The final record of a close, and back: result and evidence survive the trip unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.canonical import read_number, write_number
from audit.records import (
    AuditRecord,
    EventType,
    Status,
    event_id,
    optional_real,
    optional_text,
    storable,
)
from engine.brokers.port import ClosedBy, Deal, DealEntry, Side
from engine.clock import to_datetime, to_wall_us
from engine.models import Attempt, CloseEvidence, CloseResult
from engine.outcomes import Outcome, Verdict


def close_event_id(user_id: str, position: str, key: str) -> str:
    """Name the final record of a close: one for each position and idempotency key.

    Args:
        user_id: the account.
        position: the position's stable identity.
        key: the idempotency key.
    """
    return event_id(EventType.POSITION_CLOSED, user_id, position, key)


def close_record(result: CloseResult, evidence: CloseEvidence, *, user_id: str) -> AuditRecord:
    """Make the final record of a close. Never fails on what a broker said.

    ``meta_data`` holds the keys that the predecessor's readers know (close_id, ticket,
    closed_price, pnl, close_reason), the rest of the result, and the evidence.
    """
    filled = [attempt.answered_us for attempt in evidence.attempts if attempt.volume > 0]
    return AuditRecord(
        event_id=close_event_id(user_id, evidence.position, evidence.key),
        event_type=EventType.POSITION_CLOSED,
        user_id=storable(user_id),
        occurred_at=to_wall_us(result.close_timestamp),
        status=_status(result),
        description=_description(result, evidence),
        trigger_id=optional_text(evidence.trigger_id),
        close_id=optional_text(result.close_id),
        position_id=optional_text(result.position_id),
        ticket=_whole(result.ticket),
        symbol=optional_text(evidence.symbol),
        volume=optional_real(result.volume),
        closed_price=optional_real(result.closed_price),
        pnl=optional_real(result.pnl),
        close_reason=optional_text(result.close_reason),
        outcome=result.outcome.value,
        attempts=_whole(result.attempts),
        initiator=optional_text(evidence.initiator),
        sent_at=evidence.sent_us,
        filled_at=max(filled) if filled else None,
        request_fingerprint=optional_text(evidence.fingerprint),
        meta_data={
            "close_id": result.close_id,
            "ticket": result.ticket,
            "closed_price": write_number(result.closed_price),
            "pnl": write_number(result.pnl),
            "close_reason": result.close_reason,
            "success": result.success,
            "position_id": result.position_id,
            "error_message": result.error_message,
            "volume": write_number(result.volume),
            "key": evidence.key,
            "fingerprint": evidence.fingerprint,
            "initiator": evidence.initiator,
            "trigger_id": evidence.trigger_id,
            "position": evidence.position,
            "symbol": evidence.symbol,
            "side": evidence.side,
            "volume_before": write_number(evidence.volume_before),
            "closed_by": evidence.closed_by,
            "attempts": [_attempt_written(attempt) for attempt in evidence.attempts],
            "deals": [_deal_written(deal) for deal in evidence.deals],
        },
    )


def result_of(record: AuditRecord) -> CloseResult:
    """Read the result back from its final record: identical, and durable.

    Raises:
        ValueError: the record is no final record of a close.
    """
    meta = _meta_of(record)
    return CloseResult(
        success=meta["success"],
        position_id=meta["position_id"],
        ticket=meta["ticket"],
        closed_price=read_number(meta["closed_price"]),
        pnl=read_number(meta["pnl"]),
        close_reason=meta["close_reason"],
        close_timestamp=to_datetime(record.occurred_at),
        error_message=meta["error_message"],
        close_id=meta["close_id"],
        outcome=Outcome(record.outcome or ""),
        attempts=record.attempts or 0,
        volume=read_number(meta["volume"]) or 0.0,
        durable=True,
    )


def evidence_of(record: AuditRecord) -> CloseEvidence:
    """Read the evidence back from the final record of a close.

    Details of an attempt that were no JSON values come back as texts.

    Raises:
        ValueError: the record is no final record of a close.
    """
    meta = _meta_of(record)
    side = meta["side"]
    return CloseEvidence(
        key=meta["key"],
        fingerprint=meta["fingerprint"],
        initiator=meta["initiator"],
        trigger_id=meta["trigger_id"],
        position=meta["position"],
        symbol=meta["symbol"],
        side=None if side is None else Side(side),
        volume_before=read_number(meta["volume_before"]) or 0.0,
        attempts=tuple(_attempt_read(item) for item in meta["attempts"]),
        deals=tuple(_deal_read(item) for item in meta["deals"]),
        closed_by=meta["closed_by"],
    )


def _meta_of(record: AuditRecord) -> Mapping[str, Any]:
    if record.event_type is not EventType.POSITION_CLOSED:
        raise ValueError(
            f"event_type={record.event_type.value!r} is not allowed: "
            f"only {EventType.POSITION_CLOSED.value!r} records hold a close"
        )
    return record.meta_data


def _status(result: CloseResult) -> Status:
    if result.success:
        return Status.OK
    return Status.WARNING if result.outcome is Outcome.PARTIAL else Status.FAILED


def _description(result: CloseResult, evidence: CloseEvidence) -> str:
    side = f" {evidence.side.value}" if evidence.side else ""
    text = f"{result.outcome.value}:{side} {evidence.symbol} {result.volume:.10g} lots"
    if result.closed_price is not None:
        text += f" at {result.closed_price:.10g}"
    if result.pnl is not None:
        text += f", P&L {result.pnl:.2f}"
    if result.error_message:
        text += f"; {result.error_message}"
    return storable(text)


def _whole(number: object) -> int | None:
    # An invalid entry of a bulk call is a failed result that repeats what it was given.
    return number if type(number) is int and abs(number) < 2**63 else None


def _attempt_written(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "sent_at": attempt.sent_us,
        "answered_at": attempt.answered_us,
        "verdict": attempt.verdict,
        "code": attempt.code,
        "text": attempt.text,
        "volume_asked": write_number(attempt.volume_asked),
        "volume": write_number(attempt.volume),
        "price": write_number(attempt.price),
        "order": attempt.order,
        "deal": attempt.deal,
        "details": attempt.details,
    }


def _attempt_read(item: Mapping[str, Any]) -> Attempt:
    return Attempt(
        number=item["number"],
        sent_us=item["sent_at"],
        answered_us=item["answered_at"],
        verdict=Verdict(item["verdict"]),
        code=item["code"],
        text=item["text"],
        volume_asked=read_number(item["volume_asked"]) or 0.0,
        volume=read_number(item["volume"]) or 0.0,
        price=read_number(item["price"]) or 0.0,
        order=item["order"],
        deal=item["deal"],
        details=item["details"],
    )


_DEAL_NUMBERS = ("volume", "price", "profit", "commission", "swap", "fee")


def _deal_written(deal: Deal) -> dict[str, object]:
    return {
        "ticket": deal.ticket,
        "order": deal.order,
        "identifier": deal.identifier,
        "symbol": deal.symbol,
        "entry": deal.entry,
        "side": deal.side,
        "volume": write_number(deal.volume),
        "price": write_number(deal.price),
        "profit": write_number(deal.profit),
        "commission": write_number(deal.commission),
        "swap": write_number(deal.swap),
        "fee": write_number(deal.fee),
        "comment": deal.comment,
        "closed_by": deal.closed_by,
        "time_ms": deal.time_ms,
    }


def _deal_read(item: Mapping[str, Any]) -> Deal:
    fields = dict(item)
    fields.update({name: read_number(item[name]) for name in _DEAL_NUMBERS})
    fields["entry"] = DealEntry(item["entry"])
    fields["side"] = Side(item["side"])
    fields["closed_by"] = ClosedBy(item["closed_by"])
    return Deal(**fields)
