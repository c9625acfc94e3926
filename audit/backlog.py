"""The journal as the store's filler sees it: what is still to be stored, and what was."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.chain import SealedRecord
from audit.journal import Journal
from audit.journal_file import connect, explained
from audit.receipts import SetAside

_CHUNK = 2_000
"""Rows forgotten in one transaction: appending waits meanwhile."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that the journal still holds whole."""

    ordinal: int
    record: SealedRecord
    recorded_at: int
    late: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """A record that the store was given: its identity, and whether its content is still here."""

    ordinal: int
    event_id: str
    hash: bytes
    is_whole: bool


class Backlog:
    """Reads the journal on a connection of its own, so that appending does not wait for it.

    Args:
        journal: the open journal.
        keep_whole: how many stored records it keeps whole, to mend a store that lost its end.
        keep_identities: how many stored records it remembers, to recognise what is sent again.
    """

    def __init__(
        self, journal: Journal, *, keep_whole: int = 1_000, keep_identities: int = 100_000
    ) -> None:
        """Open the second connection."""
        self._journal = journal
        self._keep_whole = keep_whole
        self._keep_identities = max(keep_whole, keep_identities)
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

    def after(self, ordinal: int, limit: int) -> list[Waiting]:
        """Read the next records after ``ordinal``, in order."""
        return self._waiting("r.ordinal > ?1 ORDER BY r.ordinal LIMIT ?2", ordinal, limit)

    def whole(self, ordinals: Sequence[int]) -> list[Waiting]:
        """Read these records, in order."""
        chosen = set(ordinals)
        if not chosen:
            return []
        found = self._waiting(
            "r.ordinal BETWEEN ?1 AND ?2 ORDER BY r.ordinal", min(chosen), max(chosen)
        )
        return [one for one in found if one.ordinal in chosen]

    def oldest_after(self, ordinal: int) -> int | None:
        """Say when the next record after ``ordinal`` was recorded, µs UTC."""
        rows = self._select(
            "SELECT recorded_at FROM records WHERE ordinal > ? ORDER BY ordinal LIMIT 1", ordinal
        )
        return int(rows[0][0]) if rows else None

    def remembered(self, limit: int) -> list[Remembered]:
        """Read the identities of the last records that the store was given, in order."""
        rows = self._select(
            "SELECT ordinal, event_id, hash, body IS NOT NULL FROM records "
            "WHERE ordinal <= ? ORDER BY ordinal DESC LIMIT ?",
            self.stored,
            limit,
        )
        return [Remembered(row[0], row[1], row[2], bool(row[3])) for row in reversed(rows)]

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
                connection.execute("UPDATE progress SET stored = ?", (end,))
            start = end

    def merge(self) -> None:
        """Merge SQLite's log into the journal's file; appending does not wait for it."""
        self._select("PRAGMA wal_checkpoint(PASSIVE)")

    def keep_apart(self, waiting: Waiting, reason: str) -> SetAside:
        """Take a record that the store cannot hold out of the line, and keep it apart.

        Raises:
            JournalUnavailable: it stays in the line.
        """
        with self._journal.writing() as connection:
            apart = self._journal.keep_apart(waiting.record, reason, self._journal.clock.wall_us())
            connection.execute("DELETE FROM records WHERE ordinal = ?", (waiting.ordinal,))
        return apart

    def _waiting(self, where: str, *values: int) -> list[Waiting]:
        rows = self._select(
            "SELECT r.ordinal, r.event_id, s.name, r.seq, r.prev_hash, r.hash, r.body, "
            "r.recorded_at, r.late FROM records r JOIN streams s ON s.id = r.stream_id "
            f"WHERE r.body IS NOT NULL AND {where}",
            *values,
        )
        return [Waiting(row[0], SealedRecord(*row[1:7]), row[7], bool(row[8])) for row in rows]

    def _select(self, statement: str, *values: int) -> list[tuple[Any, ...]]:
        with self._lock, explained(self._journal.path):
            return self._connection.execute(statement, values).fetchall()
