"""What someone with write access does to the database, and whether verifying names it.

Each test writes straight with SQL, and knows which record must be named first.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from audit.chain import NO_HASH, ChainWriter
from audit.digests import read_digests
from audit.ledger import AuditLedger
from audit.offline import open_trail
from audit.opening import open_store
from audit.rows import COLUMNS, SEQ, STREAM
from audit.verify import VerifyReport, verify_store
from tests.integration.audit.attacking import (
    altered,
    attacker,
    digests_made_anew,
    made_anew,
    put,
    records_of,
)
from tests.unit.audit.samples import a_chain

ANN, ANN_LATER, BOB = "account:ann:1", "account:ann:2", "account:bob:1"


@dataclass(frozen=True)
class Kept:
    """A trail that an engine left: ann's two lives of 6 and 4 records, and bob's of 5."""

    url: str
    digests: Path
    journal: Path
    events: dict[tuple[str, int], str]

    def verified(self, digests: Path | None = None) -> VerifyReport:
        """Verify the store against the digests, and nothing else."""
        store = open_store(self.url)
        try:
            return verify_store(store, digests=read_digests(digests or self.digests), page=4)
        finally:
            store.close()

    def verified_alone(self) -> VerifyReport:
        """Verify the chains with nothing to hold them against."""
        store = open_store(self.url)
        try:
            return verify_store(store)
        finally:
            store.close()

    def finds(self, stream: str, seq: int, reason: str, event: str | None = None) -> None:
        """Verify, and expect one record to be named; by default the one that was there."""
        report = self.verified()
        assert report.problem is not None
        assert not report.ok
        assert (report.problem.stream, report.problem.seq) == (stream, seq)
        assert reason in report.problem.reason
        assert report.problem.event_id == (self.events[stream, seq] if event is None else event)
        text = str(report.problem)
        assert f"{stream}@{seq}" in text
        assert report.problem.event_id in text


@pytest.fixture(params=["duckdb", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    else:
        url = f"duckdb:///{tmp_path}/audit.duckdb"
    digests, journal = tmp_path / "kept" / "digests.jsonl", tmp_path / "journal.sqlite"
    with AuditLedger(url, journal, digests=digests) as ledger:
        ann, bob = ledger.open_streams(["account:ann", "account:bob"])
        writer = ChainWriter(ann.stream)
        ledger.append(a_chain(6, ann.stream, 1, writer))
        ledger.append(a_chain(5, bob.stream, 50))
        later = ledger.open_stream("account:ann")
        ledger.append(a_chain(4, later.stream, 80, ChainWriter(later.stream, later.predecessor)))
    events = {place: record.event_id for place, record in records_of(url).items()}
    return Kept(url, digests, journal, events)


def test_a_trail_that_nobody_touched_is_whole(kept: Kept) -> None:
    report = kept.verified()
    assert (report.ok, report.records, report.streams, report.digests) == (True, 15, 3, 1)
    assert report.notes == ()
    with closing(open_trail(kept.url, kept.journal)) as trail:
        assert trail.verification(digests=read_digests(kept.digests)).ok


ANOTHER_EVENT = "00000000-0000-5000-8000-000000000001"
FIELDS = {
    "attempts": "2",
    "close_id": "'another'",
    "close_reason": "NULL",
    "closed_price": "closed_price + 1e-9",
    "config_hash": "'another'",
    "description": "'another'",
    "event_id": f"'{ANOTHER_EVENT}'",
    "event_type": "'guard_alert'",
    "filled_at": "NULL",
    "hash": "prev_hash",
    "hash_version": "2",
    "incarnation": "2",
    "initiator": "'someone'",
    "meta_data": "'{}'",
    "occurred_at": "occurred_at + INTERVAL '1 microsecond'",
    "outcome": "'partial'",
    "pnl": "-pnl",
    "position_id": "'p9'",
    "predecessor": "'account:ann:0@1'",
    "request_fingerprint": "''",
    "sent_at": "filled_at",
    "status": "1",
    "symbol": "'EURUSD'",
    "ticket": "NULL",
    "trigger_id": "NULL",
    "user_id": "'bob'",
    "version": "'9'",
    "volume": "'NaN'",
}


def test_an_altered_field_whichever(kept: Kept) -> None:
    original = records_of(kept.url)[ANN, 3]
    for column, value in FIELDS.items():
        with attacker(kept.url) as run:
            run(f"UPDATE reconciliation_log SET {column} = {value} {_at(ANN, 3)}")
        event = ANOTHER_EVENT if column == "event_id" else None
        kept.finds(ANN, 3, "it was altered", event)
        with attacker(kept.url) as run:
            run(f"DELETE FROM reconciliation_log {_at(ANN, 3)}")
        put(kept.url, [original])
    assert kept.verified().ok


def test_every_hashed_column_is_tried() -> None:
    untold = {"recorded_at", "late", "prev_hash", "stream", "seq"}
    assert set(FIELDS) == set(COLUMNS) - untold


def test_an_altered_link(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"UPDATE reconciliation_log SET prev_hash = hash {_at(ANN, 3)}")
    kept.finds(ANN, 3, "does not cite the hash of the record before it")


def test_a_removed_row(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log {_at(ANN, 3)}")
    kept.finds(ANN, 4, "follows number 2: a record is missing")


def test_a_removed_first_row(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log {_at(BOB, 1)}")
    kept.finds(BOB, 2, "follows number 0: a record is missing")


def test_a_swapped_pair(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(
            f"UPDATE reconciliation_log SET seq = 1003 {_at(ANN, 3)}",
            f"UPDATE reconciliation_log SET seq = 3 {_at(ANN, 4)}",
            f"UPDATE reconciliation_log SET seq = 4 {_at(ANN, 1003)}",
        )
    kept.finds(ANN, 3, "does not cite the hash", kept.events[ANN, 4])


def test_a_truncated_tail(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log WHERE stream = '{BOB}' AND seq > 3")
    kept.finds(BOB, 4, "and all up to number 5: line 1 of the digests names", "")
    assert kept.verified_alone().ok  # only the digest knows


def test_a_gap_in_the_numbers(kept: Kept) -> None:
    with attacker(kept.url) as run:
        for seq in (6, 5, 4):
            run(f"UPDATE reconciliation_log SET seq = {seq + 1} {_at(ANN, seq)}")
    kept.finds(ANN, 5, "follows number 3: a record is missing", kept.events[ANN, 4])


def test_a_row_put_in_between(kept: Kept) -> None:
    trail = records_of(kept.url)
    forged = altered(trail[ANN, 4], trail[ANN, 3].hash, event_id=str(UUID(int=7)), position_id="p7")
    with attacker(kept.url) as run:
        for seq in (6, 5, 4):
            run(f"UPDATE reconciliation_log SET seq = {seq + 1} {_at(ANN, seq)}")
    put(kept.url, [forged])
    # The forged one is as sound as the attacker could make it; the next does not follow on it.
    kept.finds(ANN, 5, "does not cite the hash", kept.events[ANN, 4])


@pytest.mark.parametrize("kept", ["postgres"], indirect=True)
def test_a_row_put_in_twice(kept: Kept) -> None:  # DuckDB has no way to drop the constraint
    with attacker(kept.url) as run:
        run(
            "ALTER TABLE reconciliation_log DROP CONSTRAINT reconciliation_log_stream_seq_key",
            f"CREATE TEMP TABLE more AS SELECT * FROM reconciliation_log {_at(ANN, 4)}",
            f"UPDATE more SET event_id = '{ANOTHER_EVENT}'",
            "INSERT INTO reconciliation_log SELECT * FROM more",
        )
    kept.finds(ANN, 4, "another record has the same place", ANOTHER_EVENT)


@pytest.mark.parametrize("seq", [0, -5])
def test_a_row_put_in_below_the_first(kept: Kept, seq: int) -> None:
    trail = records_of(kept.url)
    event = str(UUID(int=7))
    put(kept.url, [altered(trail[BOB, 1], trail[BOB, 1].prev_hash, event_id=event, seq=seq)])
    kept.finds(BOB, seq, "was put in: numbers begin at 1", event)


def test_a_row_put_in_at_the_end(kept: Kept) -> None:
    trail = records_of(kept.url)
    event = str(UUID(int=7))
    forged = altered(trail[BOB, 5], trail[BOB, 5].hash, event_id=event, seq=6, position_id="p7")
    put(kept.url, [forged])
    with closing(open_trail(kept.url, kept.journal)) as left:
        report = left.verification()
    assert report.problem is not None
    assert (report.problem.stream, report.problem.seq) == (BOB, 6)
    assert report.problem.event_id == event
    assert "was put in: the journal's last record of this stream is number 5" in str(report.problem)


def test_a_stream_put_in(kept: Kept) -> None:
    put(kept.url, a_chain(2, "account:eve:1", 900))
    with closing(open_trail(kept.url, kept.journal)) as trail:
        report = trail.verification()
    assert report.problem is not None
    assert (report.problem.stream, report.problem.seq) == ("account:eve:1", 1)


def test_a_whole_stream_removed(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log WHERE stream = '{BOB}'")
    kept.finds(BOB, 1, "and all up to number 5: line 1 of the digests names", "")


def test_a_whole_stream_removed_that_another_cites(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log WHERE stream = '{ANN}'")
    problem = kept.verified_alone().problem
    assert problem is not None
    assert (problem.stream, problem.seq) == (ANN, 1)
    assert f"{ANN_LATER}@1 names" in problem.reason


def test_a_stream_that_follows_on_another_predecessor(kept: Kept) -> None:
    with attacker(kept.url) as run:
        run(f"UPDATE reconciliation_log SET predecessor = 'account:ann:1@5' {_at(ANN_LATER, 1)}")
    kept.finds(ANN_LATER, 1, "it was altered")


def test_a_stream_that_was_made_to_follow_on_nothing(kept: Kept) -> None:
    trail = records_of(kept.url)
    link, forged = NO_HASH, []
    for seq in range(1, 5):
        record = altered(trail[ANN_LATER, seq], link, predecessor=None)
        link = record.hash
        forged.append(record)
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log WHERE stream IN ('{ANN}', '{ANN_LATER}')")
    put(kept.url, forged)
    assert kept.verified_alone().ok  # only the digest knows
    kept.finds(ANN, 1, "line 1 of the digests names", "")
    assert kept.verified().broken == 2


def test_a_trail_made_anew_is_found_by_the_digest_alone(kept: Kept) -> None:
    made_anew(kept.url, (ANN, 3), pnl=1e6)
    assert kept.verified_alone().ok
    kept.finds(ANN, 6, "does not have the hash that line 1 of the digests names")
    assert kept.verified().broken == 2  # ann's second life, too


def test_who_makes_the_digests_anew_too_is_found_by_a_copy_alone(
    kept: Kept, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.jsonl"
    shutil.copy(kept.digests, copy)
    made_anew(kept.url, (ANN, 3), pnl=1e6)
    digests_made_anew(kept.digests, kept.url)
    assert kept.verified().ok
    problem = kept.verified(copy).problem
    assert problem is not None
    assert (problem.stream, problem.seq) == (ANN, 6)


def test_an_altered_digest(kept: Kept) -> None:
    text = kept.digests.read_text()
    head = records_of(kept.url)[BOB, 5].hash.hex()
    kept.digests.write_text(text.replace(head, "0" * 64))
    report = kept.verified()
    assert (report.ok, report.problem) == (False, None)
    assert str(report.damage) == "line 1 of the digests: it was altered, or damaged"


def _at(stream: str, seq: int) -> str:
    return f"WHERE stream = '{stream}' AND seq = {seq}"


def test_since_a_digest_only_what_came_after_is_read(kept: Kept) -> None:
    digests = read_digests(kept.digests)
    since = digests.times[1]
    with AuditLedger(kept.url, kept.journal, digests=kept.digests) as ledger:
        writer = ChainWriter(ledger.open_stream("account:cyd").stream)
        ledger.append(a_chain(3, writer.stream, 120, writer))
    store = open_store(kept.url)
    try:
        report = verify_store(store, digests=read_digests(kept.digests), since=since, page=2)
        assert (report.ok, report.records, report.assumed) == (True, 3, 15)
        assert (report.digests, report.streams) == (2, 4)
        recent = [row for page in store.scan(recorded_since=since, page=2) for row in page]
        assert {row[STREAM] for row in recent} == {"account:cyd:1"}
    finally:
        store.close()
    with attacker(kept.url) as run:
        run(f"DELETE FROM reconciliation_log {_at('account:cyd:1', 2)}")
        run(f"DELETE FROM reconciliation_log {_at(BOB, 2)}")
    store = open_store(kept.url)
    try:
        report = verify_store(store, digests=read_digests(kept.digests), since=since)
    finally:
        store.close()
    assert report.problem is not None
    assert (report.problem.stream, report.problem.seq, report.broken) == (BOB, 3, 2)


def test_a_scan_gives_each_row_once_in_pages_of_the_streams_that_are_wanted(kept: Kept) -> None:
    store = open_store(kept.url)
    try:
        pages = list(store.scan(page=4))
        assert max(len(page) for page in pages) <= 15
        everything = [(row[STREAM], row[SEQ]) for page in pages for row in page]
        assert sorted(everything) == sorted(kept.events)
        some = [row for page in store.scan(streams=[BOB, ANN_LATER], page=4) for row in page]
        assert sorted({row[STREAM] for row in some}) == [ANN_LATER, BOB]
        assert len(some) == 9
        assert list(store.scan(recorded_since=4_000_000_000_000_000)) == []
    finally:
        store.close()


def test_the_journals_own_remarks_are_not_hashed(kept: Kept) -> None:
    """When a record came and whether it was late is the journal's word alone."""
    with attacker(kept.url) as run:
        run(
            "UPDATE reconciliation_log SET recorded_at = recorded_at - INTERVAL '1 hour' "
            f"{_at(ANN, 3)}",
            f"UPDATE reconciliation_log SET late = NOT late {_at(ANN, 3)}",
        )
    assert kept.verified().ok
