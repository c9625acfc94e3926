"""Records to test with: realistic, numbered, and different from each other."""

from __future__ import annotations

from collections.abc import Sequence

from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.records import AuditRecord
from audit.shared_answers import shared_answer_record
from engine.brokers.port import ClosedBy, Deal, DealEntry, Side
from engine.clock import to_datetime
from engine.models import (
    Attempt,
    CloseEvidence,
    CloseRequest,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
)
from engine.outcomes import Outcome, Verdict

NOW = 1_424_860_200_123_456
"""A wall time, µs UTC."""


class ManualClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.us = NOW

    def wall_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


def a_result(number: int = 1) -> CloseResult:
    return CloseResult(
        success=True,
        position_id=f"p{number}",
        ticket=1000 + number,
        closed_price=1.20 + number / 1e5,
        pnl=-12.34 - number,
        close_reason="drawdown critical: equity 7,999.12 of peak 10,000.00",
        close_timestamp=to_datetime(NOW + number),
        error_message=None,
        close_id=f"00000000-0000-5000-8000-{number:012d}",
        outcome=Outcome.DONE,
        attempts=1,
        volume=0.5,
    )


def an_evidence(number: int = 1, key: str = "trigger-1") -> CloseEvidence:
    attempt = Attempt(
        number=1,
        sent_us=NOW - 20_000,
        answered_us=NOW - 1_000,
        verdict=Verdict.DONE,
        code=10009,
        text="Request executed",
        volume_asked=0.5,
        volume=0.5,
        price=1.2,
        order=5000 + number,
        deal=7000 + number,
        details={"request": {"action": 1, "price": 1.2}, "retcode": 10009},
    )
    deal = Deal(
        ticket=7000 + number,
        order=5000 + number,
        identifier=number,
        symbol="EURCHF",
        entry=DealEntry.OUT,
        side=Side.SHORT,
        volume=0.5,
        price=1.2,
        profit=-12.0,
        commission=-0.34,
        swap=0.0,
        fee=0.0,
        comment="RABCDEFGHIJKLMNOPQRSTUVWXYZ",
        closed_by=ClosedBy.EXPERT,
        time_ms=NOW // 1000,
    )
    return CloseEvidence(
        key=key,
        fingerprint="1:1001:all",
        initiator="drawdown",
        trigger_id=key,
        position=str(number),
        symbol="EURCHF",
        side=Side.LONG,
        volume_before=0.5,
        attempts=(attempt,),
        deals=(deal,),
    )


def a_close(number: int = 1, user_id: str = "u1", key: str = "trigger-1") -> AuditRecord:
    return close_record(a_result(number), an_evidence(number, key), user_id=user_id)


def a_shared_answer(number: int = 1, key: str = "another key") -> AuditRecord:
    """The record of a key that was answered by :func:`a_close` of the same number."""
    request = CloseRequest(f"p{number}", 1000 + number, "u1", "by hand", idempotency_key=key)
    return shared_answer_record(str(number), request, a_result(number), occurred_at=NOW + 500)


def a_trigger(number: int = 1, user_id: str = "u1") -> GuardTrigger:
    return GuardTrigger(
        user_id=user_id,
        guard=GuardType.DRAWDOWN,
        reason="equity fell by 20 %",
        positions=(PositionRef("p1", 1001),),
        trigger_id=f"trigger-{number}",
        triggered_at=to_datetime(NOW + number),
        inputs={"equity": 8000.5, "peak": 10000.0, "ticks": [{"bid": 1.2, "at": NOW}]},
    )


def a_chain(
    count: int, stream: str = "account:u1:1", first: int = 1, writer: ChainWriter | None = None
) -> list[SealedRecord]:
    """Seal ``count`` closes of different positions in one stream."""
    writer = writer or ChainWriter(stream, version="0.1.0", config_hash="c0ffee")
    owner = stream.split(":")[1]
    return [writer.seal(a_close(number, owner)) for number in range(first, first + count)]


def ids(records: Sequence[SealedRecord]) -> set[str]:
    return {record.event_id for record in records}
