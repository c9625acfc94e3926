from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import NO_HASH
from audit.errors import StoreUnavailable
from audit.filler import Filler, FillPolicy
from audit.gaps import StreamGap
from audit.journal import Journal
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import ManualClock, a_chain, ids


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal, keep_whole=5, keep_identities=50)
    yield backlog
    backlog.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def _filler(backlog: Backlog, store: MemoryStore, clock: ManualClock, **policy: float) -> Filler:
    return Filler(backlog, store, clock=clock, policy=FillPolicy(**policy))  # type: ignore[arg-type]  # ints are given as floats


def test_records_move_in_order_and_in_batches(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock, batch=4)
    records = a_chain(10)
    journal.append(records)
    assert [filler.step(), filler.step()] == [0, 0]
    assert filler.committed == 8
    assert filler.step() == 30.0
    assert store.batches == [4, 4, 2]
    assert list(store.rows) == [one.event_id for one in records]


def test_the_journal_forgets_only_after_a_checkpoint(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    journal.append(a_chain(10))
    filler.step()
    assert (filler.committed, backlog.stored, store.checkpoints) == (10, 0, 0)
    assert len(backlog.after(0, 100)) == 10
    clock.us += 29_000_000
    assert filler.step() == pytest.approx(1.0)
    assert store.checkpoints == 0
    clock.us += 1_000_000
    assert filler.step() is None
    assert (backlog.stored, store.checkpoints) == (10, 1)
    assert len(backlog.after(0, 100)) == 5
    assert filler.step() is None
    assert store.checkpoints == 1


def test_many_rows_bring_the_checkpoint_forward(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock, checkpoint_rows=10)
    journal.append(a_chain(10))
    filler.step()
    assert (backlog.stored, store.checkpoints) == (10, 1)


def test_what_a_crash_of_the_store_lost_is_filled_again(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    records = a_chain(10)
    journal.append(records)
    filler.step()
    store.crash()
    filler.distrust(StoreUnavailable("crashed"))
    assert filler.drain(1)
    assert not filler.last_error
    assert store.rows.keys() == ids(records)


def test_pauses_grow_while_the_store_is_away_and_nothing_is_lost(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock, first_wait_s=0.1, longest_wait_s=1.0)
    records = a_chain(3)
    journal.append(records)
    store.failures = 6
    pauses = [filler.step() for _ in range(6)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert filler.last_error == "StoreUnavailable: the store is away"
    assert not store.rows
    assert filler.drain(1)
    assert store.rows.keys() == ids(records)


def test_a_store_that_fails_between_commit_and_checkpoint_keeps_the_journal_whole(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock, checkpoint_rows=5)
    records = a_chain(5)
    journal.append(records)
    filler.open_store()
    original = store.checkpoint

    def fail() -> None:
        raise StoreUnavailable("disk full")

    store.checkpoint = fail  # type: ignore[method-assign]  # one failure
    filler.step()
    assert backlog.stored == 0
    store.checkpoint = original  # type: ignore[method-assign]  # healed
    store.crash()
    filler.step()
    assert backlog.stored == 5
    assert store.rows.keys() == ids(records)


def test_an_unexpected_error_is_shown_and_tried_again(
    journal: Journal,
    backlog: Backlog,
    store: MemoryStore,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    filler = _filler(backlog, store, clock)
    journal.append(a_chain(1))
    original = store.insert_batch

    def fail(*_: object) -> None:
        raise KeyError("a bug")

    store.insert_batch = fail  # type: ignore[method-assign,assignment]  # one failure
    assert filler.step() == pytest.approx(0.1)
    assert filler.last_error == "KeyError: 'a bug'"
    assert "Traceback" in caplog.text
    store.insert_batch = original  # type: ignore[method-assign]  # healed
    assert filler.drain(1)


def test_a_row_that_the_store_refuses_is_set_aside_alone(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    records = a_chain(9)
    journal.append(records)
    store.refused = {records[4].event_id, records[8].event_id}
    assert filler.drain(1)
    assert store.rows.keys() == ids(records) - store.refused
    assert {item.record.event_id for item in journal.set_aside()} == store.refused
    assert len(filler.alarms) == 2
    assert "account:u1:1@5" in filler.alarms[0]


def test_a_damaged_body_is_set_aside(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    good, bad = a_chain(2)
    journal.append([good, bad._replace(body=bad.body.replace(b"0.5", b"0.6"))])
    assert filler.drain(1)
    assert list(store.rows) == [good.event_id]
    assert "does not have the hash" in journal.set_aside()[0].reason


def test_a_contradiction_found_by_the_store_is_set_aside(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    first = a_chain(60)
    journal.append(first)
    filler.step()
    clock.us += 30_000_000
    filler.step()
    other = a_chain(1, "account:u1:2")
    assert journal.append(other).acknowledged  # forgotten by the journal, known to the store
    assert filler.drain(1)
    assert [item.record for item in journal.set_aside()] == other
    assert len(store.rows) == 60


def test_records_set_aside_do_not_stay_in_the_line(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock)
    journal.append(a_chain(2))
    for one in backlog.after(0, 2):
        backlog.keep_apart(one, "as a step does that fails afterwards")
    assert filler.drain(1)
    assert filler.committed == 2


def test_the_number_of_a_record_that_was_set_aside_is_not_given_out_again(
    journal_path: Path, store: MemoryStore, clock: ManualClock
) -> None:
    """Or its next bearer would count as stored, and as lost when the store is compared."""
    *good, bad = a_chain(3)
    journal = Journal(journal_path, clock=clock)
    backlog = Backlog(journal)
    journal.append([*good, bad._replace(hash=NO_HASH)])
    filler = _filler(backlog, store, clock)
    filler.step()
    assert (len(filler.alarms), backlog.given, backlog.stored) == (1, 3, 0)
    backlog.close()
    journal.close()  # before any checkpoint, as when it is killed

    journal = Journal(journal_path, clock=clock)
    backlog = Backlog(journal)
    later = a_chain(2, "account:u1:2", first=50)
    journal.append(later)
    filler = _filler(backlog, store, clock)
    assert filler.drain(1)
    assert not filler.alarms
    assert store.rows.keys() == ids([*good, *later])
    assert journal.newest == 5
    backlog.close()
    journal.close()


def test_the_lost_end_of_a_store_is_refilled_as_far_as_the_journal_reaches(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filler = _filler(backlog, store, clock, checkpoint_rows=1)
    records = a_chain(20)
    journal.append(records)
    assert filler.drain(1)
    assert backlog.stored == 20
    for record in records[12:]:
        del store.rows[record.event_id]
    again = _filler(backlog, store, clock)
    again.open_store()
    assert store.rows.keys() == ids(records[:12] + records[15:])
    assert again.missing == 3
    assert "lost 5 of the last records that it had committed: refilled" in again.alarms[0]
    assert again.gaps == (StreamGap("account:u1:1", 13, 15, 3),)
    assert "lacks 3 records" in again.alarms[1]
    assert "account:u1:1@13..15 (3)" in again.alarms[1]


def test_the_thread_fills_drains_and_stops(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    before = set(threading.enumerate())
    filler = _filler(backlog, store, clock, linger_s=60.0)
    filler.start()
    records = a_chain(10)
    for record in records:
        journal.append([record])
        filler.notify()
    assert filler.drain(10)
    assert store.rows.keys() == ids(records)
    assert filler.stop(10)
    assert backlog.stored == 10
    assert set(threading.enumerate()) <= before


def test_a_burst_becomes_one_batch_without_being_asked_for(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    filled = threading.Event()
    original = store.insert_batch

    def insert(rows: object, *_: object) -> object:
        report = original(rows)  # type: ignore[arg-type]  # passed through
        filled.set()
        return report

    store.insert_batch = insert  # type: ignore[method-assign,assignment]  # watched
    filler = _filler(backlog, store, clock, linger_s=0.05)
    filler.start()
    journal.append(a_chain(10))
    filler.notify()
    assert filled.wait(10)
    assert filler.stop(10)
    assert sum(store.batches) == 10


def test_stopping_without_the_store_says_so_and_keeps_the_journal(
    journal: Journal, backlog: Backlog, store: MemoryStore, clock: ManualClock
) -> None:
    store.failures = 1_000_000
    filler = _filler(backlog, store, clock)
    filler.start()
    journal.append(a_chain(3))
    assert not filler.stop(0.01)
    assert len(backlog.after(0, 10)) == 3
