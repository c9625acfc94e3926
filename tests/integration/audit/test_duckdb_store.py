from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from audit.chain import ChainHead, ChainWriter
from audit.duckdb_store import DuckDBStore
from audit.errors import NewerSchema, StoreInUse, StoreUnavailable
from audit.events import trigger_accepted
from audit.queries import RecordQuery
from audit.records import EventType
from audit.rows import HASH, Row, record_of_row, row_of, sealed_of
from audit.store import RowsRefused, StreamExtent
from tests.unit.audit.samples import NOW, ManualClock, a_chain, a_close, a_trigger


def _rows(count: int, stream: str = "account:u1:1", first: int = 1) -> list[Row]:
    return [row_of(record, NOW + 5, False) for record in a_chain(count, stream, first)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "audit.duckdb"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[DuckDBStore]:
    store = DuckDBStore(path, clock=clock)
    store.open()
    yield store
    store.close()


def test_rows_come_back_exactly_also_after_reopening(store: DuckDBStore) -> None:
    odd = replace(
        a_close(3),
        description="ü 😀 '\";--",
        pnl=0.1 + 0.2,
        volume=-0.0,
        closed_price=5e-324,
        ticket=2**63 - 1,
        meta_data={"x": [1e22, -0.0, 1.0, 1, None, True, "\0 😀"], "a": {}},
    )
    rows = [*_rows(2), row_of(ChainWriter("account:u1:9").seal(odd), NOW, True)]
    store.insert_batch(rows)
    store.close()
    store.open()
    back = store.read_streams(["account:u1:1", "account:u1:9"], 0, 10)
    assert back == rows
    assert repr(back) == repr(rows)
    assert sealed_of(back[2]) == sealed_of(rows[2])
    assert record_of_row(back[2]).late


def test_what_is_known_is_passed_over(store: DuckDBStore) -> None:
    rows = _rows(6)
    assert store.insert_batch(rows[:4]).inserted == 4
    report = store.insert_batch(rows)
    assert (report.inserted, report.known, report.contradictions) == (2, 4, {})
    assert store.insert_batch([]).inserted == 0
    assert store.count() == 6


def test_a_row_twice_in_a_batch_is_stored_once(store: DuckDBStore) -> None:
    (row,) = _rows(1)
    report = store.insert_batch([row, row])
    assert (report.inserted, report.known) == (1, 1)


def test_contradictions_are_named_and_the_rest_inserted(store: DuckDBStore) -> None:
    first, second, third = _rows(3)
    store.insert_batch([first])
    (same_place,) = _rows(1, first=8)
    (same_event,) = _rows(1, "account:u1:2")
    report = store.insert_batch([second, same_place, same_event, third])
    assert (report.inserted, report.known) == (2, 0)
    reasons = sorted(report.contradictions.values())
    assert reasons[0].startswith("its place in its stream is taken by event")
    assert reasons[1] == "the store holds the same event with another hash"
    assert store.read_streams(["account:u1:1"], 0, 10) == [first, second, third]


def test_a_refused_row_leaves_nothing_of_its_batch(store: DuckDBStore) -> None:
    rows = _rows(3)
    bad = tuple("{broken" if isinstance(v, str) and v[:1] == "{" else v for v in rows[1])
    with pytest.raises(RowsRefused, match="Malformed JSON"):
        store.insert_batch([rows[0], bad, rows[2]])
    assert store.count() == 0
    assert store.insert_batch(rows).inserted == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reconciliation_log SET pnl = 0",
        "DELETE FROM reconciliation_log WHERE seq = 1",
        "TRUNCATE reconciliation_log",
    ],
)
def test_the_table_is_append_only(store: DuckDBStore, statement: str) -> None:
    rows = _rows(2)
    store.insert_batch(rows)
    store.close()
    with (
        duckdb.connect(str(store.path)) as connection,
        pytest.raises(duckdb.ConstraintException, match="reconciliation_log_is_append_only"),
    ):
        connection.execute(statement).fetchall()
    store.open()
    assert store.read_streams(["account:u1:1"], 0, 10) == rows


