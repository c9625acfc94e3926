from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from audit.chain import ChainWriter
from audit.records import AuditRecord, EventType, Status, event_id, parts_of_body, record_of
from tests.unit.audit.samples import NOW, a_close

_HOSTILE = '","meta_data":{"x":1},"occurred_at":7,"event_type":"episode_finished'


def _sealed(record: AuditRecord) -> bytes:
    return ChainWriter("account:u1:1", version="1").seal(record).body


def test_a_record_comes_back_with_its_stamps() -> None:
    record = a_close()
    back = record_of(_sealed(record), recorded_at=5, late=True)
    stamped = replace(
        record, stream="account:u1:1", seq=1, incarnation=1, version="1", recorded_at=5, late=True
    )
    assert back == replace(stamped, meta_data=back.meta_data)
    assert back.meta_data["close_id"] == record.close_id


def test_texts_that_look_like_the_form_do_not_break_it() -> None:
    record = replace(
        a_close(),
        description=_HOSTILE,
        close_reason=_HOSTILE,
        user_id=_HOSTILE,
        meta_data={"a": 1, "meta_data": {"a": 1, "occurred_at": _HOSTILE}, "occurred_at": 1},
    )
    back = record_of(_sealed(record))
    assert back.description == back.close_reason == back.user_id == _HOSTILE
    assert back.meta_data == record.meta_data
    assert back.occurred_at == record.occurred_at


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("volume", 1, "volume=1 is not allowed"),
        ("pnl", "1", "pnl='1' is not allowed"),
        ("ticket", True, "ticket=True is not allowed"),
        ("ticket", 2**64, "fit into 64 bits"),
        ("symbol", "a\0b", "symbol=.*NUL character"),
        ("description", "\ud800", "description=.*lone surrogate"),
        ("event_id", "x", "must be a UUID"),
        ("event_id", str(uuid4()).upper(), "must be a UUID"),
        ("occurred_at", None, "occurred_at=None is not allowed"),
    ],
)
def test_what_no_column_holds_exactly_is_refused_and_nothing_is_numbered(
    field: str, value: Any, message: str
) -> None:
    writer = ChainWriter("account:u1:1")
    with pytest.raises(ValueError, match=message):
        writer.seal(replace(a_close(), **{field: value}))
    assert writer.head.seq == 0


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a record"):
        parts_of_body(b'{"a":1}')


def test_an_event_is_named_by_kind_and_identity() -> None:
    names = {
        event_id(EventType.ACCOUNT_ADDED, "a", "b"),
        event_id(EventType.ACCOUNT_ADDED, "a,b"),
        event_id(EventType.ACCOUNT_ADDED, "a", "b", 1),
        event_id(EventType.ACCOUNT_REMOVED, "a", "b"),
    }
    assert len(names) == 4
    assert event_id(EventType.ACCOUNT_ADDED, "a", "b") in names


def test_numbers_of_status_are_those_of_the_table() -> None:
    assert [int(status) for status in Status] == [0, 1, 2]


def test_times_are_whole_microseconds() -> None:
    assert record_of(_sealed(a_close())).sent_at == NOW - 20_000
