"""The journal for a reader that is not its owner: it takes no lock and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit.apart_registry import ApartRegistry
from audit.backlog import WAITING, Waiting
from audit.chain import ChainHead
from audit.digest_registry import DigestEnd, DigestRegistry
from audit.errors import JournalUnavailable
from audit.journal_file import APPLICATION_ID, SCHEMA_VERSION, explained, texts_made_out
from audit.receipts import SetAside
from audit.stream_registry import StreamRegistry


class JournalReading:
    """One consistent look at a journal.

    Args:
        path: the SQLite file, which must exist.

    Raises:
        JournalUnavailable: it cannot be read, or this version cannot; the message says what to do.
    """

    def __init__(self, path: Path) -> None:
        """Open it read-only."""
        self._path = path
        with explained(path):
            self._connection = _connect(path)
            try:
                self._check()
                # One transaction: what is read belongs together, whoever writes meanwhile.
                self._connection.execute("BEGIN")
                (stored,) = self._connection.execute("SELECT stored FROM progress").fetchone()
            except BaseException:
                self._connection.close()
                raise
        self.stored = int(stored)
        """Ordinal up to which the store has everything for good."""

    def close(self) -> None:
        """Let go of the file; harmless when done twice."""
        self._connection.close()

    def heads(self) -> tuple[ChainHead, ...]:
        """Last record of every stream that has one."""
        with explained(self._path):
            return StreamRegistry(self._connection).heads()

    def set_aside(self) -> tuple[SetAside, ...]:
        """Every record that was ever kept apart, oldest first."""
        with explained(self._path):
            return ApartRegistry(self._connection).all()

    def digest_end(self) -> DigestEnd | None:
        """Last line of the digest file, as far as noted; ``None`` if none was."""
        with explained(self._path):
            return DigestRegistry(self._connection).end()

    def not_surely_stored(self, size: int) -> Iterator[Sequence[Waiting]]:
        """Read the records that the store may lack, in order, ``size`` at a time."""
        after = self.stored
        while True:
            with explained(self._path), texts_made_out(self._connection):
                rows = self._connection.execute(
                    f"{WAITING}r.ordinal > ? ORDER BY r.ordinal LIMIT ?", (after, size)
                ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield list(map(Waiting._make, rows))

    def _check(self) -> None:
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application_id != APPLICATION_ID:
            raise JournalUnavailable(
                f"journal={str(self._path)!r} is another program's SQLite database "
                f"(application_id {application_id}); name another folder"
            )
        if version != SCHEMA_VERSION:
            remedy = (
                "upgrade this software"
                if version > SCHEMA_VERSION
                else "start the engine once on it, which brings it up to date"
            )
            raise JournalUnavailable(
                f"journal={str(self._path)!r} has schema version {version}, this software reads "
                f"{SCHEMA_VERSION}: {remedy}"
            )


def digest_end_in(path: Path | None) -> DigestEnd | None:
    """Look up in a journal which digest was written last; ``None`` if there is no journal.

    Raises:
        JournalUnavailable: it cannot be read.
    """
    if path is None or not path.exists():
        return None
    reading = JournalReading(path)
    try:
        return reading.digest_end()
    finally:
        reading.close()


def is_owned(path: Path) -> bool:
    """Whether a process has the journal open for writing; ``False`` if there is none.

    Raises:
        JournalUnavailable: that cannot be found out.
    """
    lock = path.with_name(path.name + ".lock")
    if not lock.exists():
        return False
    with explained(lock):
        connection = sqlite3.connect(_uri(lock, "mode=ro"), uri=True, timeout=0.0)
        try:
            # The owner holds SQLite's exclusive lock, which lets no reader in.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            raise
        finally:
            connection.close()
    return False


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(_uri(path, "mode=ro"), uri=True, isolation_level=None, timeout=5.0)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        # A folder that cannot be written, as on an archive: nobody else can write there either.
        return sqlite3.connect(_uri(path, "immutable=1"), uri=True, isolation_level=None)
    return connection


def _uri(path: Path, options: str) -> str:
    return f"{path.absolute().as_uri()}?{options}"
