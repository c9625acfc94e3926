"""The journal as the store's filler sees it: what is still to be stored, and what was."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from audit.chain import ChainHead, SealedRecord
from audit.digest_registry import DigestEnd
from audit.journal import Journal
from audit.journal_file import connect, explained, texts_made_out
from audit.proving import KnownStream
from audit.receipts import SetAside
from audit.rows import Listed

_CHUNK = 2_000
"""Rows forgotten in one transaction: appending waits meanwhile."""


class Waiting(NamedTuple):
    """A record that the journal still holds whole, flat, as SQLite gives it out."""

    ordinal: int
    recorded_at: int
    late: int
    """0 or 1."""
    event_id: str
    stream: str
    seq: int
    prev_hash: bytes
    hash: bytes
    body: bytes

    @property
    def record(self) -> SealedRecord:
        """The record by itself."""
        return SealedRecord._make(self[3:])


_SEALED = (
    "CAST(r.event_id AS TEXT), s.name, CAST(r.seq AS INTEGER), CAST(r.prev_hash AS BLOB), "
    "CAST(r.hash AS BLOB), CAST(r.body AS BLOB) "
    "FROM records r JOIN streams s ON s.id = r.stream_id "
)
"""A :class:`audit.chain.SealedRecord`. SQLite lets a damaged value have any type: what was none of
ours is then told by its hash."""
WAITING = (
    f"SELECT r.ordinal, CAST(r.recorded_at AS INTEGER), r.late, {_SEALED}"
    "WHERE r.body IS NOT NULL AND "
)
"""How each :class:`Waiting` is read; a condition on ``r`` follows."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A record that the store was given: its identity, and whether its content is still here."""

    ordinal: int
    event_id: str
    hash: bytes
    is_whole: bool


@dataclass(frozen=True, slots=True)
class OwnRecords:
    """What the journal still holds whole of one owner's streams, in the order of writing."""

    records: tuple[SealedRecord, ...]
    is_complete: bool
    """Whether that is all the owner ever wrote."""


@dataclass(frozen=True, slots=True)
class StreamExpectation:
    """How many records of a stream a store must hold."""

    stream: str
    head: int
    """Number of its last record."""
    stored: int
    """How many of its records the store was given, at least, and did not refuse."""
    set_aside: int
    """How many were set aside. The store may hold some of them nevertheless: those that suffered
    in the journal after they were stored."""


