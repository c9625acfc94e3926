"""The journal's file: its schema, its one owner, and what its errors mean."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from audit.errors import JournalInUse, JournalUnavailable, NewerSchema

APPLICATION_ID = 0x5249534B
"""Marks the file as ours (SQLite's ``application_id``; ASCII ``RISK``)."""

_FIRST = """
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash BLOB,
    closed_at_seq INTEGER,
    UNIQUE (owner, incarnation)
);
CREATE TABLE records (
    ordinal INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    stream_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    body BLOB,
    UNIQUE (stream_id, seq)
);
CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    event_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (event_id, hash)
);
CREATE TABLE open_episodes (
    trigger_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    stored INTEGER NOT NULL
);
INSERT INTO progress VALUES (1, 0);
"""
_SECOND = """
ALTER TABLE streams ADD COLUMN process TEXT;
ALTER TABLE streams ADD COLUMN is_open_ended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN hole_after INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN hole_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE set_aside ADD COLUMN in_place INTEGER NOT NULL DEFAULT 0;
CREATE INDEX set_aside_by_place ON set_aside (stream, seq);
CREATE TABLE finished_episodes (
    trigger_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    accepted BLOB,
    finished BLOB
);
CREATE INDEX finished_episodes_whole ON finished_episodes (ordinal) WHERE finished IS NOT NULL;
CREATE TABLE account_locks (
    user_id TEXT PRIMARY KEY,
    trigger_id TEXT NOT NULL,
    locked_at INTEGER NOT NULL,
    sweeps INTEGER NOT NULL
) WITHOUT ROWID;
ALTER TABLE progress ADD COLUMN knows_episodes INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET knows_episodes = NOT EXISTS (SELECT 1 FROM streams);
"""
_THIRD = """
ALTER TABLE progress ADD COLUMN given INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET given = stored;
"""
_FOURTH = """
CREATE TABLE digest_end (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    file TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash TEXT NOT NULL,
    at INTEGER NOT NULL
);
ALTER TABLE streams ADD COLUMN proven_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN proven_hash BLOB;
"""
_FIFTH = """
ALTER TABLE open_episodes ADD COLUMN is_released INTEGER NOT NULL DEFAULT 0;
"""
_SIXTH = """
ALTER TABLE progress ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET number = abs(random() / 2);
"""
MIGRATIONS: Mapping[int, str] = {
    1: _FIRST,
    2: _SECOND,
    3: _THIRD,
    4: _FOURTH,
    5: _FIFTH,
    6: _SIXTH,
}
"""Steps to the present schema, by number; each is applied once, in order."""
SCHEMA_VERSION = max(MIGRATIONS)
_MACHINE_RUN = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux says which run of the machine this is; containers of one machine see the same."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file with the durability that a journal needs."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA page_size = 8192")  # two or three records a page, not one
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Merging the log takes tens of milliseconds, so an append must not do it: the filler does
        # (Backlog.merge), and only where that fails for long does the log reach this limit.
        connection.execute("PRAGMA wal_autocheckpoint = 16384")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the present schema, in one transaction, if it is ours and not newer.

    Raises:
        NewerSchema: a newer version of this software wrote the file.
        JournalUnavailable: the file is something else.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_new = application_id == 0 and version == 0 and tables == 0
    if not is_new and application_id != APPLICATION_ID:
        raise JournalUnavailable(
            f"journal={str(path)!r} is another program's SQLite database "
            f"(application_id {application_id}); name another file"
        )
    if version > SCHEMA_VERSION:
        raise NewerSchema(
            f"journal={str(path)!r} has schema version {version}, this software knows up to "
            f"{SCHEMA_VERSION}: upgrade it, or name another file"
        )
    steps = [MIGRATIONS[number] for number in range(version + 1, SCHEMA_VERSION + 1)]
    if steps:
        connection.executescript(
            f"BEGIN IMMEDIATE; {''.join(steps)}"
            f"PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )


class OwnerLock:
    """Makes this process the journal's only one, for as long as it lives.

    The lock is SQLite's own, held on an empty database beside the journal: it works on every
    system that SQLite works on, and the operating system lets go of it when the process dies.

    Args:
        journal: the journal's path; the lock file has ``.lock`` appended.

    Raises:
        JournalInUse: someone else holds it.
    """

    def __init__(self, journal: Path) -> None:
        """Take the lock, or fail at once."""
        self._path = journal.with_name(journal.name + ".lock")
        self._connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=0.0
        )
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise JournalInUse(
                f"journal={str(journal)!r} is open in another process (or twice in this one): "
                "stop the engine that uses it, or give this one a journal of its own"
            ) from error

    def number(self, drawn: int) -> int | None:
        """Return a number that nobody else has as long as this lock is held.

        Who holds it next on this machine has the same, whatever became of the process before. It
        is made of the lock's file itself, so that a copy of the journal has another one, and of
        the machine's present run, so that a copy of the machine has another one.

        Args:
            drawn: the journal's own number, drawn when it was made: machines that were thawed from
                one image may agree in all the rest.

        Returns:
            0 to 2³¹ - 1; ``None`` where the system does not name its runs, as Linux does.
        """
        try:
            run = _MACHINE_RUN.read_text().strip()
            file = self._path.stat()
        except OSError:
            return None
        told = f"{drawn} {run} {file.st_dev} {file.st_ino}".encode()
        return int.from_bytes(hashlib.sha256(told).digest()[:4]) >> 1

    def release(self) -> None:
        """Let go of the journal."""
        self._connection.close()


_REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full: free space on it",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only: make it writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened or made: check the folder and its permissions",
    sqlite3.SQLITE_IOERR: "the disk reports an error: check it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop, copy it away, and restore or start anew",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database: name another file",
    sqlite3.SQLITE_BUSY: "another connection holds it: close other programs that read it",
}


def unavailable(path: Path, error: sqlite3.Error) -> JournalUnavailable:
    """Turn SQLite's error into one that says what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    remedy = _REMEDIES.get(code, "see SQLite's message")
    return JournalUnavailable(f"journal={str(path)!r} cannot be used ({error}): {remedy}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Let every SQLite error out as :class:`JournalUnavailable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(path, error) from error


@contextmanager
def texts_made_out(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts even where damage left bytes that are none: those become U+FFFD.

    Otherwise one such text keeps all that is read with it from being read. It costs a little.
    """
    before = connection.text_factory
    connection.text_factory = _make_out
    try:
        yield
    finally:
        connection.text_factory = before


def _make_out(text: bytes) -> str:
    return text.decode("utf-8", "replace")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block wrote, or undo it all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
