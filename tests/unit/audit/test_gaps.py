from __future__ import annotations

from collections.abc import Iterator

import pytest

from audit.backlog import Backlog
from audit.gaps import StreamGap, described, find_gaps
from audit.journal import Journal
from audit.rows import SEQ, row_of
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, a_chain


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


@pytest.fixture
def store(journal: Journal) -> MemoryStore:
    """Ten records of one stream and three of another, all in journal and store."""
    store = MemoryStore()
    store.open()
    for user_id, count, first in (("u1", 10, 1), ("u2", 3, 50)):
        chain = a_chain(count, journal.open_stream(f"account:{user_id}").stream, first)
        journal.append(chain)
        store.insert_batch([row_of(record, NOW, False) for record in chain])
    return store


def _lose(store: MemoryStore, stream: str, *seqs: int) -> None:
    for event_id, row in list(store.rows.items()):
        if stream in row and row[SEQ] in seqs:
            del store.rows[event_id]


def test_a_whole_store_has_none(store: MemoryStore, backlog: Backlog) -> None:
    assert find_gaps(store, backlog, 13) == ()


def test_first_and_last_missing_of_each_stream_are_named(
    store: MemoryStore, backlog: Backlog
) -> None:
    _lose(store, "account:u1:1", 4, 5, 9)
    _lose(store, "account:u2:1", 3)
    assert find_gaps(store, backlog, 13) == (
        StreamGap("account:u1:1", 4, 9, 3),
        StreamGap("account:u2:1", 3, 3, 1),
    )


def test_a_stream_that_is_gone_is_one(store: MemoryStore, backlog: Backlog) -> None:
    _lose(store, "account:u2:1", 1, 2, 3)
    assert find_gaps(store, backlog, 13) == (StreamGap("account:u2:1", 1, 3, 3),)


def test_what_is_still_to_be_stored_is_none(store: MemoryStore, backlog: Backlog) -> None:
    _lose(store, "account:u2:1", 2, 3)
    assert find_gaps(store, backlog, 11) == ()


def test_what_was_set_aside_is_none(store: MemoryStore, backlog: Backlog) -> None:
    backlog.keep_apart(backlog.after(4, 1)[0], "refused")
    _lose(store, "account:u1:1", 5)
    assert find_gaps(store, backlog, 13) == ()
    _lose(store, "account:u1:1", 7)
    assert find_gaps(store, backlog, 13) == (StreamGap("account:u1:1", 7, 7, 1),)


def test_many_gaps_are_named_in_part() -> None:
    gaps = [StreamGap(f"account:u{n}:1", 1, 2, 2) for n in range(25)]
    assert described(gaps[:2]) == "account:u0:1@1..2 (2), account:u1:1@1..2 (2)"
    assert described(gaps).endswith("account:u19:1@1..2 (2) and in 5 more streams")
