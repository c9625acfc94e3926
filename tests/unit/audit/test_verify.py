from __future__ import annotations

import random

import pytest

from audit.chain import ChainHead, ChainWriter, SealedRecord, chain_hash
from audit.digests import Digests
from audit.rows import COLUMNS, EVENT_ID, HASH, Row, row_of
from audit.verify import VerifyReport, verify_store
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, a_chain

_VOLUME = COLUMNS.index("volume")
_PREVIOUS = COLUMNS.index("prev_hash")


@pytest.fixture
def store() -> MemoryStore:
    """Three streams: a long one, its successor, and another's."""
    store = MemoryStore()
    store.open()
    writer = ChainWriter("account:u1:9")
    records = a_chain(25, "account:u1:9", writer=writer)
    records += a_chain(3, "account:u1:10", 50, ChainWriter("account:u1:10", writer.head))
    records += a_chain(4, "account:u2:1", 70)
    random.Random(7).shuffle(records)
    _put(store, records)
    return store


def _put(store: MemoryStore, records: list[SealedRecord]) -> None:
    store.insert_batch([row_of(record, NOW, False) for record in records])


def _find(store: MemoryStore, stream: str, seq: int) -> Row:
    (row,) = store.read_streams([stream], seq - 1, seq)
    return row


def _alter(store: MemoryStore, stream: str, seq: int, column: int, value: object) -> None:
    row = _find(store, stream, seq)
    store.rows[row[EVENT_ID]] = (*row[:column], value, *row[column + 1 :])


def _remove(store: MemoryStore, stream: str, seq: int) -> None:
    del store.rows[_find(store, stream, seq)[EVENT_ID]]


def _found(report: VerifyReport, stream: str, seq: int, reason: str) -> None:
    assert report.problem is not None
    assert not report.ok
    assert (report.problem.stream, report.problem.seq) == (stream, seq)
    assert reason in report.problem.reason


@pytest.mark.parametrize("page", [1, 2, 7, 25, 1000])
def test_whole_chains_are_whole_whatever_the_page(store: MemoryStore, page: int) -> None:
    report = verify_store(store, page=page)
    assert (report.records, report.streams, report.ok) == (32, 3, True)


def test_an_empty_store_is_whole() -> None:
    store = MemoryStore()
    store.open()
    report = verify_store(store)
    assert (report.records, report.streams, report.ok) == (0, 0, True)


def test_a_report_without_digests_says_what_that_means(store: MemoryStore) -> None:
    (note,) = verify_store(store).notes
    assert "there are no digests" in note
    assert verify_store(store, digests=Digests()).notes == ()


@pytest.mark.parametrize("page", [5, 1000])
def test_an_altered_field_is_found(store: MemoryStore, page: int) -> None:
    _alter(store, "account:u1:9", 17, _VOLUME, 0.6)
    _found(verify_store(store, page=page), "account:u1:9", 17, "altered")


@pytest.mark.parametrize("page", [5, 1000])
@pytest.mark.parametrize("seq", [1, 2, 10, 24])
def test_a_removed_record_is_found(store: MemoryStore, page: int, seq: int) -> None:
    _remove(store, "account:u1:9", seq)
    _found(verify_store(store, page=page), "account:u1:9", seq + 1, "missing")


def test_a_removed_head_is_found_by_the_successor(store: MemoryStore) -> None:
    _remove(store, "account:u1:9", 25)
    _found(verify_store(store), "account:u1:9", 25, "account:u1:10@1 names it")


def test_a_removed_stream_is_found_by_the_successor(store: MemoryStore) -> None:
    for seq in range(1, 26):
        _remove(store, "account:u1:9", seq)
    _found(verify_store(store), "account:u1:9", 1, "and all up to number 25: account:u1:10@1")


def test_a_cut_tail_is_found_by_an_anchor(store: MemoryStore) -> None:
    head = store.extents()[2].head
    _remove(store, "account:u2:1", 4)
    assert verify_store(store).ok
    _found(verify_store(store, anchors=[head]), "account:u2:1", 4, "the journal names it")


