from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from audit.chain import ChainWriter
from audit.closes import result_of
from audit.errors import StoreInUse, StoreUnavailable
from audit.events import trigger_accepted
from audit.filler import FillPolicy
from audit.journal import Journal
from audit.ledger import AuditLedger
from audit.queries import RecordQuery
from audit.records import EventType
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, ManualClock, a_chain, a_result, a_trigger, ids


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"duckdb:///{tmp_path}/audit.duckdb"


@pytest.fixture
def ledger(url: str, journal_path: Path, clock: ManualClock) -> Iterator[AuditLedger]:
    with AuditLedger(url, journal_path, clock=clock) as ledger:
        yield ledger


def test_a_reader_sees_what_was_acknowledged(ledger: AuditLedger) -> None:
    stream = ledger.open_stream("account:u1").stream
    records = a_chain(20, stream)
    ledger.append(records)
    assert ledger.count() == 20
    first, *_ = ledger.records(RecordQuery(position_id="p1"))
    assert (first.recorded_at, first.late, first.seq) == (NOW, False, 1)
    back = result_of(first)
    assert (back.pnl, back.closed_price, back.durable) == (a_result().pnl, 1.20001, True)
    assert len(ledger.records()) == 20


def test_chains_are_verified_up_to_the_last_record(ledger: AuditLedger) -> None:
    streams = ledger.open_streams([f"account:u{n}" for n in range(5)])
    for number, opened in enumerate(streams):
        ledger.append(a_chain(4, opened.stream, 10 * number))
    report = ledger.verify()
    assert (report.records, report.streams, report.ok) == (20, 5, True)


def test_lives_go_on_over_restarts(url: str, journal_path: Path) -> None:
    for life in (1, 2, 3):
        with AuditLedger(url, journal_path) as ledger:
            opened = ledger.open_stream("account:u1")
            assert opened.incarnation == life
            writer = ChainWriter(opened.stream, opened.predecessor)
            ledger.append(a_chain(3, opened.stream, 10 * life, writer))
            assert ledger.verify().ok
            assert ledger.count() == 3 * life


