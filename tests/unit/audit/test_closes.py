from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from audit.chain import ChainWriter
from audit.closes import close_record, evidence_of, result_of
from audit.records import AuditRecord, EventType, Status, record_of
from engine.models import CloseEvidence, CloseResult
from engine.outcomes import Outcome
from tests.unit.audit.samples import NOW, a_result, an_evidence


def _trip(result: CloseResult, evidence: CloseEvidence) -> AuditRecord:
    record = close_record(result, evidence, user_id="u1")
    return record_of(ChainWriter("account:u1:1").seal(record).body)


def test_result_and_evidence_come_back_identical_and_durable() -> None:
    result, evidence = a_result(), an_evidence()
    back = _trip(result, evidence)
    assert result_of(back) == replace(result, durable=True)
    assert evidence_of(back) == evidence


def test_columns_and_the_keys_that_older_readers_know() -> None:
    record = _trip(a_result(), an_evidence())
    assert record.event_type is EventType.POSITION_CLOSED
    assert (record.user_id, record.position_id, record.ticket) == ("u1", "p1", 1001)
    assert (record.symbol, record.volume, record.outcome) == ("EURCHF", 0.5, "done")
    assert (record.initiator, record.trigger_id) == ("drawdown", "trigger-1")
    assert record.request_fingerprint == "1:1001:all"
    assert (record.sent_at, record.filled_at) == (NOW - 20_000, NOW - 1_000)
    meta = record.meta_data
    assert {name: meta[name] for name in ("close_id", "ticket", "closed_price", "pnl")} == {
        "close_id": record.close_id,
        "ticket": 1001,
        "closed_price": record.closed_price,
        "pnl": record.pnl,
    }
    assert meta["close_reason"] == record.close_reason
    assert meta["attempts"][0]["verdict"] == "done"
    assert meta["deals"][0]["closed_by"] == "expert"


def test_one_event_for_each_position_and_key() -> None:
    names = {
        close_record(a_result(), an_evidence(number, key), user_id=user).event_id
        for number in (1, 2)
        for key in ("k1", "k2")
        for user in ("u1", "u2")
    }
    again = close_record(replace(a_result(), pnl=0.0), an_evidence(2, "k2"), user_id="u2")
    assert len(names) == 8
    assert again.event_id in names


@pytest.mark.parametrize(
    ("success", "outcome", "status"),
    [
        (True, Outcome.DONE, Status.OK),
        (True, Outcome.ALREADY_CLOSED, Status.OK),
        (True, Outcome.PARTIAL, Status.OK),
        (False, Outcome.PARTIAL, Status.WARNING),
        (False, Outcome.REJECTED, Status.FAILED),
        (False, Outcome.UNKNOWN, Status.FAILED),
    ],
)
def test_status_tells_success_from_failure(success: bool, outcome: Outcome, status: Status) -> None:
    result = replace(a_result(), success=success, outcome=outcome, error_message="why")
    record = _trip(result, an_evidence())
    assert record.status is status
    assert record.description.endswith("why")
    assert result_of(record) == replace(result, durable=True)


def test_a_price_is_told_with_all_its_digits() -> None:
    result = replace(a_result(), closed_price=96123.45, volume=1234567.5)
    told = close_record(result, an_evidence(), user_id="u1").description
    assert "1234567.5 lots at 96123.45," in told


def test_nothing_sent_leaves_no_times_of_sending() -> None:
    record = _trip(a_result(), replace(an_evidence(), attempts=(), side=None, deals=()))
    assert (record.sent_at, record.filled_at) == (None, None)
    assert evidence_of(record).side is None


def test_a_brokers_nonsense_does_not_stop_the_record() -> None:
    attempt = replace(
        an_evidence().attempts[0], price=math.inf, details={"x": math.nan, "y": b"raw"}
    )
    evidence = replace(an_evidence(), attempts=(attempt,), volume_before=math.inf)
    result = replace(
        a_result(), closed_price=math.inf, pnl=-math.inf, error_message="bad \ud800 text\0"
    )
    record = _trip(result, evidence)
    assert (record.closed_price, record.pnl) == (None, None)
    back = result_of(record)
    assert (back.closed_price, back.pnl) == (math.inf, -math.inf)
    assert back.error_message == "bad \\ud800 text\0"
    assert evidence_of(record).volume_before == math.inf
    assert evidence_of(record).attempts[0].details == {"x": "NaN", "y": "b'raw'"}


@pytest.mark.parametrize("ticket", [None, "abc", -1, 2**70, True])
def test_an_invalid_entry_of_a_bulk_call_is_recorded_as_given(ticket: Any) -> None:
    result = replace(a_result(), ticket=ticket, position_id="", success=False)
    back = result_of(_trip(result, replace(an_evidence(), attempts=(), deals=())))
    assert back.ticket == ticket
    assert back.position_id == ""


def test_other_records_hold_no_close() -> None:
    other = replace(close_record(a_result(), an_evidence(), user_id="u1"))
    other = replace(other, event_type=EventType.GUARD_ALERT)
    with pytest.raises(ValueError, match="event_type='guard_alert'"):
        result_of(other)