def test_a_chain_made_anew_is_found_by_an_anchor(store: MemoryStore) -> None:
    head = store.extents()[2].head
    for seq in range(1, 5):
        _remove(store, "account:u2:1", seq)
    _put(store, a_chain(4, "account:u2:1", 90))
    assert verify_store(store).ok
    _found(verify_store(store, anchors=[head]), "account:u2:1", 4, "the hash that the journal")


def test_a_swapped_pair_is_found(store: MemoryStore) -> None:
    a, b = _find(store, "account:u2:1", 2), _find(store, "account:u2:1", 3)
    seq = COLUMNS.index("seq")
    store.rows[b[EVENT_ID]] = (*b[:seq], 2, *b[seq + 1 :])
    store.rows[a[EVENT_ID]] = (*a[:seq], 3, *a[seq + 1 :])
    _found(verify_store(store), "account:u2:1", 2, "does not cite")


def _successor(stream: str, cited: ChainHead) -> SealedRecord:
    number = 80 + int(stream.rpartition(":")[2])
    (record,) = a_chain(1, stream, number, ChainWriter(stream, cited))
    return record


def test_of_two_citations_the_one_that_does_not_fit_is_found(store: MemoryStore) -> None:
    _put(store, [_successor("account:u1:11", ChainHead("account:u1:9", 25, b"x" * 32))])
    _found(verify_store(store), "account:u1:11", 1, "cites another hash than account:u1:9@25")


def test_a_head_made_anew_is_found_by_its_successor(store: MemoryStore) -> None:
    _remove(store, "account:u1:9", 25)
    writer = ChainWriter("account:u1:9")
    *_, last = [*a_chain(24, writer=writer), *a_chain(1, "account:u1:9", 99, writer)]
    _put(store, [last])
    report = verify_store(store)
    _found(report, "account:u1:9", 25, "the hash that account:u1:10@1 names")
    assert report.problem is not None
    assert report.problem.event_id == last.event_id


def test_a_citation_of_an_earlier_record_than_the_last_is_checked(store: MemoryStore) -> None:
    fifth = _find(store, "account:u1:9", 5)[HASH]
    _put(store, [_successor("account:u1:11", ChainHead("account:u1:9", 5, fifth))])
    assert verify_store(store).ok
    _put(store, [_successor("account:u1:12", ChainHead("account:u1:9", 6, fifth))])
    _found(verify_store(store), "account:u1:9", 6, "the hash that account:u1:12@1 names")


@pytest.mark.parametrize("cited", ["account:u2:1", "account:u1:11", "account:u1:12", "nobody"])
def test_only_an_earlier_life_of_the_owner_can_be_cited(store: MemoryStore, cited: str) -> None:
    _put(store, [_successor("account:u1:11", ChainHead(cited, 4, b"x" * 32))])
    _found(verify_store(store), "account:u1:11", 1, "no record of the same owner before it")


def test_a_citation_without_a_name_is_found(store: MemoryStore) -> None:
    (record,) = a_chain(1, "account:u3:1", 80)
    linked = b"x" * 32
    _put(store, [record._replace(prev_hash=linked, hash=chain_hash(linked, record.body))])
    _found(verify_store(store), "account:u3:1", 1, "without naming it")


def test_an_altered_link_is_found(store: MemoryStore) -> None:
    _alter(store, "account:u2:1", 3, _PREVIOUS, b"y" * 32)
    _found(verify_store(store), "account:u2:1", 3, "does not cite")


@pytest.mark.parametrize("seqs", [(1,), (2, 3), (4,)])
def test_a_gap_that_a_record_set_aside_explains_is_none(
    store: MemoryStore, seqs: tuple[int, ...]
) -> None:
    head = store.extents()[2].head
    chain = a_chain(4, "account:u2:1", 70)
    for seq in seqs:
        _remove(store, "account:u2:1", seq)
    apart = [chain[seq - 1] for seq in seqs]
    assert not verify_store(store, anchors=[head]).ok
    assert verify_store(store, anchors=[head], apart=apart).ok
    damaged = [one._replace(body=one.body.replace(b"0.5", b"0.6")) for one in apart]
    _found(verify_store(store, anchors=[head], apart=damaged), "account:u2:1", seqs[0], "altered")
