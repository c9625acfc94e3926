from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from audit import journal_file
from audit.backlog import Backlog
from audit.chain import ChainWriter
from audit.errors import JournalUnavailable
from audit.events import account_locked, trigger_accepted
from audit.journal import Journal
from audit.journal_file import APPLICATION_ID, SCHEMA_VERSION
from tests.unit.audit.samples import NOW, a_chain, a_trigger, ids

_VERSION_1 = """
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    incarnation INTEGER NOT NULL, head_seq INTEGER NOT NULL, head_hash BLOB,
    closed_at_seq INTEGER, UNIQUE (owner, incarnation));
CREATE TABLE records (ordinal INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE,
    stream_id INTEGER NOT NULL, seq INTEGER NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL,
    recorded_at INTEGER NOT NULL, late INTEGER NOT NULL, body BLOB, UNIQUE (stream_id, seq));
CREATE TABLE set_aside (id INTEGER PRIMARY KEY, reason TEXT NOT NULL, event_id TEXT NOT NULL,
    stream TEXT NOT NULL, seq INTEGER NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL,
    recorded_at INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (event_id, hash));
CREATE TABLE open_episodes (trigger_id TEXT PRIMARY KEY, user_id TEXT NOT NULL,
    accepted_at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE progress (only INTEGER PRIMARY KEY CHECK (only = 1), stored INTEGER NOT NULL);
INSERT INTO progress VALUES (1, 0);
"""


def _version_1(path: Path, *, broken: bool = False) -> None:
    """Make a file as the first version left it: a chain of three, and an open episode."""
    path.parent.mkdir(parents=True)
    chain = a_chain(3)
    accepted = ChainWriter("supervisor:1").seal(trigger_accepted(a_trigger(), occurred_at=NOW))
    connection = sqlite3.connect(path)
    connection.executescript(_VERSION_1)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    for number, stream, head in ((1, "account:u1", chain[-1]), (2, "supervisor", accepted)):
        connection.execute(
            "INSERT INTO streams VALUES (?, ?, ?, 1, ?, ?, NULL)",
            (number, f"{stream}:1", stream, head.seq, head.hash),
        )
    for ordinal, record in enumerate([*chain, accepted], 1):
        stream_id = 2 if record is accepted else 1
        row = (ordinal, record.event_id, stream_id, record.seq, record.prev_hash, record.hash)
        connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)", (*row, NOW, record.body)
        )
    connection.execute(
        "INSERT INTO open_episodes VALUES ('trigger-1', 'u1', ?, ?)", (NOW, accepted.body)
    )
    if broken:
        connection.execute("CREATE TABLE account_locks (x)")
    connection.commit()
    connection.close()


def _version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def test_a_file_of_the_first_version_is_brought_up_to_date(journal_path: Path) -> None:
    _version_1(journal_path)
    journal = Journal(journal_path)
    backlog = Backlog(journal)
    chain = a_chain(6)
    assert [one.record for one in backlog.after(0, 3)] == chain[:3]
    assert [one.trigger_id for one in journal.open_episodes()] == ["trigger-1"]
    assert journal.append(chain[4:]).expected == {"account:u1:1": 4}
    assert journal.append(chain).acknowledged == ids(chain)
    opened = journal.open_stream("supervisor")
    writer = ChainWriter(opened.stream, opened.predecessor)
    journal.append([writer.seal(account_locked("u1", "trigger-1", occurred_at=NOW))])
    assert [lock.user_id for lock in journal.locks()] == ["u1"]
    assert not journal.knows_all_episodes, "some may have ended before they were remembered"
    reopened_given = backlog.given
    backlog.close()
    journal.close()
    assert _version_of(journal_path) == SCHEMA_VERSION == 6
    assert reopened_given == 0
    reopened = Journal(journal_path)
    assert reopened.digest_end() is None, "an old journal knows of no digest"
    reopened.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(journal_path: Path) -> None:
    _version_1(journal_path, broken=True)
    with pytest.raises(JournalUnavailable, match="account_locks already exists"):
        Journal(journal_path)
    assert _version_of(journal_path) == 1
    connection = sqlite3.connect(journal_path)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(streams)")}
    connection.close()
    assert "process" not in columns


def _owner_number(path: Path) -> int | None:
    journal = Journal(path)
    journal.close()
    return journal.owner_number


@pytest.mark.skipif(not journal_file._MACHINE_RUN.exists(), reason="this system names no runs")
def test_a_journal_s_owners_share_a_number_that_no_copy_has(
    journal_path: Path, tmp_path: Path
) -> None:
    _version_1(journal_path)
    first = _owner_number(journal_path)
    assert first is not None
    assert 0 <= first < 2**31
    assert _owner_number(journal_path) == first
    shutil.copytree(journal_path.parent, tmp_path / "copy")
    assert _owner_number(tmp_path / "copy" / journal_path.name) != first
    lock = journal_path.with_name(journal_path.name + ".lock")
    kept = lock.open("rb")  # the engine of before may run on the file that is taken away
    lock.unlink()
    assert _owner_number(journal_path) != first
    kept.close()


def test_what_another_machine_or_journal_has_is_another_number(
    journal_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_path.parent.mkdir(parents=True, exist_ok=True)
    run = tmp_path / "run"
    monkeypatch.setattr(journal_file, "_MACHINE_RUN", run)
    assert _owner_number(journal_path) is None
    run.write_text("one\n")
    first = _owner_number(journal_path)
    run.write_text("two\n")
    assert _owner_number(journal_path) not in (None, first)
    run.write_text("one\n")
    assert _owner_number(journal_path) == first
    journal_path.unlink()
    assert _owner_number(journal_path) != first, "a new journal, with the lock's file of the old"


def test_a_new_file_knows_all_episodes(journal: Journal) -> None:
    assert journal.knows_all_episodes
