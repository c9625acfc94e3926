from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audit.backlog import Backlog, Waiting
from audit.fill_batch import ReadAhead, fill_batch
from audit.journal import Journal
from tests.unit.audit.samples import NOW, a_chain


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


def _waiting(count: int) -> list[Waiting]:
    return [Waiting(n, record, NOW, False) for n, record in enumerate(a_chain(count), 1)]


def _damaged(one: Waiting) -> Waiting:
    return one._replace(record=one.record._replace(body=one.record.body + b" "))


def test_records_are_taken_apart_and_the_damaged_is_named() -> None:
    first, second, third = _waiting(3)
    batch = fill_batch([first, _damaged(second), third])
    assert (len(batch.rows), batch.rows_from) == (2, [first, third])
    ((bad, reason),) = batch.unfit
    assert bad.ordinal == 2
    assert "does not have the hash" in reason


def _ordinals(ahead: ReadAhead, after: int) -> list[int]:
    return [one.ordinal for one in ahead.take(after).waiting]


def test_what_follows_a_full_batch_is_read_ahead(journal: Journal, backlog: Backlog) -> None:
    ahead = ReadAhead(backlog, 2, fewest_ahead=2)
    journal.append(a_chain(5))
    batch = ahead.take(0)
    ahead.begin(batch)
    ahead.settle()
    backlog.close()  # what is given out now was read before
    assert [one.ordinal for one in batch.waiting] == [1, 2]
    assert _ordinals(ahead, 2) == [3, 4]
    ahead.close()


def test_what_was_read_ahead_for_another_place_is_not_given_out(
    journal: Journal, backlog: Backlog
) -> None:
    ahead = ReadAhead(backlog, 2, fewest_ahead=2)
    journal.append(a_chain(5))
    ahead.begin(ahead.take(0))
    assert _ordinals(ahead, 0) == [1, 2]
    assert _ordinals(ahead, 2) == [3, 4]
    ahead.close()


def test_nothing_is_read_ahead_of_the_end_and_no_thread_stays(
    journal: Journal, backlog: Backlog
) -> None:
    before = set(threading.enumerate())
    ahead = ReadAhead(backlog, 2, fewest_ahead=2)
    journal.append(a_chain(3))
    ahead.begin(ahead.take(2))
    assert set(threading.enumerate()) == before
    journal.append(a_chain(6)[3:])
    assert _ordinals(ahead, 3) == [4, 5]
    ahead.begin(ahead.take(3))
    ahead.close()
    assert set(threading.enumerate()) <= before
    assert _ordinals(ahead, 5) == [6]


def test_small_batches_are_not_read_ahead(journal: Journal, backlog: Backlog) -> None:
    before = set(threading.enumerate())
    ahead = ReadAhead(backlog, 2)
    journal.append(a_chain(4))
    ahead.begin(ahead.take(0))
    assert set(threading.enumerate()) == before
    assert _ordinals(ahead, 2) == [3, 4]
