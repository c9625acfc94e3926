from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from audit.errors import JournalUnavailable, NewerSchema, StoreDamaged, StoreInUse, StoreUnavailable
from audit.journal import Journal
from audit.journal_reading import is_owned
from audit.ledger import AuditLedger
from audit.ledger_trail import LedgerTrail
from audit.offline import NothingToRead, open_trail
from audit.queries import RecordQuery
from audit.records import Status
from audit.rows import STREAM
from audit.totals import groups_in
from audit.trail import StoreTrail, Trail, pages, records, sealed_records
from tests.unit.audit.samples import NOW, ManualClock, a_chain, ids

FOLDER = ("audit.duckdb", "journal.sqlite3")


@pytest.fixture
def left(tmp_path: Path, clock: ManualClock) -> Path:
    """A trail that a dead engine left behind: its store holds the first 6 of 11 records."""
    alive = tmp_path / "alive"
    with AuditLedger(
        f"duckdb:///{alive}/audit.duckdb", alive / FOLDER[1], clock=clock, fills_by_itself=False
    ) as ledger:
        opened = ledger.open_streams(["account:ann", "account:bob"])
        ledger.append(a_chain(6, opened[0].stream))
        ledger.fill_step()
        ledger.append(a_chain(5, opened[1].stream, 4))
        left = tmp_path / "left"
        left.mkdir()
        for file in alive.iterdir():
            shutil.copy(file, left)
    return left


def left_trail(folder: Path) -> StoreTrail:
    return open_trail(f"duckdb:///{folder}/audit.duckdb", folder / FOLDER[1])


def contents(folder: Path) -> dict[str, bytes]:
    """What is in the files that hold records; SQLite's shared index is none of them."""
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file() and file.suffix != ".sqlite3-shm" and file.stat().st_size
    }


@pytest.fixture
def trail(left: Path) -> Iterator[StoreTrail]:
    trail = left_trail(left)
    yield trail
    trail.close()


def test_what_only_the_journal_has_is_read_with_the_rest(trail: Trail) -> None:
    found = list(records(trail))
    assert [(r.user_id, r.position_id) for r in found[2:7]] == [
        ("ann", "p3"),
        ("ann", "p4"),
        ("bob", "p4"),
        ("ann", "p5"),
        ("bob", "p5"),
    ]
    assert len({r.event_id for r in found}) == 11
    assert trail.source.endswith("audit.duckdb and 5 records that only the journal has")


def test_pages_join_without_gap_or_overlap(trail: Trail) -> None:
    whole = trail.query(RecordQuery())
    for size in (1, 2, 3, 10, 11, 12):
        parts = list(pages(trail, size=size))
        assert [row for part in parts for row in part] == whole
        assert max(map(len, parts)) <= size
    backwards = pages(trail, RecordQuery(newest_first=True), size=2)
    assert [row for part in backwards for row in part] == whole[::-1]
    assert [row for part in pages(trail, most=7, size=5) for row in part] == whole[:7]
    assert list(pages(trail, RecordQuery(user_id="nobody"))) == []


def test_chains_over_store_and_journal_are_whole(trail: Trail) -> None:
    heads = trail.heads()
    assert [(head.stream, head.seq) for head in heads] == [
        ("account:ann:1", 6),
        ("account:bob:1", 5),
    ]
    assert [(e.head.seq, e.count) for e in trail.extents()] == [(6, 6), (5, 5)]
    rows = trail.read_streams(["account:bob:1", "account:ann:1"], 1, 3)
    assert [(row[STREAM], seq) for row, seq in zip(rows, (2, 3, 2, 3), strict=True)] == [
        ("account:ann:1", 2),
        ("account:ann:1", 3),
        ("account:bob:1", 2),
        ("account:bob:1", 3),
    ]
    assert ids(list(sealed_records(trail))) == {r.event_id for r in records(trail)}


def test_totals_are_those_of_the_single_rows(trail: Trail) -> None:
    groups = trail.groups(RecordQuery())
    assert groups == groups_in(trail.query(RecordQuery()))
    assert [(g.user_id, g.records, g.volume) for g in groups] == [("ann", 6, 3.0), ("bob", 5, 2.5)]
    assert (groups[0].first_us, groups[1].last_us) == (NOW + 1, NOW + 8)
    assert (groups[0].longest_lag_us, groups[0].lags_us) == (-1, -21), "recorded at NOW"
    assert trail.groups(RecordQuery(user_id="ann", statuses=(Status.FAILED,))) == []


