from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.journal import Journal
from tests.unit.audit.samples import NOW, a_chain, ids


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal, keep_whole=2, keep_identities=4)
    yield backlog
    backlog.close()


def test_records_wait_in_order_and_are_dated(journal: Journal, backlog: Backlog) -> None:
    records = a_chain(5)
    journal.append(records)
    assert [one.record for one in backlog.after(2, 2)] == records[2:4]
    assert backlog.oldest_after(4) == NOW
    assert backlog.oldest_after(5) is None
    assert (backlog.newest, backlog.stored) == (5, 0)


def test_stored_records_are_forgotten_by_and_by(journal: Journal, backlog: Backlog) -> None:
    records = a_chain(10)
    journal.append(records)
    backlog.mark_stored(8)
    remembered = backlog.remembered(100)
    assert backlog.stored == 8
    assert [one.record for one in backlog.after(8, 100)] == records[8:]
    assert [(one.ordinal, one.is_whole) for one in remembered] == [
        (5, False),
        (6, False),
        (7, True),
        (8, True),
    ]
    assert [one.hash for one in remembered] == [one.hash for one in records[4:8]]
    assert [one.record for one in backlog.whole([5, 8])] == [records[7]]
    assert backlog.whole([]) == []


def test_a_remembered_record_is_recognised_and_a_forgotten_one_waits_again(
    journal: Journal, backlog: Backlog
) -> None:
    records = a_chain(10)
    journal.append(records)
    backlog.mark_stored(10)
    assert journal.append(records[6:]).acknowledged == ids(records[6:])
    assert backlog.after(10, 100) == []
    assert journal.append(records[:1]).acknowledged == ids(records[:1])
    assert [(one.ordinal, one.record) for one in backlog.after(10, 100)] == [(11, records[0])]


def test_ordinals_are_never_used_again(journal_path: Path) -> None:
    journal = Journal(journal_path)
    backlog = Backlog(journal, keep_whole=0, keep_identities=0)
    journal.append(a_chain(3))
    backlog.mark_stored(3)
    backlog.close()
    journal.close()
    journal = Journal(journal_path)
    backlog = Backlog(journal)
    journal.append(a_chain(1, first=9, stream="account:u9:1"))
    assert [one.ordinal for one in backlog.after(3, 10)] == [4]
    backlog.close()
    journal.close()


def test_merging_leaves_every_record(journal: Journal, backlog: Backlog) -> None:
    log = journal.path.with_name(journal.path.name + "-wal")
    for first in range(1, 1000, 100):
        journal.append(a_chain(100, f"account:u{first}:1", first))
        backlog.merge()
    assert len(backlog.after(0, 2_000)) == 1_000
    assert log.stat().st_size < 1_000_000  # merged and used again, not grown


def test_a_record_kept_apart_leaves_the_line(journal: Journal, backlog: Backlog) -> None:
    journal.append(a_chain(3))
    second = backlog.after(1, 1)[0]
    assert backlog.keep_apart(second, "why").reason == "why"
    assert [one.ordinal for one in backlog.after(0, 10)] == [1, 3]
    assert [item.record for item in journal.set_aside()] == [second.record]
