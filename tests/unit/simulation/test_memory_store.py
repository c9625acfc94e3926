from __future__ import annotations

import pytest

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.memory_store import MemoryStore
from audit.chain import ChainWriter
from audit.errors import StoreUnavailable
from audit.events import plain_event
from audit.queries import RecordQuery
from audit.records import EventType
from audit.rows import EVENT_ID, Row, row_of


def rows(count: int, stream: str = "account:ann:1") -> list[Row]:
    chain = ChainWriter(stream)
    return [
        row_of(
            chain.seal(plain_event(EventType.GUARD_ALERT, "ann", stream, n, occurred_at=n + 1)),
            n + 1,
            False,
        )
        for n in range(count)
    ]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.open()
    return store


def test_rows_come_back_in_the_order_asked(store: MemoryStore) -> None:
    made = rows(3)
    assert store.insert_batch(made).inserted == 3
    assert store.insert_batch(made).known == 3
    assert store.query(RecordQuery()) == made
    assert store.query(RecordQuery(newest_first=True, limit=1)) == [made[2]]
    assert store.read_streams(["account:ann:1"], 1, 3) == made[1:]
    assert [(e.head.seq, e.count) for e in store.extents()] == [(3, 3)]


def test_a_crash_takes_what_was_not_checkpointed(store: MemoryStore) -> None:
    made = rows(3)
    store.insert_batch(made[:2])
    store.checkpoint()
    store.insert_batch(made[2:])
    store.crash(tail_lost=True)
    store.open()
    assert store.rows == made[:2]
    assert store.insert_batch(made[2:]).inserted == 1


def test_a_crash_without_loss_keeps_everything(store: MemoryStore) -> None:
    store.insert_batch(rows(2))
    store.crash(tail_lost=False)
    with pytest.raises(StoreUnavailable):
        store.count()
    store.open()
    assert store.count() == 2


def test_an_event_with_another_content_is_a_contradiction(store: MemoryStore) -> None:
    (one,) = rows(1)
    store.insert_batch([one])
    other = list(rows(1, "account:ann:2")[0])
    other[EVENT_ID] = one[EVENT_ID]
    report = store.insert_batch([tuple(other)])
    assert report.inserted == 0
    assert list(report.contradictions) == [one[EVENT_ID]]


def test_a_store_that_is_away_or_full_says_so(store: MemoryStore) -> None:
    store.is_full = True
    with pytest.raises(StoreUnavailable, match="full"):
        store.insert_batch(rows(1))
    store.is_away = True
    with pytest.raises(StoreUnavailable, match="away"):
        store.count()


def test_a_damaged_file_is_set_aside_and_begun_anew(store: MemoryStore) -> None:
    made = rows(2)
    store.insert_batch(made)
    store.is_damaged = True
    store.crash(tail_lost=False)
    opened = store.open()
    assert opened.set_aside is not None
    assert store.rows == []
    assert store.rows_set_aside == made


def test_what_was_set_aside_and_what_came_since_is_one_whole(store: MemoryStore) -> None:
    made = rows(3)
    store.insert_batch(made[:2])
    store.is_damaged = True
    store.crash(tail_lost=False)
    store.open()
    store.insert_batch(made[1:])
    assert store.rows == made[1:]
    whole = store.with_rows_set_aside()
    assert [(e.head.seq, e.count) for e in whole.extents()] == [(3, 3)]
    assert store.rows == made[1:]


def test_a_lost_tail_tells_whose_rows_it_took(store: MemoryStore) -> None:
    told: list[tuple[str, list[str]]] = []
    store.acted = lambda kind, users: told.append((kind, list(users)))
    made = rows(2)
    store.insert_batch(made[:1])
    store.checkpoint()
    store.crash(tail_lost=True)
    assert told == [(Disturbance.STORE_TAIL_LOST, [])]
    store.open()
    store.insert_batch(made)
    store.crash(tail_lost=True)
    assert told[1:] == [(Disturbance.STORE_TAIL_LOST, ["ann"])]
    assert store.rows == made[:1]


def test_a_damaged_file_tells_of_it_when_it_is_opened(store: MemoryStore) -> None:
    told: list[tuple[str, list[str]]] = []
    store.acted = lambda kind, users: told.append((kind, list(users)))
    store.insert_batch(rows(1))
    store.close()
    store.is_damaged = True
    assert told == []
    store.open()
    assert told == [(Disturbance.STORE_DAMAGED, ["ann"])]
