from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from audit.chain import ChainWriter
from audit.closes import result_of
from audit.errors import StoreInUse, StoreUnavailable
from audit.events import trigger_accepted
from audit.filler import FillPolicy
from audit.gaps import StreamGap
from audit.journal import Journal
from audit.ledger import AuditLedger
from audit.queries import RecordQuery
from audit.records import EventType
from tests.integration.audit.attacking import attacker
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
            "replace(meta_data::VARCHAR, '\"success\":true', '\"success\": true')::JSON "
            "WHERE seq = 4",
            4,
            "altered",
        ),
        (
            "UPDATE reconciliation_log SET occurred_at = occurred_at + INTERVAL '1 microsecond' "
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
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_tampering_is_found_and_the_first_bad_record_named(
    request: pytest.FixtureRequest,
    url: str,
    journal_path: Path,
    tampering: str,
    seq: int,
    reason: str,
    database: str,
) -> None:
    if database == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
    with AuditLedger(url, journal_path) as ledger:
        ledger.append(a_chain(8))
    with attacker(url) as run:
        run(tampering)
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
        assert (
            "lost 8 of the last records that it had committed: refilled"
            in ledger.status().alarms[0]
        )


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
        status = ledger.status()
        assert (status.backlog, status.store_open) == (0, False)
        assert status.last_error == "reading failed, StoreUnavailable: the store is away"
        assert ledger.count() == 1
        assert ledger.status().last_error is None
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


def _forget_all_but(journal_path: Path, whole: int) -> None:
    """Have the journal hold only its last records whole, as after a long life."""
    journal = Journal(journal_path)
    with journal.writing() as rows:
        rows.execute("UPDATE records SET body = NULL WHERE ordinal <= ?", (journal.newest - whole,))
    journal.close()


def test_what_a_damaged_store_lost_for_good_is_named(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        for name, count in (("u1", 8), ("u2", 4)):
            stream = ledger.open_stream(f"account:{name}").stream
            ledger.append(a_chain(count, stream, 100 * count))
    _forget_all_but(journal_path, 6)
    Path(url.removeprefix("duckdb:///")).write_bytes(b"no database" * 1000)
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.count() == 6
        moved, refilled, lost = ledger.status().alarms
        assert "could not be read" in moved
        assert "lost 6 of the last records that it had committed: refilled" in refilled
        assert "lacks 6 records" in lost
        assert "account:u1:1@1..6 (6)" in lost
        assert ledger.gaps() == (StreamGap("account:u1:1", 1, 6, 6),)
        assert ledger.status().missing == 6
        one, other = ledger.histories(["u1", "u2"])
        assert (one.is_complete, len(one.closes)) == (False, 2)
        assert (other.is_complete, len(other.closes)) == (True, 4)


def test_without_a_thread_nothing_moves_by_itself(journal_path: Path, clock: ManualClock) -> None:
    store = MemoryStore()
    policy = FillPolicy(batch=4, first_wait_s=0.5, checkpoint_s=30.0)
    before = threading.active_count()
    ledger = AuditLedger(store, journal_path, clock=clock, policy=policy, fills_by_itself=False)
    assert threading.active_count() == before
    ledger.append(a_chain(10))
    assert store.rows == {}
    assert [ledger.fill_step() for _ in range(3)] == [0, 0, 30.0]
    assert store.batches == [4, 4, 2]
    assert ledger.status().backlog == 0
    clock.us += 30_000_000
    assert ledger.fill_step() is None
    assert store.checkpoints == 1
    ledger.append(a_chain(3, "account:u2:1", 50))
    store.failures = 2
    assert [ledger.fill_step(), ledger.fill_step(), ledger.fill_step()] == [0.5, 1.0, 30.0]
    assert ledger.count() == 13
    assert ledger.verify().ok
    ledger.append(a_chain(3, "account:u3:1", 60))
    assert ledger.drain()
    assert ledger.close()


def test_without_a_thread_a_store_that_is_away_is_said_to_be(journal_path: Path) -> None:
    store = MemoryStore()
    ledger = AuditLedger(store, journal_path, fills_by_itself=False)
    ledger.append(a_chain(2))
    store.failures = 2
    with pytest.raises(StoreUnavailable, match="lacks 2 acknowledged records"):
        ledger.records()
    assert not ledger.drain()
    assert len(ledger.records()) == 2
    assert ledger.close()


def test_a_store_that_fails_in_mid_batch_gets_it_again(journal_path: Path) -> None:
    store = MemoryStore()
    ledger = AuditLedger(store, journal_path, fills_by_itself=False)
    records = a_chain(10)
    ledger.append(records)
    store.fails_after = 5
    ledger.fill_step()
    assert "in the middle of a batch" in str(ledger.status().last_error)
    assert store.rows == {}
    assert ledger.count() == 10
    assert store.rows.keys() == ids(records)
    assert ledger.close()


def test_appending_never_waits_for_a_slow_store(journal_path: Path) -> None:
    store = MemoryStore()
    begun, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        begun.set()
        assert go_on.wait(30)

    store.meanwhile = stand_still
    with AuditLedger(store, journal_path, policy=FillPolicy(linger_s=0.0)) as ledger:
        first = a_chain(5, ledger.open_stream("account:u1").stream)
        ledger.append(first)
        assert begun.wait(30)
        second = a_chain(5, ledger.open_stream("account:u2").stream, 50)
        assert ledger.append(second).acknowledged == ids(second)
        assert [len(one.closes) for one in ledger.histories(["u1", "u2"])] == [5, 5]
        assert ledger.status().backlog == 10
        go_on.set()
        assert ledger.count() == 10


def test_a_stream_of_records_set_aside_only_is_no_gap(ledger: AuditLedger) -> None:
    ledger.append(a_chain(2))
    for _ in range(2):
        opened = ledger.open_stream("account:u1")
        again = a_chain(2, opened.stream, 1, ChainWriter(opened.stream, opened.predecessor))
        assert len(ledger.append(again).set_aside) == 2
    assert ledger.verify().ok
    assert ledger.count() == 2
