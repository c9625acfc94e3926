"""What only PostgreSQL does: it goes away, it falls silent, it needs a password."""

from __future__ import annotations

import logging
import os
import signal
import socket

import pytest
from sqlalchemy import make_url

from audit.errors import StoreUnavailable
from audit.opening import make_store
from audit.postgres_reading import ReadOnlyPostgres
from audit.postgres_store import PostgresStore
from audit.rows import row_of
from tests.conformance.audit_store.outsider import run
from tests.integration.audit.silent_line import LineThatFallsSilent
from tests.postgres_fixtures import reachable_folder
from tests.postgres_server import PASSWORD, Databases, PostgresServer, running_postgres
from tests.property.test_password_secrecy import assert_kept
from tests.unit.audit.samples import NOW, a_chain

_SKIPPING = """
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF NEW.seq % 10 = 0 THEN RETURN NULL; END IF; RETURN NEW; END'
"""
_SKIP = (
    "CREATE TRIGGER skip BEFORE INSERT ON reconciliation_log FOR EACH ROW EXECUTE FUNCTION skip()"
)


def _backend(store: PostgresStore) -> int:
    connection = store._connection
    assert connection is not None
    pid = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    connection.rollback()
    return pid


def test_a_lost_server_closes_the_store_which_opens_again(
    stoppable_postgres: PostgresServer,
) -> None:
    rows = [row_of(record, NOW, False) for record in a_chain(3)]
    store = make_store(stoppable_postgres.fresh_database())
    store.open()
    store.insert_batch(rows)
    stoppable_postgres.stop("immediate")
    with pytest.raises(StoreUnavailable, match="cannot be used") as trouble:
        store.insert_batch(rows)
    assert_kept(trouble.value, PASSWORD)
    assert not store.is_open
    with pytest.raises(StoreUnavailable) as trouble:
        store.open()
    assert_kept(trouble.value, PASSWORD)
    stoppable_postgres.start()
    store.open()
    assert store.read_streams(["account:u1:1"], 0, 9) == rows
    store.close()


def test_a_server_that_falls_silent_is_cut_off(
    stoppable_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.postgres_session._GRACE_S", 0.0)
    store = PostgresStore(stoppable_postgres.fresh_database(), deadline_s=1.0)
    store.open()
    silent = _backend(store)
    os.kill(silent, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            store.count()
        assert not store.is_open
    finally:
        os.kill(silent, signal.SIGCONT)


@pytest.mark.parametrize("count", [1, 30, 3_000])
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_server_that_falls_silent_while_it_is_filled_is_cut_off(
    stoppable_postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    count: int,
    is_busy: bool,
) -> None:
    """Also if there is other work to do for as long as one waits."""
    monkeypatch.setattr("audit.postgres_session._GRACE_S", 0.0)
    store = PostgresStore(stoppable_postgres.fresh_database(), deadline_s=0.7)
    store.open()
    rows = [row_of(record, NOW, False) for record in a_chain(count)]
    silent = _backend(store)
    os.kill(silent, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            store.insert_batch(rows, lambda: is_busy)
        assert not store.is_open
    finally:
        os.kill(silent, signal.SIGCONT)
    assert "Traceback" not in caplog.text
    store.open()
    report = store.insert_batch(rows)  # it may have taken them when it woke up
    assert report.inserted + report.known == count == store.count()
    store.close()


def test_other_work_is_done_only_while_a_batch_waits(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    store.open()
    rows = [row_of(record, NOW, False) for record in a_chain(200)]
    done: list[int] = []

    def work() -> bool:
        done.append(1)
        return len(done) < 10_000

    assert store.insert_batch(rows, work).inserted == 200
    assert done
    count = len(done)
    assert store.count() == 200
    assert len(done) == count
    store.close()


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    store, other = PostgresStore(postgres_url, deadline_s=0.3), ReadOnlyPostgres(postgres_url)
    store.open()
    other.open()
    with other._transaction() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        connection.exec_driver_sql("LOCK TABLE reconciliation_log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            store.count()
    assert store.count() == 0
    store.close()
    other.close()


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        url = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{port}/db?connect_timeout=2"
        with pytest.raises(StoreUnavailable, match="timeout") as trouble:
            make_store(url).open()
    assert_kept(trouble.value, PASSWORD)


@pytest.mark.parametrize("answers", [1, 2, 3, 5, 8])
def test_a_server_that_falls_silent_while_the_store_is_opened_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """After the login, too, when libpq's own deadline is over."""
    monkeypatch.setattr("audit.postgres_session._GRACE_S", 0.0)
    with LineThatFallsSilent(postgres_url) as line:
        store = PostgresStore(line.url, deadline_s=0.5)
        line.answers_left = answers
        with pytest.raises(StoreUnavailable):
            store.open()
        assert line.is_silent
        assert not store.is_open
        line.speak_again()
        store.open()
        assert store.count() == 0
        store.close()


@pytest.mark.parametrize("count", [30, 100])
def test_rows_that_the_database_drops_without_a_word_are_not_called_stored(
    postgres_url: str, count: int
) -> None:
    rows = [row_of(record, NOW, False) for record in a_chain(count)]
    store = make_store(postgres_url)
    store.open()
    store.insert_batch(rows[:5])
    run(postgres_url, _SKIPPING)
    run(postgres_url, _SKIP)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"store='postgres.*look for triggers"):
            store.insert_batch(rows[5:])
    run(postgres_url, "DROP TRIGGER skip ON reconciliation_log")
    store.insert_batch(rows)
    assert store.count() == count
    store.close()


@pytest.mark.parametrize("count", [30, 100])
def test_a_row_that_somebody_elses_index_keeps_out_is_named(postgres_url: str, count: int) -> None:
    first, other = a_chain(count), a_chain(1, "account:u2:1", first=3)
    store = make_store(postgres_url)
    store.open()
    run(postgres_url, "CREATE UNIQUE INDEX mine ON reconciliation_log (ticket)")
    rows = [row_of(record, NOW, False) for record in [*first, *other]]
    with pytest.raises(StoreUnavailable, match=f"event {other[0].event_id} out.*unique indexes"):
        store.insert_batch(rows)
    run(postgres_url, "DROP INDEX mine")
    store.insert_batch(rows)
    assert store.count() == count + 1
    store.close()


def test_a_wrong_password_is_not_shown(postgres: Databases, postgres_url: str) -> None:
    wrong = "Zq 'wrong\\7"
    url = make_url(postgres_url).set(password=wrong).render_as_string(hide_password=False)
    store = make_store(url)
    with pytest.raises(
        StoreUnavailable, match=r"password authentication failed.*; check .*user"
    ) as trouble:
        store.open()
    assert_kept(trouble.value, wrong)
    assert wrong not in repr(store)


def test_commits_wait_for_the_disk_whatever_the_server_does_by_itself(
    caplog: pytest.LogCaptureFixture, stoppable_postgres: PostgresServer
) -> None:
    assert stoppable_postgres.is_running  # where there is none, this skips
    settings = {"synchronous_commit": "off", "fsync": "off"}
    with reachable_folder() as folder, running_postgres(folder, settings) as server:
        store = PostgresStore(server.fresh_database())
        with caplog.at_level(logging.WARNING):
            store.open()
        assert store._connection is not None
        shown = store._connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        store.close()
    assert shown == "on"
    assert "fsync=off" in caplog.text
    assert PASSWORD not in caplog.text
