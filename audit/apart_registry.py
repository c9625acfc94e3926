"""The journal's records that were set aside: kept for ever, each with the reason."""

from __future__ import annotations

import sqlite3

from audit.chain import SealedRecord
from audit.receipts import SetAside


class ApartRegistry:
    """The table ``set_aside``. Every method is part of the caller's transaction.

    Args:
        connection: the journal's; whoever uses it holds the journal's lock.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing is read yet."""
        self._connection = connection

    def keep(self, record: SealedRecord, reason: str, now: int, *, in_place: bool) -> SetAside:
        """Keep a record apart; harmless when it was before.

        Args:
            record: as it came.
            reason: for people.
            now: µs UTC.
            in_place: whether it counts as taking its place in its stream.
        """
        self._connection.execute(
            "INSERT INTO set_aside (reason, event_id, stream, seq, prev_hash, hash, recorded_at, "
            "body, in_place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (reason, *record[:5], now, record.body, in_place),
        )
        return SetAside(record, reason)

    def why_taken(self, record: SealedRecord) -> str | None:
        """Say why a record cannot have its place: it, or another in its place, was set aside."""
        row = self._connection.execute(
            "SELECT event_id, hash, reason FROM set_aside "
            "WHERE stream = ? AND seq = ? AND in_place ORDER BY id LIMIT 1",
            (record.stream, record.seq),
        ).fetchone()
        if row is None:
            return None
        if row[:2] == (record.event_id, record.hash):
            return str(row[2])
        return f"its place in its stream is taken by event {row[0]}, which was set aside"

    def let_go(self, record: SealedRecord, reason: str) -> bool:
        """Take a record back that was set aside for ``reason``; whether it was."""
        cursor = self._connection.execute(
            "DELETE FROM set_aside WHERE event_id = ? AND hash = ? AND reason = ?",
            (record.event_id, record.hash, reason),
        )
        return cursor.rowcount > 0

    def all(self) -> tuple[SetAside, ...]:
        """Every record that was ever kept apart, oldest first."""
        rows = self._connection.execute(
            "SELECT event_id, stream, seq, prev_hash, hash, body, reason FROM set_aside ORDER BY id"
        ).fetchall()
        return tuple(SetAside(SealedRecord(*row[:6]), row[6]) for row in rows)

    def count(self) -> int:
        """How many records were ever kept apart."""
        (count,) = self._connection.execute("SELECT count(*) FROM set_aside").fetchone()
        return int(count)
