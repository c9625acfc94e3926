from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pytest

from audit.backlog import Backlog, Waiting
from audit.chain import NO_HASH, ChainWriter
from audit.errors import JournalUnavailable
from audit.fill_batch import FillBatch, ReadAhead, TakenApart, prepare_process
from audit.journal import Journal
from audit.journal_file import connect
from audit.rows import EVENT_ID, SEQ, Listed, Row, sealed_of
from tests.unit.audit.samples import NOW, a_chain, a_close


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


def _numbers(rows: Iterable[Row]) -> list[int]:
    return [row[SEQ] for row in rows]


def test_records_are_taken_apart_and_the_damaged_is_named() -> None:
    first, second, third = a_chain(3)
    damaged = second._replace(body=second.body + b" ")
    apart = TakenApart.of(
        [Waiting(n, NOW, n == 2, *one) for n, one in enumerate([first, damaged, third])]
    )
    assert (apart.ordinals, apart.rows_from) == ([0, 1, 2], [0, 2])
    assert [row[EVENT_ID] for row in apart.rows] == [first.event_id, third.event_id]
    assert [row[:2] for row in apart.rows] == [(NOW, False), (NOW, True)]
    ((bad, reason),) = apart.unfit
    assert bad == 1
    assert "does not have the hash" in reason


@pytest.mark.parametrize("odd", [(), (0,), (9,), (4, 5), (0, 3, 9), tuple(range(10))])
@pytest.mark.parametrize("damaged", [(), (2,), (0, 6), (9,)])
def test_records_that_are_not_plain_are_taken_apart_in_their_place(
    odd: tuple[int, ...], damaged: tuple[int, ...]
) -> None:
    writer = ChainWriter("account:u1:1")
    closes = [
        replace(a_close(n), description="plötzlich" if n in odd else "suddenly") for n in range(10)
    ]
    records = [writer.seal(close) for close in closes]
    apart = TakenApart.of(
        [
            Waiting(n + 7, NOW, 0, *(one._replace(hash=NO_HASH) if n in damaged else one))
            for n, one in enumerate(records)
        ]
    )
    good = [n for n in range(10) if n not in damaged]
    assert apart.ordinals == list(range(7, 17))
    assert apart.rows_from == [n + 7 for n in good]
    assert [sealed_of(row) for row in apart.rows] == [records[n] for n in good]
    assert [ordinal for ordinal, _ in apart.unfit] == [n + 7 for n in damaged]


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (49, 49), (50, 50), (201, 201), (999, 293)])
@pytest.mark.parametrize("given_up_after", [None, 0, 1, 50, 120])
@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_a_batch_holds_the_same_however_often_one_goes_through_it(
    journal: Journal,
    backlog: Backlog,
    size: int,
    expected: int,
    given_up_after: int | None,
    ahead: int,
) -> None:
    journal.append(a_chain(300))
    batch = FillBatch(backlog, 7, size)
    for _ in range(ahead):
        batch.read_ahead()
    if given_up_after is not None:
        assert _numbers(islice(batch, given_up_after)) == [
            *range(8, 8 + min(expected, given_up_after))
        ]
    for _ in range(2):
        assert _numbers(batch) == [*range(8, 8 + expected)] == batch.ordinals == batch.rows_from
    assert batch.is_complete
    assert batch.is_full == (size == expected)


def test_a_batch_is_read_no_further_than_one_looks(journal: Journal, backlog: Backlog) -> None:
    journal.append(a_chain(300))
    batch = FillBatch(backlog, 0, 300)
    assert batch.ordinals == []
    rows = iter(batch)
    assert len(list(islice(rows, 50))) == 50
    assert len(batch.ordinals) == 50
    assert next(rows)[SEQ] == 51
    assert len(batch.ordinals) == 100