def test_extents_and_hashes(store: DuckDBStore) -> None:
    one, two = _rows(3), _rows(2, "account:u2:1", first=7)
    store.insert_batch([*two, *one])
    assert store.extents() == [
        StreamExtent(ChainHead("account:u1:1", 3, one[2][HASH]), 3),
        StreamExtent(ChainHead("account:u2:1", 2, two[1][HASH]), 2),
    ]
    names = [sealed_of(row).event_id for row in one]
    assert store.hashes_of([*names[:2], "00000000-0000-5000-8000-000000000000"]) == {
        names[0]: one[0][HASH],
        names[1]: one[1][HASH],
    }
    assert store.hashes_of([]) == {}


def test_queries_choose_and_order(store: DuckDBStore) -> None:
    accepted = ChainWriter("supervisor:1").seal(trigger_accepted(a_trigger(), occurred_at=NOW))
    rows = [*_rows(3), *_rows(2, "account:u2:1", first=7), row_of(accepted, NOW, False)]
    store.insert_batch(rows)

    def seen(query: RecordQuery) -> list[Row]:
        return store.query(query)

    assert seen(RecordQuery(user_id="u2")) == rows[3:5]
    assert seen(RecordQuery(position_id="p2")) == [rows[1]]
    assert seen(RecordQuery(close_id=a_close(3).close_id)) == [rows[2]]
    assert len(seen(RecordQuery(trigger_id="trigger-1"))) == 6
    assert seen(RecordQuery(event_types=(EventType.TRIGGER_ACCEPTED,))) == [rows[5]]
    assert seen(RecordQuery(since=NOW + 2, until=NOW + 7)) == rows[1:3]
    assert seen(RecordQuery(limit=2, newest_first=True)) == [rows[4], rows[3]]
    assert seen(RecordQuery(user_id="nobody")) == []
    assert seen(RecordQuery(user_ids=("u2", "nobody"))) == rows[3:5]
    assert len(seen(RecordQuery(user_ids=("u1", "u2")))) == 6


def test_a_second_process_is_told_what_to_do_and_harms_nothing(path: Path) -> None:
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    path.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        store = DuckDBStore(path)
        with pytest.raises(StoreInUse, match=r"open in another process.*name another file"):
            store.open()
        owner.communicate("\n")
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert store.open().set_aside is None
    store.close()


@pytest.mark.parametrize("offset", [9, 4096 + 20, 12288 + 100])
def test_a_damaged_file_is_set_aside_whole(
    store: DuckDBStore, offset: int, caplog: pytest.LogCaptureFixture
) -> None:
    store.insert_batch(_rows(50))
    store.checkpoint()
    store.close()
    data = bytearray(store.path.read_bytes())
    for place in (offset, 8192 + 20):  # one header is a spare for the other
        data[place] ^= 0xFF
    store.path.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        opened = store.open()
    assert opened.set_aside is not None
    assert Path(opened.set_aside).read_bytes() == data
    assert "damaged-2015" in opened.set_aside
    assert opened.reason
    assert "cannot be read" in caplog.text
    assert store.count() == 0


def test_a_newer_schema_is_refused_and_the_file_stays(store: DuckDBStore) -> None:
    store.close()
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("INSERT INTO audit_schema VALUES (99, 'future', now())").fetchall()
    with pytest.raises(NewerSchema, match="schema version 99"):
        store.open()
    assert store.path.exists()
    assert not store.is_open


def test_a_foreign_table_of_the_same_name_is_no_damage(path: Path) -> None:
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE reconciliation_log (x INTEGER)").fetchall()
    with pytest.raises(StoreUnavailable, match="already exists"):
        DuckDBStore(path).open()
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_folder_in_the_place_of_the_file_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="directory"):
        DuckDBStore(tmp_path).open()
    assert tmp_path.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="folder cannot be made"):
        DuckDBStore(tmp_path / "file" / "x.duckdb").open()


def test_a_closed_store_says_so(store: DuckDBStore) -> None:
    store.close()
    store.close()
    assert not store.is_open
    with pytest.raises(StoreUnavailable, match="is not open"):
        store.count()


def test_opening_twice_is_harmless(store: DuckDBStore) -> None:
    store.insert_batch(_rows(1))
    assert store.open().set_aside is None
    assert store.count() == 1
