from __future__ import annotations

import random
from collections.abc import Collection, Iterator

import pytest

from audit.chain import ChainHead, ChainWriter, SealedRecord, chain_hash
from audit.digests import Digests, Named
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, Row, row_of
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
    for nothing in (None, Digests()):  # no file, and one that was emptied
        (note,) = verify_store(store, digests=nothing).notes
        assert "there are no digests" in note


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


def _digests(*lines: tuple[int, ChainHead]) -> Digests:
    """Digests as if read from a file: a time and one head each."""
    digests = Digests()
    for number, (at, head) in enumerate(lines, 1):
        digests.times[number] = at
        digests.named.setdefault(head.stream, {})[head.seq] = Named(head.hash, number)
    return digests


def _head(store: MemoryStore, stream: str, seq: int) -> ChainHead:
    return ChainHead(stream, seq, _find(store, stream, seq)[HASH])


@pytest.fixture
def digested(store: MemoryStore) -> Digests:
    """At 1000 u1's first life stood at 20, at 2000 u2's at 4; the rest came later."""
    return _digests(
        (1000, _head(store, "account:u1:9", 20)), (2000, _head(store, "account:u2:1", 4))
    )


@pytest.mark.parametrize("page", [2, 1000])
@pytest.mark.parametrize(
    ("since", "records", "assumed"), [(999, 32, 0), (1000, 12, 20), (1999, 12, 20), (2000, 8, 24)]
)
def test_since_hashes_only_what_came_after_a_digest(
    store: MemoryStore, digested: Digests, page: int, since: int, records: int, assumed: int
) -> None:
    report = verify_store(store, digests=digested, since=since, page=page)
    assert (report.ok, report.records, report.assumed) == (True, records, assumed)
    assert report.streams == 3
    assert report.assumed_since == (None if since < 1000 else since // 1000 * 1000)
    assert any("no digest is that old" in note for note in report.notes) == (since < 1000)


def test_since_without_digests_hashes_everything(store: MemoryStore) -> None:
    report = verify_store(store, since=NOW)
    assert (report.records, report.assumed, report.assumed_since) == (32, 0, None)
    assert "no digest is that old: every record was hashed" in report.notes


@pytest.mark.parametrize("recorded_at", [NOW, 1])
def test_since_finds_what_is_altered_after_the_digest_whenever_it_says_it_was_recorded(
    store: MemoryStore, digested: Digests, recorded_at: int
) -> None:
    _alter(store, "account:u1:9", 23, _VOLUME, 0.6)
    _alter(store, "account:u1:9", 23, COLUMNS.index("recorded_at"), recorded_at)
    _found(verify_store(store, digests=digested, since=2000), "account:u1:9", 23, "altered")


def test_since_assumes_what_is_before_the_digest(store: MemoryStore, digested: Digests) -> None:
    _alter(store, "account:u1:9", 7, _VOLUME, 0.6)
    assert verify_store(store, digests=digested, since=2000).ok
    _found(verify_store(store, digests=digested), "account:u1:9", 7, "altered")


@pytest.mark.parametrize("seq", [1, 7, 20, 21])
def test_since_finds_a_removed_record_on_either_side_of_the_digest(
    store: MemoryStore, digested: Digests, seq: int
) -> None:
    _remove(store, "account:u1:9", seq)
    report = verify_store(store, digests=digested, since=2000)
    _found(report, "account:u1:9", seq + 1, "a record is missing")


def test_since_finds_what_does_not_follow_on_the_digest(
    store: MemoryStore, digested: Digests
) -> None:
    _alter(store, "account:u1:9", 21, _PREVIOUS, b"y" * 32)
    report = verify_store(store, digests=digested, since=2000)
    _found(report, "account:u1:9", 21, "does not cite")


def test_since_finds_a_last_record_that_is_not_the_digests(
    store: MemoryStore, digested: Digests
) -> None:
    for seq in range(1, 5):
        _remove(store, "account:u2:1", seq)
    _put(store, a_chain(4, "account:u2:1", 90))
    report = verify_store(store, digests=digested, since=2000)
    _found(report, "account:u2:1", 4, "the hash that line 2 of the digests names")


@pytest.mark.parametrize("seq", [0, -1, -(2**62)])
def test_since_finds_a_removed_record_that_another_makes_up_for(
    store: MemoryStore, digested: Digests, seq: int
) -> None:
    """Their number is right, but for one that no writer gave."""
    _alter(store, "account:u2:1", 2, SEQ, seq)
    report = verify_store(store, digests=digested, since=2000)
    _found(report, "account:u2:1", seq, "was put in: numbers begin at 1")


def test_since_finds_a_stream_that_is_gone(store: MemoryStore, digested: Digests) -> None:
    for seq in range(1, 5):
        _remove(store, "account:u2:1", seq)
    report = verify_store(store, digests=digested, since=2000)
    _found(report, "account:u2:1", 1, "and all up to number 4: line 2 of the digests")


def test_since_does_not_count_records_that_were_set_aside_as_removed(
    store: MemoryStore, digested: Digests
) -> None:
    apart = [record for record in a_chain(4, "account:u2:1", 70) if record.seq == 2]
    _remove(store, "account:u2:1", 2)
    report = verify_store(store, digests=digested, since=2000, apart=apart)
    assert (report.ok, report.records) == (True, 11), "the stream's other three are hashed anew"


def test_since_finds_a_record_removed_beside_one_that_is_stored_and_set_aside(
    store: MemoryStore, digested: Digests
) -> None:
    """A record may suffer in the journal after it was stored, and then be in both."""
    apart = [record for record in a_chain(4, "account:u2:1", 70) if record.seq == 2]
    _remove(store, "account:u2:1", 3)
    report = verify_store(store, digests=digested, since=2000, apart=apart)
    _found(report, "account:u2:1", 4, "a record is missing")


def test_one_account_is_checked_with_the_supervisor(store: MemoryStore) -> None:
    _put(store, a_chain(3, "supervisor:1", 200))
    digests = _digests((1, ChainHead("account:u2:1", 9, b"x" * 32)))
    report = verify_store(store, digests=digests, user_id="u1")
    assert (report.ok, report.records, report.streams, report.notes) == (True, 31, 3, ())
    assert not verify_store(store, digests=digests, user_id="u2").ok
    _remove(store, "supervisor:1", 2)
    _found(verify_store(store, user_id="u1"), "supervisor:1", 3, "a record is missing")


def test_an_account_without_streams_is_told(store: MemoryStore) -> None:
    report = verify_store(store, digests=Digests(), user_id="nobody")
    assert (report.records, report.is_known) == (0, False)
    assert report.notes[-1] == "there is no stream of account 'nobody'"


@pytest.mark.parametrize("user_id", ["u1", None])
def test_streams_of_strange_names_are_no_error(store: MemoryStore, user_id: str | None) -> None:
    (record,) = a_chain(1, "account:u3:1", 300)
    row = row_of(record, NOW, False)
    place = COLUMNS.index("stream")
    store.insert_batch([(*row[:place], "brought in", *row[place + 1 :])])
    report = verify_store(store, user_id=user_id)
    assert report.ok == (user_id is not None)


def test_the_first_problem_is_the_one_that_was_written_first(store: MemoryStore) -> None:
    _alter(store, "account:u2:1", 1, _VOLUME, 0.6)
    _alter(store, "account:u1:10", 1, _VOLUME, 0.6)
    _alter(store, "account:u1:9", 24, _VOLUME, 0.6)
    report = verify_store(store)
    _found(report, "account:u1:9", 24, "altered")
    assert report.broken == 3


def test_a_record_behind_the_journals_last_was_put_in(store: MemoryStore) -> None:
    heads = [extent.head for extent in store.extents()]
    assert verify_store(store, newest=lambda: heads).ok
    last = _find(store, "account:u2:1", 4)
    fewer = [head if head.stream != "account:u2:1" else head._replace(seq=3) for head in heads]
    report = verify_store(store, newest=lambda: fewer)
    _found(report, "account:u2:1", 4, "was put in: the journal's last record")
    assert report.problem is not None
    assert report.problem.event_id == last[EVENT_ID]


def test_rows_that_come_while_it_reads_are_no_trouble() -> None:
    chain = a_chain(6, "account:u1:1")

    class Growing(MemoryStore):
        """Takes records 3 and 4 where the scan has been, and 5 and 6 where it has not."""

        def scan(
            self,
            *,
            streams: Collection[str] | None = None,
            recorded_since: int | None = None,
            page: int = 10_000,
        ) -> Iterator[list[Row]]:
            yield list(self.rows.values())
            _put(self, chain[2:])
            yield [_find(self, "account:u1:1", seq) for seq in (5, 6)]

    store = Growing()
    store.open()
    _put(store, chain[:2])
    report = verify_store(store)
    assert (report.ok, report.records) == (True, 6)
