"""What comes from the journal: read while the database works, and whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audit.backlog import Backlog
from audit.errors import JournalUnavailable
from audit.fill_batch import FillBatch, ReadAhead
from audit.filler import Filler, FillPolicy
from audit.journal import Journal
from audit.rows import Row
from audit.store import AuditStore
from tests.conformance.audit_store.test_storing import MANY, rows_of
from tests.unit.audit.samples import ManualClock, a_chain


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


@pytest.mark.parametrize("count", [3, MANY])
def test_a_batch_goes_in_as_it_is_read(
    store: AuditStore, journal: Journal, backlog: Backlog, count: int
) -> None:
    journal.append(a_chain(count + 5))
    assert store.insert_batch(FillBatch(backlog, 0, count)).inserted == count
    assert store.count() == count
    # Where some are known, the batch is gone through again.
    report = store.insert_batch(FillBatch(backlog, 0, count + 5))
    assert (report.inserted, report.known) == (5, count)
    assert [row[1:] for row in store.read_streams(["account:u1:1"], 0, count + 9)] == [
        row[1:] for row in rows_of(count + 5)
    ]


def test_an_empty_batch_is_nothing(store: AuditStore, backlog: Backlog) -> None:
    assert store.insert_batch(FillBatch(backlog, 0, 10)).inserted == 0
    assert store.count() == 0


@pytest.mark.parametrize("good", [0, 3, MANY])
def test_a_journal_that_fails_in_the_middle_leaves_nothing_behind(
    store: AuditStore, good: int
) -> None:
    rows = rows_of(good + 1)

    class Failing:
        def __iter__(self) -> Iterator[Row]:
            yield from rows[:good]
            raise JournalUnavailable("the disk is gone")

    with pytest.raises(JournalUnavailable, match="the disk is gone"):
        store.insert_batch(Failing())
    assert store.is_open
    assert store.count() == 0
    assert store.insert_batch(rows).inserted == good + 1


@pytest.mark.parametrize("count", [3, MANY])
def test_other_work_that_fails_loses_and_doubles_nothing(store: AuditStore, count: int) -> None:
    """It must not, but a bug in it should not cost a record."""
    rows = rows_of(count)

    def fail() -> bool:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        store.insert_batch(rows, fail)
    store.close()
    store.open()
    report = store.insert_batch(rows)
    assert report.inserted + report.known == count == store.count()


def test_the_next_batch_is_read_while_the_database_works(
    store: AuditStore, journal: Journal, backlog: Backlog
) -> None:
    journal.append(a_chain(3 * MANY))
    reading = ReadAhead(backlog, MANY)
    before = threading.get_ident()
    readers: set[int] = set()

    def meanwhile() -> bool:
        readers.add(threading.get_ident())
        return reading.read_on()

    assert store.insert_batch(reading.take(0), meanwhile).inserted == MANY
    assert readers == {before}
    following = reading.take(MANY)
    assert following.ordinals, "part of it was read already"
    assert store.insert_batch(following, meanwhile).inserted == MANY
    assert store.insert_batch(reading.take(2 * MANY), meanwhile).inserted == MANY
    assert store.count() == 3 * MANY


@pytest.mark.parametrize("size", [1, 3, 70, MANY, 1_000])
def test_what_is_appended_while_the_store_is_filled_is_stored_once(
    store: AuditStore, journal: Journal, backlog: Backlog, size: int
) -> None:
    """The fear: a record that comes while a batch is closed counts as stored, and is not."""
    total = 20 * size if size < MANY else 4_000
    records = a_chain(total)
    filler = Filler(backlog, store, clock=ManualClock(), policy=FillPolicy(batch=size))

    def append() -> None:
        for first in range(0, total, 7):
            journal.append(records[first : first + 7])

    appending = threading.Thread(target=append)
    appending.start()
    while appending.is_alive() or filler.committed < total:
        filler.step()
        assert filler.last_error is None
    appending.join()
    assert store.count() == total == filler.committed
    assert not filler.alarms
    assert filler.stop(10)
    store.open()
    assert store.count() == total
