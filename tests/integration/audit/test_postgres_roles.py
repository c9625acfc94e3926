"""What each role may do with a real PostgreSQL, and what none but the owner may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import make_url

from audit.errors import StoreUnavailable
from audit.opening import make_store
from audit.roles import role_statements
from audit.rows import Row, row_of
from tests.postgres_server import PASSWORD, Databases
from tests.unit.audit.samples import NOW, a_chain


@dataclass(frozen=True, slots=True)
class Roles:
    owner: str
    writer: str
    reader: str


def _run(url: str, *statements: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def bare(postgres: Databases) -> Iterator[Roles]:
    """Addresses of an empty database for three roles; odd names have to be quoted."""
    owner = postgres.fresh_database()
    base = make_url(owner)
    names = [f'{role}-"{uuid4().hex[:8]}' for role in ("writer", "reader")]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    _run(owner, *(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'" for name in quoted))
    urls = [
        base.set(username=name, password=PASSWORD).render_as_string(hide_password=False)
        for name in names
    ]
    yield Roles(owner, *urls)
    for name in quoted:
        _run(owner, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def roles(bare: Roles) -> Roles:
    """The same, with the schema made by the owner and the rights given, twice."""
    store = make_store(bare.owner)
    store.open()
    store.close()
    names = [make_url(url).username or "" for url in (bare.writer, bare.reader)]
    statements = role_statements(
        make_url(bare.owner).database or "", writer=names[0], reader=names[1]
    )
    writer = '"' + names[0].replace('"', '""') + '"'
    _run(bare.owner, f"GRANT CREATE ON SCHEMA public TO {writer}", *statements, *statements)
    return bare


def _rows(count: int) -> list[Row]:
    return [row_of(record, NOW, False) for record in a_chain(count)]


@pytest.mark.parametrize("count", [3, 100])
def test_the_store_works_as_the_writer(roles: Roles, count: int) -> None:
    store = make_store(roles.writer)
    store.open()
    rows = _rows(count)
    assert store.insert_batch(rows[:-1]).inserted == count - 1
    assert store.insert_batch(rows).known == count - 1
    assert store.read_streams(["account:u1:1"], 0, count) == rows
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reconciliation_log SET pnl = 0",
        "DELETE FROM reconciliation_log",
        "TRUNCATE reconciliation_log",
        "DROP TABLE reconciliation_log",
        "ALTER TABLE reconciliation_log DISABLE TRIGGER ALL",
        "DROP TRIGGER reconciliation_log_no_change ON reconciliation_log",
        "DROP FUNCTION reconciliation_log_is_append_only()",
        "SET session_replication_role = replica",
        "DELETE FROM audit_schema",
        "INSERT INTO audit_schema VALUES (99, 'x')",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_writer_may_not(roles: Roles, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        _run(roles.writer, statement)


def test_the_reader_reads_beside_the_writer_and_does_not_insert(roles: Roles) -> None:
    writer, reader = make_store(roles.writer), make_store(roles.reader, reads_only=True)
    writer.open()
    writer.insert_batch(_rows(3))
    reader.open()
    assert reader.count() == 3
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        reader.insert_batch(_rows(4))
    writer.close()
    reader.close()
    intruder = make_store(roles.reader)
    intruder.open()
    for rows in (_rows(4), _rows(100)):
        with pytest.raises(StoreUnavailable, match=r"permission denied.*audit/roles\.py"):
            intruder.insert_batch(rows)
    assert intruder.count() == 3
    intruder.close()


def test_a_new_database_is_opened_by_its_owner_first(bare: Roles) -> None:
    with pytest.raises(StoreUnavailable, match="first opened by its owner") as trouble:
        make_store(bare.writer).open()
    assert PASSWORD not in str(trouble.value)


@pytest.mark.parametrize(
    ("names", "field"), [(("d", "w", "w"), "reader"), (("d", " ", "r"), "writer")]
)
def test_roles_without_a_meaning_are_refused(names: tuple[str, str, str], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}="):
        role_statements(names[0], writer=names[1], reader=names[2])
