from __future__ import annotations

from dataclasses import replace

import pytest

from audit.chain import ChainWriter, SealedRecord
from audit.events import trigger_accepted
from audit.receipts import AccountHistory
from audit.records import AuditRecord
from audit.replay import remembered, replay, with_unwritten
from audit.shared_answers import shared_answer_of
from engine.errors import IdempotencyConflict
from engine.idempotency import IdempotencyMap
from engine.models import CloseRequest
from tests.unit.audit.samples import (
    a_chain,
    a_close,
    a_result,
    a_shared_answer,
    a_trigger,
    an_evidence,
)


def _body(record: AuditRecord) -> bytes:
    return ChainWriter("account:u1:1").seal(record).body


def test_answers_come_back_in_order_and_identical() -> None:
    history = AccountHistory("u1", tuple(one.body for one in a_chain(3)), True)
    answers = list(remembered(history))
    assert answers == [(replace(a_result(n), durable=True), an_evidence(n)) for n in (1, 2, 3)]


def test_they_fill_an_accounts_memory() -> None:
    memory = IdempotencyMap()
    memory.take_up(replay(one.body for one in a_chain(2)))
    same = CloseRequest("2", 1001, "u1", "again", idempotency_key="trigger-1")
    assert memory.claim(same) == replace(a_result(2), durable=True)


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
    assert list(replay(bodies)) == [(replace(a_result(), durable=True), an_evidence())]
    assert caplog.text.count("is not understood") == 4


def test_other_kinds_are_passed_over_silently(caplog: pytest.LogCaptureFixture) -> None:
    assert list(replay([_body(trigger_accepted(a_trigger(), occurred_at=1))])) == []
    assert not caplog.records


def _life() -> tuple[SealedRecord, ...]:
    writer = ChainWriter("account:u1:1")
    return tuple(map(writer.seal, (a_close(), a_shared_answer())))


def test_a_key_that_another_keys_close_has_answered_is_used_in_the_next_life() -> None:
    memory = IdempotencyMap()
    memory.take_up(replay(record.body for record in _life()))
    same = CloseRequest("p1", 1001, "u1", "again", idempotency_key="another key")
    assert memory.claim(same) == replace(a_result(), durable=True)
    other = CloseRequest("p1", 1001, "u1", "again", idempotency_key="another key", volume=0.1)
    with pytest.raises(IdempotencyConflict, match="another key"):
        memory.claim(other)


def test_what_is_not_on_disk_yet_is_added_whatever_says_an_answer() -> None:
    accepted = ChainWriter("account:u1:1").seal(trigger_accepted(a_trigger(), occurred_at=1))
    history = with_unwritten(AccountHistory("u1", (), True), [*_life(), accepted])
    assert list(remembered(history)) == [
        (replace(a_result(), durable=True), an_evidence()),
        shared_answer_of(a_shared_answer()),
    ]


def test_a_shared_answer_whose_record_lacks_a_member_is_passed_over_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = a_shared_answer()
    meta = {name: value for name, value in record.meta_data.items() if name != "fingerprint"}
    assert list(replay([_body(replace(record, meta_data=meta))])) == []
    assert caplog.text.count("is not understood") == 1
