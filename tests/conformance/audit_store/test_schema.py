"""The schema: append-only, brought up to date in steps, refused when it is newer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from audit import schema
from audit.errors import NewerSchema, StoreUnavailable
from audit.opening import make_store
from audit.store import AuditStore
from tests.conformance.audit_store.outsider import REFUSED, run
from tests.conformance.audit_store.test_storing import rows_of


@pytest.mark.parametrize("is_replica", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reconciliation_log SET pnl = 0",
        "UPDATE reconciliation_log SET seq = 9 WHERE seq = 1",
        "DELETE FROM reconciliation_log WHERE seq = 1",
        "DELETE FROM reconciliation_log",
        "TRUNCATE reconciliation_log",
    ],
)
def test_the_table_is_append_only(
    store: AuditStore, url: str, statement: str, is_replica: bool
) -> None:
    rows = rows_of(2)
    store.insert_batch(rows)
    store.close()
    with pytest.raises(REFUSED, match=r"append.only"):
        run(url, statement, is_replica=is_replica)
    store.open()
    assert store.read_streams(["account:u1:1"], 0, 10) == rows


def test_a_newer_schema_is_refused_and_stays(store: AuditStore, url: str) -> None:
    store.insert_batch(rows_of(2))
    store.close()
    run(url, "INSERT INTO audit_schema VALUES (99, 'future', now())")
    with pytest.raises(NewerSchema, match="schema version 99, this software knows up to"):
        store.open()
    assert not store.is_open
    assert run(url, "SELECT count(*) FROM reconciliation_log") == [(2,)]


def _second(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE added_later (x INTEGER)")
    connection.exec_driver_sql("INSERT INTO added_later VALUES (1)")


def test_an_old_schema_is_brought_up_once(
    store: AuditStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(2)
    store.insert_batch(rows)
    store.close()
    monkeypatch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, 2: ("a table", _second)})
    for _ in range(2):
        store.open()
        assert store.read_streams(["account:u1:1"], 0, 10) == rows
        store.close()
    assert run(url, "SELECT version, what FROM audit_schema ORDER BY version") == [
        (1, schema.MIGRATIONS[1][0]),
        (2, "a table"),
    ]
    assert run(url, "SELECT count(*) FROM added_later") == [(1,)]


def _broken(connection: Connection) -> None:
    _second(connection)
    connection.exec_driver_sql("INSERT INTO there_is_no_such_table VALUES (1)")


def test_a_step_that_fails_leaves_nothing_of_it(
    store: AuditStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, 2: ("a table", _broken)})
        with pytest.raises(StoreUnavailable, match="there_is_no_such_table"):
            store.open()
        assert not store.is_open
    assert run(url, "SELECT max(version) FROM audit_schema") == [(1,)]
    assert store.open().set_aside is None
    store.close()
    assert run(url, "SELECT 1 FROM information_schema.tables WHERE table_name='added_later'") == []


def test_several_that_open_a_new_database_at_once_make_one_schema(url: str, tmp_path: Path) -> None:
    stores = [make_store(url) for _ in range(4)]
    begin = threading.Barrier(len(stores))
    troubles: list[Exception] = []

    def open_one(store: AuditStore) -> None:
        begin.wait()
        try:
            store.open()
            store.close()
        except StoreUnavailable as error:
            if not url.startswith("duckdb"):  # where one owns the file, others may be refused
                troubles.append(error)

    threads = [threading.Thread(target=open_one, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert troubles == []
    assert run(url, "SELECT version FROM audit_schema") == [(1,)]
    assert list(tmp_path.glob("*damaged*")) == []


def test_a_foreign_table_of_the_same_name_is_named(url: str) -> None:
    run(url, "CREATE TABLE reconciliation_log (x INTEGER)")
    with pytest.raises(StoreUnavailable, match="already exists"):
        make_store(url).open()
    assert run(url, "SELECT count(*) FROM reconciliation_log") == [(0,)]
