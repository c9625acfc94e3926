"""One engine at a time fills a PostgreSQL database, and it comes back when it lost its place."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from audit import schema
from audit.errors import NewerSchema, StoreInUse, StoreUnavailable
from audit.journal_file import _MACHINE_RUN
from audit.ledger import AuditLedger
from audit.postgres_owner import PostgresOwner
from audit.postgres_reading import ReadOnlyPostgres
from audit.postgres_store import PostgresStore
from audit.rows import row_of
from tests.postgres_server import PASSWORD, Databases, PostgresServer
from tests.unit.audit.samples import NOW, a_chain


def _store(url: str, patience_s: float = 0.05) -> PostgresStore:
    store = PostgresStore(url)
    store._owner = PostgresOwner(f"store={make_url(url).database!r}", patience_s=patience_s)
    return store


def _forget(store: PostgresStore) -> object:
    """Lose the connection as a cut cable does: the server does not know yet."""
    lost = store._engine, store._connection
    store._engine = store._connection = None
    return lost


def test_the_second_engine_is_refused_with_what_to_do(postgres_url: str, tmp_path: Path) -> None:
    with AuditLedger(postgres_url, tmp_path / "first.sqlite") as first:
        first.append(a_chain(3, first.open_stream("account:u1").stream))
        assert first.drain(10)
        with pytest.raises(StoreInUse, match=r"filled by another engine.*Stop that one, or") as no:
            AuditLedger(_store(postgres_url), tmp_path / "second.sqlite")
        assert "of role postgres" in str(no.value)
        assert PASSWORD not in str(no.value)
        assert first.count() == 3
    with AuditLedger(_store(postgres_url), tmp_path / "second.sqlite") as second:
        assert second.count() == 3, "the first let go at its end"


def test_an_engine_that_is_refused_leaves_the_schema_as_it_is(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _store(postgres_url)
    first.open()
    newer = {**schema.MIGRATIONS, 2: ("a step of a newer version", lambda _: None)}
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", newer)
        with pytest.raises(StoreInUse):
            _store(postgres_url).open()
    first.close()
    first.open()  # which still knows the schema
    first.close()
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    second = _store(postgres_url)
    second.open()
    second.close()
    monkeypatch.undo()
    with pytest.raises(NewerSchema):
        first.open()


def test_other_databases_of_the_server_are_free(postgres: Databases) -> None:
    stores = [_store(postgres.fresh_database()) for _ in range(2)]
    for store in stores:
        store.open()
        assert store.is_open
    for store in stores:
        store.close()


def test_an_engine_that_lost_its_connection_comes_back_by_itself(postgres_url: str) -> None:
    first, second = _store(postgres_url, patience_s=10), _store(postgres_url)
    first.open()
    lost = [_forget(first)]
    with pytest.raises(StoreInUse):
        second.open()
    first.open()
    lost.append(_forget(first))
    first.open()  # and once more
    assert first.insert_batch([row_of(r, NOW, False) for r in a_chain(3)]).inserted == 3
    with pytest.raises(StoreInUse):
        second.open()
    assert not second.is_open
    first.close()
    second.open()
    with pytest.raises(StoreInUse):  # who lost its place to another does not drive it out
        _impatient(first).open()
    assert second.count() == 3
    second.close()
    first.open()
    first.close()
    assert lost


def _impatient(store: PostgresStore) -> PostgresStore:
    number = store._owner.number
    store._owner = PostgresOwner("store", patience_s=0.05, number=lambda: number)
    return store


def _cut_off(ledger: AuditLedger) -> object:
    """End a ledger whose session goes on at the server, as when its machine's cable is cut."""
    assert isinstance(ledger._store, PostgresStore)
    lost = _forget(ledger._store)
    ledger.close()
    return lost


@pytest.mark.skipif(not _MACHINE_RUN.exists(), reason="this system does not name its runs")
def test_a_new_process_with_the_journal_ends_what_is_left_of_the_old_one(
    postgres_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "a" / "journal.sqlite"
    chain = a_chain(9)
    lost = []
    for end in (3, 6):
        ledger = AuditLedger(postgres_url, path)
        ledger.append(chain[:end])
        assert ledger.count() == end
        lost.append(_cut_off(ledger))
    with AuditLedger(postgres_url, path) as last:
        last.append(chain)
        assert last.count() == 9
    assert lost


def test_an_engine_on_a_copied_journal_is_refused_and_drives_nobody_out(
    postgres_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "a" / "journal.sqlite"
    with AuditLedger(postgres_url, path) as first:
        first.append(a_chain(3, first.open_stream("account:u1").stream))
    shutil.copytree(path.parent, tmp_path / "b")
    with AuditLedger(postgres_url, path) as first:
        session = first._store
        assert isinstance(session, PostgresStore)
        before = session._connection
        with pytest.raises(StoreInUse, match="filled by another engine"):
            AuditLedger(postgres_url, tmp_path / "b" / path.name)
        assert first.count() == 3
        assert session._connection is before


def test_a_session_of_ours_that_we_may_not_end_is_waited_for(
    postgres: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.fresh_database()
    kept = PostgresStore(url, owner_number=lambda: 7)
    kept.open()
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    role = f"other_{uuid4().hex}"
    with psycopg.connect(plain, autocommit=True) as administrator:
        administrator.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())
        administrator.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        try:
            other = make_url(url).set(username=role).render_as_string(hide_password=False)
            with pytest.raises(StoreInUse, match="of role postgres"):
                PostgresStore(other, deadline_s=1.0, owner_number=lambda: 7).open()
            assert "permission denied" in caplog.text
            assert kept.count() == 0
        finally:
            kept.close()
            administrator.execute(f"DROP OWNED BY {role}".encode())
            administrator.execute(f"DROP ROLE {role}".encode())


def test_a_server_that_was_away_is_taken_again(stoppable_postgres: PostgresServer) -> None:
    store = _store(stoppable_postgres.fresh_database())
    store.open()
    stoppable_postgres.stop("immediate")
    with pytest.raises(StoreUnavailable):
        store.count()
    stoppable_postgres.start()
    store.open()
    assert store.count() == 0
    store.close()


def test_readers_neither_wait_nor_are_waited_for(postgres_url: str) -> None:
    writer = _store(postgres_url)
    writer.open()
    readers = [ReadOnlyPostgres(postgres_url) for _ in range(2)]
    for reader in readers:
        reader.open()
    writer.close()
    writer.open()
    assert [reader.count() for reader in readers] == [0, 0]
    for reader in readers:
        reader.close()
    writer.close()