def test_looking_changes_nothing(left: Path) -> None:
    before = contents(left)
    trail = left_trail(left)
    list(records(trail))
    trail.groups(RecordQuery())
    trail.close()
    assert contents(left) == before


def test_looking_takes_no_lock_from_an_engine(left: Path, clock: ManualClock) -> None:
    journal = left / FOLDER[1]
    trail = left_trail(left)
    trail.close()
    assert not is_owned(journal)
    owner = Journal(journal, clock=clock)
    assert is_owned(journal)
    owner.close()
    assert not is_owned(journal)
    assert not is_owned(left / "nothing")


def test_an_engine_that_starts_sees_the_same(left: Path, trail: Trail, clock: ManualClock) -> None:
    seen = trail.query(RecordQuery())
    trail.close()
    url = f"duckdb:///{left}/audit.duckdb"
    with AuditLedger(url, left / FOLDER[1], clock=clock, fills_by_itself=False) as ledger:
        assert LedgerTrail(ledger).query(RecordQuery()) == seen
        assert LedgerTrail(ledger).heads() == trail.heads()
    after = left_trail(left)
    assert after.query(RecordQuery()) == seen
    assert "journal" not in after.source
    after.close()


def test_a_store_that_nothing_was_written_to_yet_is_not_needed(left: Path) -> None:
    with sqlite3.connect(left / FOLDER[1]) as journal:
        journal.execute("UPDATE progress SET stored = 0")
    journal.close()
    for name in ("audit.duckdb", "audit.duckdb.wal"):
        (left / name).unlink(missing_ok=True)
    trail = left_trail(left)
    assert len(list(records(trail))) == 11
    trail.close()
    assert not (left / "audit.duckdb").exists()


def test_a_store_alone_is_read_without_a_journal(left: Path) -> None:
    trail = open_trail(f"duckdb:///{left}/audit.duckdb", None)
    assert (len(list(records(trail))), trail.heads()) == (6, ())
    trail.close()


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead, match="no such file, and no journal"):
        open_trail(f"duckdb:///{tmp_path}/no/audit.duckdb", tmp_path / "no" / "journal.sqlite")
    with pytest.raises(NothingToRead, match="no such file: name"):
        open_trail(f"duckdb:///{tmp_path}/no/audit.duckdb", None)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_gone_is_missed(left: Path) -> None:
    with sqlite3.connect(left / FOLDER[1]) as journal:
        journal.execute("UPDATE progress SET stored = 6")
    journal.close()
    (left / "audit.duckdb").unlink()
    with pytest.raises(StoreUnavailable, match=r"is missing, and the journal .* first 6 records"):
        left_trail(left)


def test_a_damaged_store_stays_where_it_is(left: Path) -> None:
    (left / "audit.duckdb").write_bytes(b"no database" * 1000)
    before = contents(left)
    with pytest.raises(StoreDamaged, match="left as it is: start the engine"):
        left_trail(left)
    assert contents(left) == before


def test_a_database_that_is_no_trail_is_told(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(StoreUnavailable, match="holds no audit trail"):
        open_trail(f"duckdb:///{tmp_path}/other.duckdb", None)


def test_a_newer_store_is_told(left: Path) -> None:
    with duckdb.connect(str(left / "audit.duckdb")) as database:
        database.execute("INSERT INTO audit_schema VALUES (99, 'future', now())").fetchall()
    with pytest.raises(NewerSchema, match="schema version 99"):
        left_trail(left)


def test_a_store_in_use_is_told(left: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(left / "audit.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreInUse, match="open in another process"):
            left_trail(left)
        holder.stdin.close()


_HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("PRAGMA user_version = 99", "version 99, this software reads .*: upgrade"),
        ("PRAGMA user_version = 1", "version 1, this software reads .*: start the engine once"),
        ("PRAGMA application_id = 7", "another program's SQLite database"),
    ],
)
def test_another_journal_is_told(left: Path, statement: str, told: str) -> None:
    with sqlite3.connect(left / FOLDER[1]) as journal:
        journal.execute(statement)
    journal.close()
    with pytest.raises(JournalUnavailable, match=told):
        left_trail(left)