@pytest.mark.parametrize("number", [1, 30, 50, 51, 99, 100])
@pytest.mark.parametrize("is_gone", [True, False])
def test_what_changes_between_two_readings_makes_the_second_fail(
    journal: Journal, backlog: Backlog, number: int, is_gone: bool
) -> None:
    """Who goes through a batch again counts on the same rows, each in its place."""
    journal.append(a_chain(120))
    batch = FillBatch(backlog, 0, 100)
    assert len(list(batch)) == 100
    with closing(connect(journal.path)) as other:
        change = "DELETE FROM records" if is_gone else "UPDATE records SET body = x'00'"
        other.execute(f"{change} WHERE ordinal = ?", (number,))
    with pytest.raises(JournalUnavailable, match=r"records (1 to 50|51 to 100) changed"):
        list(batch)


def test_a_record_that_changed_before_it_was_read_is_left_out_each_time(
    journal: Journal, backlog: Backlog
) -> None:
    records = a_chain(120)
    journal.append([*records[:70], records[70]._replace(body=b"{}"), *records[71:]])
    batch = FillBatch(backlog, 0, 100)
    for _ in range(2):
        assert _numbers(batch) == [*range(1, 71), *range(72, 101)]


def test_what_comes_after_the_end_was_seen_belongs_to_the_next_batch(
    journal: Journal, backlog: Backlog
) -> None:
    """The store went home with what it had: what came later it does not have."""
    records = a_chain(9)
    reading = ReadAhead(backlog, 6)
    journal.append(records[:2])
    batch = reading.take(0)
    assert _numbers(batch) == [1, 2]
    journal.append(records[2:])
    assert not reading.read_on()
    assert not batch.read_on()
    assert batch.ordinals == [1, 2]
    assert _numbers(reading.take(2)) == [3, 4, 5, 6, 7, 8]


def test_what_is_read_ahead_of_the_store_completes_nothing(
    journal: Journal, backlog: Backlog
) -> None:
    records = a_chain(9)
    reading = ReadAhead(backlog, 6)
    journal.append(records[:2])
    batch = reading.take(0)
    assert reading.read_on()
    assert not reading.read_on()
    journal.append(records[2:])
    assert not reading.read_on(), "asked once, the journal is not asked again and again"
    assert _numbers(batch) == [1, 2, 3, 4, 5, 6]


def test_what_follows_a_full_batch_is_read_ahead(journal: Journal, backlog: Backlog) -> None:
    reading = ReadAhead(backlog, 120)
    records = a_chain(200)
    journal.append(records[:150])
    batch = reading.take(0)
    assert len(list(batch)) == 120
    assert reading.read_on()
    journal.append(records[150:])
    following = reading.take(120)
    assert len(following.ordinals) == 30, "read before it was asked for"
    assert _numbers(following) == list(range(121, 201))
    assert not following.is_full


def test_what_was_read_ahead_for_another_place_is_not_given_out(
    journal: Journal, backlog: Backlog
) -> None:
    reading = ReadAhead(backlog, 2)
    journal.append(a_chain(5))
    assert len(list(reading.take(0))) == 2
    assert reading.read_on()
    assert _numbers(reading.take(1)) == [2, 3]
    assert _numbers(reading.take(2)) == [3, 4]


@pytest.mark.parametrize("kind", [JournalUnavailable, ValueError, MemoryError])
def test_a_journal_that_cannot_be_read_ahead_is_met_by_who_needs_it(
    journal: Journal, backlog: Backlog, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    reading = ReadAhead(backlog, 100)
    journal.append(a_chain(100))
    batch = reading.take(0)
    assert next(iter(batch))[SEQ] == 1

    def fail(*_: object) -> list[Listed]:
        raise kind("the disk is gone")

    with monkeypatch.context() as failing:
        failing.setattr(backlog, "listed_after", fail)
        assert not reading.read_on()
        with pytest.raises(kind, match="the disk is gone"):
            list(batch)
        assert not batch.is_complete
    assert len(list(batch)) == 100


def test_nothing_is_read_on_before_a_batch_is_given_out(backlog: Backlog) -> None:
    assert not ReadAhead(backlog, 2).read_on()


def test_a_process_that_fills_hands_the_interpreter_over_soon() -> None:
    before = sys.getswitchinterval()
    try:
        prepare_process()
        assert sys.getswitchinterval() < 0.001
        assert gc.get_freeze_count() > 0
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()
