"""The journal's episodes, open and lately finished, and the locks that they left on accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit import canonical
from audit.chain import SealedRecord
from audit.receipts import AccountLock, OpenEpisode
from audit.records import EventType, parts_of_body

EPISODE_EVENTS = (
    EventType.TRIGGER_ACCEPTED,
    EventType.CLOSE_ACCEPTED,
    EventType.EPISODE_FINISHED,
    EventType.ACCOUNT_LOCKED,
    EventType.ACCOUNT_RELEASED,
)
"""Kinds of records that are noted here."""


@dataclass(frozen=True, slots=True)
class EndedEpisode:
    """What the journal knows of an episode that ended: its name for ever, its records a while."""

    user_id: str
    accepted: bytes | None
    finished: bytes | None


class EpisodeRegistry:
    """Three tables that follow from the records. Every method is part of the caller's transaction.

    Args:
        connection: the journal's; whoever uses it holds the journal's lock.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing is read yet."""
        self._connection = connection

    def note(self, record: SealedRecord, ordinal: int, now: int) -> None:
        """Note what a record of one of the :data:`EPISODE_EVENTS` changes.

        Args:
            record: new, and in its place in its stream.
            ordinal: its number in the journal; 0 if it is only in the store.
            now: when the journal had it, µs UTC.
        """
        before, meta, after = parts_of_body(record.body)
        kind = before["event_type"]
        if kind in (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED):
            self._open(record, after, now)
            if kind == EventType.TRIGGER_ACCEPTED:
                self._count_sweep(after["user_id"], canonical.decode(meta))
        elif kind == EventType.EPISODE_FINISHED:
            self._finish(record, after, ordinal)
        elif kind == EventType.ACCOUNT_LOCKED:
            # The first lock stands until it is released: sweeps are numbered by its episode.
            self._connection.execute(
                "INSERT INTO account_locks VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (after["user_id"], after["trigger_id"] or "", after["occurred_at"]),
            )
        elif kind == EventType.ACCOUNT_RELEASED:
            self._connection.execute(
                "DELETE FROM account_locks WHERE user_id = ?", (after["user_id"],)
            )
            self._connection.execute(
                "UPDATE open_episodes SET is_released = 1 WHERE user_id = ?", (after["user_id"],)
            )

    def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """Episodes that were accepted and are not finished, oldest first."""
        rows = self._connection.execute(
            "SELECT trigger_id, user_id, accepted_at, body, is_released FROM open_episodes "
            "ORDER BY accepted_at, trigger_id"
        ).fetchall()
        return tuple(
            OpenEpisode(trigger_id, user_id, accepted_at, body, is_released == 1)
            for trigger_id, user_id, accepted_at, body, is_released in rows
        )

    def is_open(self, trigger_id: str) -> bool:
        """Whether an episode was accepted and is not finished."""
        found = self._connection.execute(
            "SELECT 1 FROM open_episodes WHERE trigger_id = ?", (trigger_id,)
        ).fetchone()
        return found is not None

    def finished(self, trigger_id: str) -> EndedEpisode | None:
        """Return what is known of an episode that ended; ``None`` if none of that name is."""
        row = self._connection.execute(
            "SELECT user_id, accepted, finished FROM finished_episodes WHERE trigger_id = ?",
            (trigger_id,),
        ).fetchone()
        return None if row is None else EndedEpisode(*row)

    def finished_names(self, limit: int) -> tuple[str, ...]:
        """Name the last episodes that ended."""
        rows = self._connection.execute(
            "SELECT trigger_id FROM finished_episodes ORDER BY ordinal DESC LIMIT ?", (limit,)
        ).fetchall()
        return tuple(row[0] for row in rows)

    @property
    def knows_all(self) -> bool:
        """Whether every episode that ever ended is known here, if only by name."""
        (knows,) = self._connection.execute("SELECT knows_episodes FROM progress").fetchone()
        return bool(knows)

    def admit_ignorance(self) -> None:
        """Note that some episodes that ended are not known here."""
        self._connection.execute("UPDATE progress SET knows_episodes = 0")

    def locks(self) -> tuple[AccountLock, ...]:
        """Accounts that are locked, oldest lock first."""
        rows = self._connection.execute(
            "SELECT user_id, trigger_id, locked_at, sweeps FROM account_locks "
            "ORDER BY locked_at, user_id"
        ).fetchall()
        return tuple(AccountLock(*row) for row in rows)

    def _open(self, record: SealedRecord, after: Mapping[str, Any], now: int) -> None:
        self._connection.execute(
            "INSERT INTO open_episodes (trigger_id, user_id, accepted_at, body) "
            "VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (after["trigger_id"] or "", after["user_id"], now, record.body),
        )

    def _finish(self, record: SealedRecord, after: Mapping[str, Any], ordinal: int) -> None:
        trigger_id, user_id = after["trigger_id"] or "", after["user_id"]
        self._connection.execute(
            "INSERT INTO finished_episodes VALUES (?1, ?2, ?3, "
            "(SELECT body FROM open_episodes WHERE trigger_id = ?1), ?4) ON CONFLICT DO NOTHING",
            (trigger_id, user_id, ordinal, record.body),
        )
        self._connection.execute("DELETE FROM open_episodes WHERE trigger_id = ?", (trigger_id,))

    def _count_sweep(self, user_id: str, meta: Mapping[str, Any]) -> None:
        inputs = meta.get("inputs")
        if not isinstance(inputs, Mapping):
            return
        locked_by, number = inputs.get("sweep_of"), inputs.get("sweep")
        if isinstance(locked_by, str) and type(number) is int and number < 2**63:
            self._connection.execute(
                "UPDATE account_locks SET sweeps = max(sweeps, ?) "
                "WHERE user_id = ? AND trigger_id = ?",
                (number, user_id, locked_by),
            )
