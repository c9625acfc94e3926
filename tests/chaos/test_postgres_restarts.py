"""PostgreSQL stopped and started, and its backends killed, while a ledger fills it."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import psycopg
import pytest

from audit.chain import ChainWriter
from audit.filler import FillPolicy
from audit.ledger import AuditLedger
from audit.postgres_store import PostgresStore
from audit.store import StoreOpened
from tests.cluster.waiting import wait_until
from tests.postgres_fixtures import stoppable_postgres
from tests.postgres_server import PostgresServer
from tests.unit.audit.samples import a_close, ids

__all__ = ["stoppable_postgres"]

_POLICY = FillPolicy(
    batch=200, linger_s=0.0, checkpoint_rows=500, first_wait_s=0.02, longest_wait_s=0.2
)


class CountingStore(PostgresStore):
    """Counts how often it was opened."""

    openings = 0

    def open(self) -> StoreOpened:
        opened = super().open()
        self.openings += 1
        return opened


def _kill_a_backend(url: str) -> None:
    """SIGKILL the store's own backend; the server then restarts all of them by itself."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'risk-engine audit'"
        ).fetchall()
    for (pid,) in found:
        os.kill(pid, signal.SIGKILL)


def _endure(server: PostgresServer, folder: Path, *, troubles: int) -> None:
    url = server.fresh_database()
    draw = random.Random(7)
    number = 0
    store = CountingStore(url)
    with AuditLedger(store, folder / "journal.sqlite3", policy=_POLICY) as ledger:
        opened = ledger.open_stream("account:u1")
        writer = ChainWriter(opened.stream, opened.predecessor)

        def append(batches: int) -> None:
            nonlocal number
            for _ in range(batches):
                batch = [writer.seal(a_close(number + n)) for n in range(50)]
                number += 50
                assert ledger.append(batch).acknowledged == ids(batch)

        for trouble in range(troubles):
            opened_before = store.openings
            append(draw.randint(10, 30))
            if trouble % 2:
                _kill_a_backend(url)
            else:
                server.stop("immediate")
            append(5)
            server.start()
            wait_until(
                lambda before=opened_before: store.openings > before,  # type: ignore[misc]  # bound now
                what="nobody noticed that it was gone",
            )
        assert ledger.drain(60)
        assert store.openings > troubles
        assert ledger.count() == number
        assert ledger.verify().ok
        state = ledger.status()
        assert (state.missing, state.set_aside, state.backlog) == (0, 0, 0)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT event_id), max(seq) FROM reconciliation_log"
        ).fetchone()
    assert row == (number, number, number)


def test_a_stop_and_a_killed_backend_lose_nothing_and_double_nothing(
    stoppable_postgres: PostgresServer, tmp_path: Path
) -> None:
    _endure(stoppable_postgres, tmp_path, troubles=2)


@pytest.mark.slow
def test_twenty_stops_and_kills_lose_nothing_and_double_nothing(
    stoppable_postgres: PostgresServer, tmp_path: Path
) -> None:
    _endure(stoppable_postgres, tmp_path, troubles=20)
