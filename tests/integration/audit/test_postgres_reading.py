"""A reader changes nothing in a PostgreSQL database, and needs no right to."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from audit.errors import NewerSchema, StoreUnavailable
from audit.offline import open_trail
from audit.postgres_reading import ReadOnlyPostgres
from audit.postgres_store import PostgresStore
from audit.queries import RecordQuery
from audit.rows import row_of
from tests.unit.audit.samples import NOW, a_chain


def _ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_an_empty_database_is_left_empty(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="holds no audit trail: name another one"):
        open_trail(postgres_url, None)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert _ask(postgres_url, tables) == [(0,)]


def test_an_older_schema_is_refused_and_not_migrated(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    store.open()
    store.close()
    _ask(postgres_url, "ALTER TABLE reconciliation_log DROP COLUMN predecessor")
    _ask(postgres_url, "DELETE FROM audit_schema")
    reader = ReadOnlyPostgres(postgres_url)
    with pytest.raises(StoreUnavailable, match=r"made by an older version.*start the engine once"):
        reader.open()
    assert not reader.is_open
    assert _ask(postgres_url, "SELECT count(*) FROM audit_schema") == [(0,)]


def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    store.open()
    store.close()
    _ask(postgres_url, "INSERT INTO audit_schema VALUES (99, 'to come', now())")
    with pytest.raises(NewerSchema, match=r"^store='postgresql.*has schema version 99"):
        ReadOnlyPostgres(postgres_url).open()


def test_a_trail_is_read_while_it_is_filled(postgres_url: str, tmp_path: Path) -> None:
    store = PostgresStore(postgres_url)
    store.open()
    store.insert_batch([row_of(record, NOW, False) for record in a_chain(3)])
    trail = open_trail(postgres_url, tmp_path / "none.sqlite")
    assert len(trail.query(RecordQuery())) == 3
    trail.close()
    store.close()
