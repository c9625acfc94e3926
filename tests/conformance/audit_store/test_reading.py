"""What comes out: what was asked for, in the same order everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.chain import ChainHead, ChainWriter
from audit.errors import StoreUnavailable
from audit.events import trigger_accepted
from audit.queries import RecordQuery
from audit.records import EventType
from audit.rows import HASH, row_of, sealed_of
from audit.store import AuditStore, StreamExtent
from tests.conformance.audit_store.test_storing import rows_of
from tests.unit.audit.samples import NOW, a_close, a_trigger

_STRANGER = "00000000-0000-5000-8000-000000000000"


def test_a_new_store_is_empty(store: AuditStore) -> None:
    assert store.count() == 0
    assert list(store.extents()) == []
    assert store.hashes_of([_STRANGER]) == {}
    assert store.query(RecordQuery()) == []
    assert store.read_streams(["account:u1:1"], 0, 10) == []
    assert store.read_streams([], 0, 10) == []


def test_extents_and_hashes(store: AuditStore) -> None:
    one, two = rows_of(3), rows_of(2, "account:u2:1", first=7)
    store.insert_batch([*two, *one])
    assert list(store.extents()) == [
        StreamExtent(ChainHead("account:u1:1", 3, one[2][HASH]), 3),
        StreamExtent(ChainHead("account:u2:1", 2, two[1][HASH]), 2),
    ]
    names = [sealed_of(row).event_id for row in one]
    assert store.hashes_of([*names[:2], _STRANGER]) == {
        names[0]: one[0][HASH],
        names[1]: one[1][HASH],
    }
    assert store.hashes_of([]) == {}


def test_a_stream_with_a_hole_has_its_extent(store: AuditStore) -> None:
    rows = rows_of(5)
    store.insert_batch([rows[4], rows[0]])
    assert list(store.extents()) == [StreamExtent(ChainHead("account:u1:1", 5, rows[4][HASH]), 2)]


def test_streams_are_ordered_by_code_point_not_by_language(store: AuditStore) -> None:
    names = ["account:B:1", "account:a:1", "account:ab:1", "account:a b:1", "account:ä:1"]
    rows = [row for name in names for row in rows_of(1, name, first=names.index(name) + 1)]
    store.insert_batch(rows)
    assert [extent.head.stream for extent in store.extents()] == sorted(names)
    assert [sealed_of(row).stream for row in store.read_streams(names, 0, 9)] == sorted(names)


def test_parts_of_streams(store: AuditStore) -> None:
    one, two = rows_of(9), rows_of(9, "account:u2:1", first=20)
    store.insert_batch([*two, *one])
    assert store.read_streams(["account:u1:1"], 2, 5) == one[2:5]
    both = store.read_streams(["account:u2:1", "account:u1:1", "account:u3:1"], 7, 100)
    assert both == [*one[7:], *two[7:]]


def test_queries_choose_and_order(store: AuditStore) -> None:
    accepted = ChainWriter("supervisor:1").seal(trigger_accepted(a_trigger(), occurred_at=NOW))
    rows = [*rows_of(3), *rows_of(2, "account:u2:1", first=7), row_of(accepted, NOW, False)]
    store.insert_batch(rows)
    seen = store.query
    assert seen(RecordQuery(user_id="u2")) == rows[3:5]
    assert seen(RecordQuery(position_id="p2")) == [rows[1]]
    assert seen(RecordQuery(close_id=a_close(3).close_id)) == [rows[2]]
    assert len(seen(RecordQuery(trigger_id="trigger-1"))) == 6
    assert seen(RecordQuery(event_types=(EventType.TRIGGER_ACCEPTED,))) == [rows[5]]
    assert seen(RecordQuery(since=NOW + 2, until=NOW + 7)) == rows[1:3]
    assert seen(RecordQuery(limit=2, newest_first=True)) == [rows[4], rows[3]]
    assert seen(RecordQuery(user_id="nobody' OR 1=1 --")) == []
    assert seen(RecordQuery(user_ids=("u2", "nobody"))) == rows[3:5]
    assert len(seen(RecordQuery(user_ids=("u1", "u2")))) == 6


def test_opening_twice_is_harmless(store: AuditStore) -> None:
    store.insert_batch(rows_of(1))
    assert store.open().set_aside is None
    assert store.count() == 1


def test_a_checkpoint_changes_nothing_that_is_seen(store: AuditStore) -> None:
    rows = rows_of(3)
    store.insert_batch(rows)
    store.checkpoint()
    assert store.read_streams(["account:u1:1"], 0, 10) == rows


def test_a_closed_store_says_so_whatever_it_is_asked(store: AuditStore) -> None:
    store.close()
    store.close()
    assert not store.is_open
    uses: list[Callable[[], object]] = [
        store.count,
        store.extents,
        store.checkpoint,
        lambda: store.hashes_of([_STRANGER]),
        lambda: store.query(RecordQuery()),
        lambda: store.read_streams(["account:u1:1"], 0, 1),
        lambda: store.insert_batch(rows_of(1)),
    ]
    for use in uses:
        with pytest.raises(StoreUnavailable, match="is not open"):
            use()
