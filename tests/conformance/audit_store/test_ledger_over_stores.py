"""The ledger fills any store, reads it, verifies it, and says what it lacks."""

from __future__ import annotations

from pathlib import Path

from audit.chain import ChainWriter
from audit.closes import result_of
from audit.ledger import AuditLedger
from audit.opening import make_store
from audit.queries import RecordQuery
from audit.rows import row_of
from tests.unit.audit.samples import NOW, a_chain, a_result, ids


def test_lives_go_on_over_restarts(url: str, journal_path: Path) -> None:
    for life in (1, 2, 3):
        with AuditLedger(url, journal_path) as ledger:
            opened = ledger.open_stream("account:u1")
            assert opened.incarnation == life
            writer = ChainWriter(opened.stream, opened.predecessor)
            records = a_chain(60, opened.stream, 100 * life, writer)
            assert ledger.append(records).acknowledged == ids(records)
            assert ledger.count() == 60 * life
            assert ledger.verify().ok
            (first,) = ledger.records(RecordQuery(position_id=f"p{100 * life}"))
            assert result_of(first).pnl == a_result(100 * life).pnl


def test_a_record_sent_again_after_a_restart_is_stored_once(url: str, journal_path: Path) -> None:
    records = a_chain(10)
    for _ in range(2):
        with AuditLedger(url, journal_path) as ledger:
            assert ledger.append(records).acknowledged == ids(records)
            assert ledger.count() == 10


def test_what_the_store_contradicts_is_set_aside_and_the_rest_stored(
    url: str, journal_path: Path
) -> None:
    store = make_store(url)
    records = a_chain(5)
    with AuditLedger(store, journal_path) as ledger:
        (stranger,) = a_chain(1, first=77)
        store.insert_batch([row_of(stranger, NOW, False)])  # past the journal
        ledger.append(records)
        assert ledger.drain()
        (apart,) = ledger.set_aside()
        assert apart.record == records[0]
        assert f"is taken by event {stranger.event_id}" in apart.reason
        assert ledger.count() == 5


def test_what_neither_store_nor_journal_has_is_a_gap_with_a_name(
    url: str, journal_path: Path
) -> None:
    with AuditLedger(url, journal_path) as ledger:
        chain = a_chain(9, ledger.open_stream("account:u1").stream)
        ledger.append(chain[:3])
    for file in journal_path.parent.glob(journal_path.name + "*"):
        file.unlink()
    with AuditLedger(url, journal_path) as ledger:
        ledger.append(chain[6:])
        assert ledger.drain()
        problem = ledger.verify().problem
        assert problem is not None
        assert problem.seq == 7
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.drain()
        assert [str(gap) for gap in ledger.gaps()] == ["account:u1:1@4..6 (3)"]
