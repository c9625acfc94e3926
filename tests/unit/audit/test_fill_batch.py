from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audit.backlog import Backlog, Waiting
from audit.fill_batch import FillBatch, ReadAhead, read_batch
from audit.journal import Journal
from audit.rows import EVENT_ID
from tests.unit.audit.samples import NOW, a_chain


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


def test_records_are_taken_apart_and_the_damaged_is_named() -> None:
    first, second, third = a_chain(3)
    damaged = second._replace(body=second.body + b" ")
    batch = FillBatch()
    batch.take_apart([Waiting(n, one, NOW, False) for n, one in enumerate([first, damaged, third])])
    assert (batch.ordinals, batch.rows_from) == ([0, 1, 2], [0, 2])
    assert [row[EVENT_ID] for row in batch.rows] == [first.event_id, third.event_id]
    ((bad, reason),) = batch.unfit
    assert bad == 1
    assert "does not have the hash" in reason


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (499, 499), (500, 500), (1_001, 1_001)])
def test_a_batch_is_read_in_pieces_and_in_order(
    journal: Journal, backlog: Backlog, size: int, expected: int
) -> None:
    journal.append(a_chain(1_100))
    batch = read_batch(backlog, 7, size)
    assert batch.ordinals == list(range(8, 8 + expected)) == batch.rows_from
    assert len(read_batch(backlog, 600, size).rows) == min(expected, 500)
    assert read_batch(backlog, 1_100, size) == FillBatch()


def _ordinals(ahead: ReadAhead, after: int) -> list[int]:
    return ahead.take(after).ordinals


def test_what_follows_a_full_batch_is_read_ahead(journal: Journal, backlog: Backlog) -> None:
    ahead = ReadAhead(backlog, 2, fewest_ahead=2)
    journal.append(a_chain(5))
    batch = ahead.take(0)
    ahead.begin(batch)
    ahead.settle()
    backlog.close()  # what is given out now was read before
    assert batch.ordinals == [1, 2]
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


def test_where_nothing_followed_what_came_meanwhile_is_read(
    journal: Journal, backlog: Backlog
) -> None:
    ahead = ReadAhead(backlog, 2, fewest_ahead=2)
    journal.append(a_chain(2))
    ahead.begin(ahead.take(0))
    ahead.settle()  # there was nothing to read
    journal.append(a_chain(4)[2:])
    assert _ordinals(ahead, 2) == [3, 4]
    ahead.close()


def test_small_batches_are_not_read_ahead(journal: Journal, backlog: Backlog) -> None:
    before = set(threading.enumerate())
    ahead = ReadAhead(backlog, 2)
    journal.append(a_chain(4))
    ahead.begin(ahead.take(0))
    assert set(threading.enumerate()) == before
    assert _ordinals(ahead, 2) == [3, 4]
