from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from audit.chain import ChainWriter
from audit.duckdb_store import DuckDBStore
from audit.queries import RecordQuery
from audit.records import Status
from audit.rows import COLUMNS, row_of
from audit.trail import place_of
from tests.unit.audit.samples import NOW, a_close

_POSITION = COLUMNS.index("position_id")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """Six closes; the first three occurred at one moment, in streams that sort by code point."""
    store = DuckDBStore(tmp_path_factory.mktemp("queries") / "audit.duckdb")
    store.open()
    for number, owner in enumerate(("b", "A", "a", "b", "b", "A")):
        record = a_close(number, owner)
        moment = NOW if number < 3 else NOW + number
        status = Status(number % 3)
        writer = ChainWriter(f"account:{owner}:{number + 1}", version="1", config_hash="c0ffee")
        sealed = writer.seal(replace(record, occurred_at=moment, status=status))
        store.insert_batch([row_of(sealed, NOW + 100 - number, False)])
    yield store
    store.close()


def found(store: DuckDBStore, query: RecordQuery) -> list[str]:
    return [row[_POSITION] for row in store.query(query)]


def test_records_of_one_moment_are_ordered_by_code_point(store: DuckDBStore) -> None:
    assert found(store, RecordQuery()) == ["p1", "p2", "p0", "p3", "p4", "p5"]
    backwards = RecordQuery(newest_first=True)
    assert found(store, backwards) == ["p5", "p4", "p3", "p0", "p2", "p1"]


def test_a_page_begins_behind_any_record(store: DuckDBStore) -> None:
    for newest_first in (False, True):
        whole = store.query(RecordQuery(newest_first=newest_first))
        for number, row in enumerate(whole):
            query = RecordQuery(newest_first=newest_first, after=place_of(row))
            assert store.query(query) == whole[number + 1 :]


def test_a_page_begins_behind_a_place_without_a_record(store: DuckDBStore) -> None:
    assert found(store, RecordQuery(after=(NOW, "account:B", 1))) == ["p2", "p0", "p3", "p4", "p5"]
    assert found(store, RecordQuery(after=(NOW - 1, "z", 9))) == found(store, RecordQuery())
    assert found(store, RecordQuery(after=(NOW + 9, "", 0))) == []


def test_records_are_chosen_by_status(store: DuckDBStore) -> None:
    assert found(store, RecordQuery(statuses=(Status.FAILED,))) == ["p2", "p5"]
    both = RecordQuery(statuses=(Status.OK, Status.FAILED))
    assert found(store, both) == ["p2", "p0", "p3", "p5"]


def test_records_are_chosen_by_when_the_journal_had_them(store: DuckDBStore) -> None:
    assert found(store, RecordQuery(recorded_since=NOW + 98)) == ["p1", "p2", "p0"]
    assert found(store, RecordQuery(recorded_since=NOW + 101)) == []


def test_records_are_chosen_by_name(store: DuckDBStore) -> None:
    names = tuple(row[COLUMNS.index("event_id")] for row in store.query(RecordQuery())[:2])
    assert found(store, RecordQuery(event_ids=names)) == ["p1", "p2"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"statuses": (3,)}, "statuses=3 is not allowed"),
        ({"event_ids": ("trigger-1",)}, "event_ids='trigger-1' is not allowed"),
    ],
)
def test_what_would_choose_nothing_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        RecordQuery(**wrong)  # type: ignore[arg-type]  # it is wrong on purpose
