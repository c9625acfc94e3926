from __future__ import annotations

import pytest

from audit.chain import ChainWriter
from audit.events import trigger_accepted
from audit.receipts import AccountHistory
from audit.records import AuditRecord
from audit.replay import remembered, replay
from engine.idempotency import IdempotencyMap
from engine.models import CloseRequest
from tests.unit.audit.samples import a_chain, a_close, a_result, a_trigger, an_evidence


def _body(record: AuditRecord) -> bytes:
    return ChainWriter("account:u1:1").seal(record).body


def test_answers_come_back_in_order_and_identical() -> None:
    history = AccountHistory("u1", tuple(one.body for one in a_chain(3)), True)
    answers = list(remembered(history))
    assert [evidence for _, evidence in answers] == [an_evidence(n) for n in (1, 2, 3)]
    assert [result.pnl for result, _ in answers] == [a_result(n).pnl for n in (1, 2, 3)]
    assert all(result.durable for result, _ in answers)


def test_they_fill_an_accounts_memory() -> None:
    memory = IdempotencyMap()
    for result, evidence in replay(one.body for one in a_chain(2)):
        memory.restore(evidence.position, evidence.key, evidence.fingerprint, result)
    same = CloseRequest("2", 1001, "u1", "again", idempotency_key="trigger-1")
    known = memory.claim(same)
    assert known == next(r for r, e in replay([a_chain(2)[1].body]) if e.position == "2")


def test_what_a_newer_version_wrote_is_passed_over_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = _body(a_close())
    newer_kind = body.replace(b'"position_closed"', b'"position_sublimed"')
    newer_outcome = body.replace(b'"outcome":"done"', b'"outcome":"transcended"')
    newer_member = body.replace(b'"attempts":1,', b'"attempts":1,"aura":2,', 1)
    assert newer_kind != body != newer_outcome
    assert newer_member != body
    bodies = [newer_kind, body, newer_outcome, b"{}", newer_member]
    assert [evidence.position for _, evidence in replay(bodies)] == ["1"]
    assert caplog.text.count("is not understood") == 4


def test_other_kinds_are_passed_over_silently(caplog: pytest.LogCaptureFixture) -> None:
    assert list(replay([_body(trigger_accepted(a_trigger(), occurred_at=1))])) == []
    assert not caplog.records