def test_a_lost_journal_does_not_number_lives_anew(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        head = ChainWriter(ledger.open_stream("account:u1").stream)
        ledger.append(a_chain(3, writer=head))
    journal_path.unlink()
    with AuditLedger(url, journal_path) as ledger:
        opened = ledger.open_stream("account:u1")
        assert (opened.incarnation, opened.predecessor) == (2, head.head)
        writer = ChainWriter(opened.stream, opened.predecessor)
        ledger.append(a_chain(3, opened.stream, 10, writer))
        assert ledger.verify().ok


def test_a_record_sent_again_after_a_restart_is_stored_once(url: str, journal_path: Path) -> None:
    records = a_chain(10)
    for _ in range(2):
        with AuditLedger(url, journal_path) as ledger:
            assert ledger.append(records).acknowledged == ids(records)
            assert ledger.count() == 10


def test_open_episodes_are_found_after_a_restart(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        writer = ChainWriter(ledger.open_stream("supervisor").stream)
        ledger.append([writer.seal(trigger_accepted(a_trigger(), occurred_at=NOW))])
    with AuditLedger(url, journal_path) as ledger:
        assert [one.trigger_id for one in ledger.open_episodes()] == ["trigger-1"]
        (record,) = ledger.records(RecordQuery(event_types=(EventType.TRIGGER_ACCEPTED,)))
        assert record.trigger_id == "trigger-1"


def test_a_contradiction_is_reported_and_no_gap(
    ledger: AuditLedger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.append(a_chain(2))
    opened = ledger.open_stream("account:u1")
    later = a_chain(3, opened.stream, 2, ChainWriter(opened.stream, opened.predecessor))
    receipt = ledger.append(later)
    assert [item.record for item in receipt.set_aside] == [later[0]]
    assert ledger.status().set_aside == 1
    assert ledger.set_aside() == receipt.set_aside
    assert "was set aside" in caplog.text
    assert ledger.verify().ok
    assert ledger.count() == 4


@pytest.mark.parametrize(
    ("tampering", "seq", "reason"),
    [
        ("UPDATE reconciliation_log SET pnl = pnl + 1 WHERE seq = 4", 4, "altered"),
        (
            "UPDATE reconciliation_log SET meta_data = "
            "replace(meta_data::VARCHAR, '\"success\":true', '\"success\": true') WHERE seq = 4",
            4,
            "altered",
        ),
        (
            "UPDATE reconciliation_log SET occurred_at = occurred_at + INTERVAL 1 MICROSECOND "
            "WHERE seq = 4",
            4,
            "altered",
        ),
        ("DELETE FROM reconciliation_log WHERE seq = 4", 5, "missing"),
        ("DELETE FROM reconciliation_log WHERE seq = 8", 8, "the journal names it"),
        (
            "UPDATE reconciliation_log SET event_id = gen_random_uuid() WHERE seq = 4",
            4,
            "altered",
        ),
    ],
)
def test_tampering_is_found_and_the_first_bad_record_named(
    url: str, journal_path: Path, tampering: str, seq: int, reason: str
) -> None:
    with AuditLedger(url, journal_path) as ledger:
        ledger.append(a_chain(8))
    with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
        for trigger in ("update", "delete"):
            connection.execute(
                f"DROP TRIGGER reconciliation_log_no_{trigger} ON reconciliation_log"
            ).fetchall()
        connection.execute("CREATE TABLE copy AS FROM reconciliation_log").fetchall()
        connection.execute("DROP TABLE reconciliation_log").fetchall()
        connection.execute("ALTER TABLE copy RENAME TO reconciliation_log").fetchall()
        connection.execute(tampering).fetchall()
    journal = Journal(journal_path)
    with journal.writing() as rows:
        rows.execute("UPDATE records SET body = NULL")  # nothing left to refill from
    journal.close()
    with AuditLedger(url, journal_path) as ledger:
        problem = ledger.verify().problem
    assert problem is not None
    assert (problem.stream, problem.seq) == ("account:u1:1", seq)
    assert reason in problem.reason


def test_a_row_deleted_behind_our_back_is_refilled_from_the_journal(
    url: str, journal_path: Path
) -> None:
    with AuditLedger(url, journal_path) as ledger:
        ledger.append(a_chain(8))
    Path(url.removeprefix("duckdb:///")).unlink()
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.count() == 8
        assert ledger.verify().ok
        assert "lost 8 of its last records: refilled" in ledger.status().alarms[0]


def test_a_damaged_store_is_set_aside_alarmed_and_rebuilt(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        ledger.append(a_chain(8))
    path = Path(url.removeprefix("duckdb:///"))
    path.write_bytes(b"no database" * 1000)
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.count() == 8
        assert "could not be read" in ledger.status().alarms[0]
    assert len(list(path.parent.glob("audit.duckdb.damaged-*"))) == 1


def test_two_engines_on_one_store_are_refused(
    ledger: AuditLedger, tmp_path: Path, journal_path: Path
) -> None:
    class Owned(MemoryStore):
        def open(self) -> NoReturn:
            raise StoreInUse("another process")

    with pytest.raises(StoreInUse):
        AuditLedger(Owned(), tmp_path / "other.sqlite3")
    Journal(tmp_path / "other.sqlite3").close()


def test_with_a_blank_journal_the_store_must_be_there(journal_path: Path) -> None:
    store = MemoryStore()
    store.failures = 1
    with pytest.raises(StoreUnavailable):
        AuditLedger(store, journal_path)
    with AuditLedger(store, journal_path) as ledger:
        ledger.append(a_chain(1))
    store.failures = 1
    with AuditLedger(store, journal_path, policy=FillPolicy(first_wait_s=0.001)) as ledger:
        assert ledger.drain(10)


def test_while_the_store_is_away_appending_goes_on_and_reading_says_why(
    journal_path: Path, clock: ManualClock
) -> None:
    store = MemoryStore()
    ledger = AuditLedger(store, journal_path, clock=clock)
    store.failures = 1_000_000
    records = a_chain(5)
    assert ledger.append(records).acknowledged == ids(records)
    clock.us += 2_000_000
    with pytest.raises(StoreUnavailable, match=r"lacks 5 acknowledged records.*store is away"):
        ledger.records(timeout=0.05)
    status = ledger.status()
    assert (status.backlog, status.lag_s) == (5, 2.0)
    assert not ledger.close(0.01)
    assert not ledger.close()
    store.failures = 0
    with AuditLedger(store, journal_path, clock=clock) as again:
        assert again.count() == 5
        assert again.status().backlog == 0


def test_a_failed_read_has_the_store_opened_anew(journal_path: Path) -> None:
    store = MemoryStore()
    with AuditLedger(store, journal_path) as ledger:
        ledger.append(a_chain(1))
        assert ledger.drain(10)
        opened = store.opened
        store.failures = 1
        with pytest.raises(StoreUnavailable):
            ledger.count()
        assert ledger.count() == 1
        assert store.opened == opened + 1


def test_one_appends_while_another_reads(ledger: AuditLedger) -> None:
    counts: list[int] = []
    records = a_chain(200)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            counts.append(ledger.count())
            assert ledger.verify().ok

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 200, 5):
        ledger.append(records[start : start + 5])
    done.set()
    reader.join(30)
    assert counts == sorted(counts)
    assert ledger.count() == 200