class Backlog:
    """Reads the journal on a connection of its own, so that appending does not wait for it.

    Args:
        journal: the open journal.
        keep_whole: how many stored records it keeps whole, to mend a store that lost its end,
            and to give an account its history while the store is away.
        keep_identities: how many stored records it remembers, to recognise what is sent again.
    """

    def __init__(
        self, journal: Journal, *, keep_whole: int = 20_000, keep_identities: int = 100_000
    ) -> None:
        """Open the second connection."""
        self._journal = journal
        self._keep_whole = keep_whole
        self._keep_identities = max(keep_whole, keep_identities)
        self._merged: int | None = None
        """Ordinal of the newest record when all of SQLite's log was merged, as far as we know."""
        self._lock = threading.Lock()
        with explained(journal.path):
            self._connection = connect(journal.path)
            self._connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the second connection; harmless when done twice."""
        with self._lock:
            self._connection.close()

    @property
    def newest(self) -> int:
        """Ordinal of the last record that was appended."""
        return self._journal.newest

    @property
    def stored(self) -> int:
        """Ordinal up to which the store has everything for good."""
        (stored,) = self._select("SELECT stored FROM progress")[0]
        return int(stored)

    @property
    def given(self) -> int:
        """Ordinal up to which the store has committed everything, as far as was noted."""
        (given,) = self._select("SELECT max(stored, given) FROM progress")[0]
        return int(given)

    def note_given(self, ordinal: int) -> None:
        """Note that the store has committed everything up to ``ordinal``, for good or not.

        Raises:
            JournalUnavailable: it could not be noted.
        """
        with self._writing() as connection:
            connection.execute("UPDATE progress SET given = ?", (ordinal,))

    def after(self, ordinal: int, limit: int) -> list[Waiting]:
        """Read the next records after ``ordinal``, in order."""
        return list(map(Waiting._make, self.listed_after(ordinal, limit)))

    def listed_after(self, ordinal: int, limit: int) -> list[Listed]:
        """Read the next records after ``ordinal``, in order: bare, for a fill reads many."""
        return self._select(f"{WAITING}r.ordinal > ?1 ORDER BY r.ordinal LIMIT ?2", ordinal, limit)

    def whole(self, ordinals: Sequence[int]) -> list[Waiting]:
        """Read these records, in order."""
        chosen = set(ordinals)
        if not chosen:
            return []
        found = self._select(
            f"{WAITING}r.ordinal BETWEEN ?1 AND ?2 ORDER BY r.ordinal", min(chosen), max(chosen)
        )
        return [Waiting._make(values) for values in found if values[0] in chosen]

    def oldest_after(self, ordinal: int) -> int | None:
        """Say when the next record after ``ordinal`` was recorded, µs UTC."""
        rows = self._select(
            "SELECT recorded_at FROM records WHERE ordinal > ? ORDER BY ordinal LIMIT 1", ordinal
        )
        return int(rows[0][0]) if rows else None

    def remembered(self, limit: int) -> list[Remembered]:
        """Read the identities of the last records that the store was given, in order."""
        rows = self._select(
            "SELECT ordinal, CAST(event_id AS TEXT), CAST(hash AS BLOB), body IS NOT NULL "
            "FROM records "
            "WHERE ordinal <= ? ORDER BY ordinal DESC LIMIT ?",
            self.given,
            limit,
        )
        return [Remembered(row[0], row[1], row[2], bool(row[3])) for row in reversed(rows)]

    def of_owner(self, owner: str) -> OwnRecords:
        """Read what is still whole of all streams of an owner."""
        with self._snapshot() as connection:
            rows = connection.execute(
                f"SELECT {_SEALED}"
                "WHERE s.owner = ? AND r.body IS NOT NULL ORDER BY s.incarnation, r.seq",
                (owner,),
            ).fetchall()
            (written,) = connection.execute(
                "SELECT coalesce(sum(head_seq), 0) FROM streams WHERE owner = ?", (owner,)
            ).fetchone()
            (apart,) = connection.execute(
                "SELECT count(*) FROM streams s JOIN set_aside a ON a.stream = s.name "
                "WHERE s.owner = ? AND a.in_place",
                (owner,),
            ).fetchone()
        return OwnRecords(tuple(SealedRecord(*row) for row in rows), len(rows) + apart == written)

    def known_streams(self, owner: str) -> list[KnownStream]:
        """Say what the journal knows of all streams of an owner, in the order of their lives."""
        with self._snapshot() as connection:
            streams = connection.execute(
                "SELECT id, name, head_seq, head_hash, proven_seq, proven_hash "
                "FROM streams WHERE owner = ? AND head_seq > 0 ORDER BY incarnation",
                (owner,),
            ).fetchall()
            apart = connection.execute(
                "SELECT s.id, a.seq, a.hash, a.prev_hash, 1 FROM streams s JOIN set_aside a "
                "ON a.stream = s.name WHERE s.owner = ? AND a.in_place ORDER BY a.id DESC",
                (owner,),
            ).fetchall()
            records = connection.execute(
                "SELECT s.id, CAST(r.seq AS INTEGER), CAST(r.hash AS BLOB), "
                "CAST(r.prev_hash AS BLOB), r.body IS NOT NULL FROM streams s "
                "JOIN records r ON r.stream_id = s.id WHERE s.owner = ?",
                (owner,),
            ).fetchall()
        hashes: dict[int, dict[int, bytes]] = {row[0]: {row[2]: row[3]} for row in streams}
        links: dict[int, dict[int, bytes]] = {row[0]: {} for row in streams}
        for number, *_, proven_seq, proven_hash in streams:
            if proven_seq:
                hashes[number][proven_seq] = proven_hash
        for number, seq, digest, prev_hash, is_held in (*apart, *records):
            hashes[number][seq] = digest
            if is_held:
                links[number][seq] = prev_hash
        return [
            KnownStream(ChainHead(name, seq, digest), hashes[number], links[number])
            for number, name, seq, digest, *_ in streams
        ]

    def hash_of(self, event_id: str) -> bytes | None:
        """Return the hash of a record; ``None`` if it is not remembered."""
        rows = self._select("SELECT hash FROM records WHERE event_id = ?", event_id)
        return rows[0][0] if rows else None

    def expectations(self, given: int) -> list[StreamExpectation]:
        """Say what the store must hold of every stream, if it was given all up to ``given``."""
        rows = self._select(
            "SELECT s.name, s.head_seq, "
            "s.head_seq - coalesce(w.count, 0) - coalesce(a.count, 0), coalesce(a.count, 0) "
            "FROM streams s "
            "LEFT JOIN (SELECT stream_id, count(*) AS count FROM records WHERE ordinal > ? "
            "GROUP BY stream_id) w ON w.stream_id = s.id "
            "LEFT JOIN (SELECT stream, count(*) AS count FROM set_aside WHERE in_place "
            "GROUP BY stream) a ON a.stream = s.name WHERE s.head_seq > 0 ORDER BY s.id",
            given,
        )
        return [StreamExpectation(*row) for row in rows]

    def not_in_store(self, stream: str, given: int) -> set[int]:
        """Numbers of a stream's records that are still to be stored, or were set aside."""
        rows = self._select(
            "SELECT r.seq FROM records r JOIN streams s ON s.id = r.stream_id "
            "WHERE s.name = ?1 AND r.ordinal > ?2 "
            "UNION SELECT seq FROM set_aside WHERE stream = ?1",
            stream,
            given,
        )
        return {int(seq) for (seq,) in rows}

    def heads_between(self, after: int, up_to: int) -> list[ChainHead] | None:
        """Last record of each stream among those behind ``after`` and up to ``up_to``.

        Returns:
            ``None`` if some of them may be forgotten already.
        """
        if after < self.stored - self._keep_identities:
            return None
        # SQLite takes the other columns from the row that has the maximum.
        rows = self._select(
            "SELECT s.name, max(r.seq), r.hash FROM records r JOIN streams s ON s.id = r.stream_id "
            "WHERE r.ordinal > ? AND r.ordinal <= ? GROUP BY r.stream_id ORDER BY r.stream_id",
            after,
            up_to,
        )
        return [ChainHead(*row) for row in rows]

    def digest_end(self) -> DigestEnd | None:
        """Last line of the digest file, as far as noted; ``None`` if none was."""
        return self._journal.digest_end()

    def note_digest(self, end: DigestEnd) -> None:
        """Note that a line of the digest file is on disk; see :meth:`Journal.note_digest`."""
        self._journal.note_digest(end)

    def mark_stored(self, ordinal: int) -> None:
        """Note that the store has everything up to ``ordinal`` for good, and forget what may go.

        Raises:
            JournalUnavailable: it could not be noted for all; nothing that may not go is gone.
        """
        start = self.stored
        while start < ordinal:
            end = min(ordinal, start + _CHUNK)
            with self._journal.writing() as connection:
                connection.execute(
                    "UPDATE records SET body = NULL, prev_hash = x'' "
                    "WHERE ordinal > ? AND ordinal <= ?",
                    (start - self._keep_whole, end - self._keep_whole),
                )
                connection.execute(
                    "DELETE FROM records WHERE ordinal <= ?", (end - self._keep_identities,)
                )
                connection.execute(
                    "UPDATE finished_episodes SET accepted = NULL, finished = NULL "
                    "WHERE ordinal <= ? AND finished IS NOT NULL",
                    (end - self._keep_whole,),
                )
                connection.execute("UPDATE progress SET stored = ?", (end,))
            start = end

    def merge(self) -> None:
        """Merge SQLite's log into the journal's file; appending does not wait for it."""
        newest = self._journal.newest
        if newest != self._merged:
            ((_, pages, merged),) = self._select("PRAGMA wal_checkpoint(PASSIVE)")
            self._merged = newest if pages == merged else None

    def keep_apart(self, waiting: Waiting, reason: str) -> SetAside:
        """Take a record that the store cannot hold out of the line, and keep it apart.

        Raises:
            JournalUnavailable: it stays in the line.
        """
        with self._writing() as connection:
            apart = self._journal.keep_apart(waiting.record, reason, self._journal.clock.wall_us())
            connection.execute("DELETE FROM records WHERE ordinal = ?", (waiting.ordinal,))
        return apart

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._journal.writing() as connection:
            self._merged = None
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read several times from one state of the journal."""
        with self._lock, explained(self._journal.path), texts_made_out(self._connection):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")

    def _select(self, statement: str, *values: int | str) -> list[tuple[Any, ...]]:
        with self._lock, explained(self._journal.path):
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if "UTF-8" not in str(error):
                    raise
                with texts_made_out(self._connection):
                    return self._connection.execute(statement, values).fetchall()
