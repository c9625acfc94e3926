"""The record of an answer that one key has from another: what it says, and back."""

from __future__ import annotations

import pytest

from audit.chain import ChainWriter
from audit.records import EventType, record_of
from audit.shared_answers import shared_answer_of, shared_answer_record
from engine.models import CloseRequest, SharedAnswer
from tests.unit.audit.samples import NOW, a_close, a_result, a_shared_answer


def test_it_comes_back_unchanged() -> None:
    written = ChainWriter("account:u1:1").seal(a_shared_answer())
    assert shared_answer_of(record_of(written.body)) == SharedAnswer(
        position="1",
        key="another key",
        fingerprint="1:1001:all",
        position_id="p1",
        ticket=1001,
        close_id=a_result().close_id,
    )


def test_columns_name_the_request_and_the_close_but_nothing_that_adds_up() -> None:
    record = a_shared_answer()
    assert record.event_type is EventType.CLOSE_ANSWERED
    assert (record.user_id, record.position_id, record.ticket) == ("u1", "p1", 1001)
    assert (record.close_id, record.request_fingerprint) == (a_result().close_id, "1:1001:all")
    assert record.occurred_at == NOW + 500
    assert (record.volume, record.pnl, record.outcome, record.attempts) == (None,) * 4


def test_position_and_key_make_its_identity() -> None:
    assert a_shared_answer().event_id == a_shared_answer().event_id
    others = {
        a_shared_answer().event_id,
        a_shared_answer(2).event_id,
        a_shared_answer(key="a third").event_id,
        a_close(key="another key").event_id,
    }
    assert len(others) == 4


def test_texts_that_no_column_holds_survive_in_the_meta_data() -> None:
    request = CloseRequest("p\0", 1, "u1", "by\0hand", idempotency_key="k\0")
    record = shared_answer_record("p\0", request, a_result(), occurred_at=NOW)
    back = record_of(ChainWriter("account:u1:1").seal(record).body)
    assert back.position_id == "p\\x00"
    shared = shared_answer_of(back)
    assert (shared.position, shared.position_id, shared.key) == ("p\0", "p\0", "k\0")


def test_another_record_is_refused() -> None:
    with pytest.raises(ValueError, match=r"position_closed.*close_answered"):
        shared_answer_of(a_close())
