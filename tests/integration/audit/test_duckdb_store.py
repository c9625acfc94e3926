from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from audit.duckdb_store import DuckDBStore
from audit.errors import NewerSchema, StoreInUse, StoreUnavailable
from audit.rows import Row, row_of
from audit.store import RowsRefused
from tests.unit.audit.samples import NOW, ManualClock, a_chain


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
