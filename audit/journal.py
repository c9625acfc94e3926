"""The journal: the audit's local durable log. What it acknowledges is on disk.

A record is acknowledged when the transaction that holds it was committed and synchronised
(SQLite, WAL, ``synchronous=FULL``). Besides the records that the store may not have yet, the
journal keeps the *identity* (event id, place, hash) of the last ones that the store has, so that
a record sent again is recognised; whatever is sent again after that is put in line once more,
and the store, which knows every record, takes it for the duplicate that it is.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from audit.chain import ChainHead, SealedRecord
from audit.errors import JournalUnavailable
from audit.journal_file import OwnerLock, connect, explained, prepare, transaction
from audit.receipts import AppendReceipt, OpenedStream, OpenEpisode, SetAside
from audit.records import EventType, parts_of_body
from audit.stream_registry import StreamRegistry, StreamState
from engine.clock import Clock, SystemClock

_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TYPE = b'"event_type":"'
_CLOSED_TYPE = EventType.STREAM_CLOSED.encode()
_EPISODE_TYPES = (EventType.TRIGGER_ACCEPTED.encode(), EventType.EPISODE_FINISHED.encode())


class Journal:
    """The journal, opened for writing by its one owner. Safe to use from several threads.

    Args:
        path: the SQLite file; its folder is made if missing.
        clock: dates what is recorded.

    Raises:
        JournalInUse: another process has it open.
        NewerSchema: a newer version of this software wrote it.
        JournalUnavailable: it cannot be opened; the message says what to do.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        """Open the file, or make it."""
        self.path = Path(path)
        self.clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalUnavailable(
                f"journal={str(path)!r}: its folder cannot be made ({error}): name another file"
            ) from error
        with explained(self.path):
            self._owner = OwnerLock(self.path)
            try:
                self._connection = connect(self.path)
                try:
                    prepare(self._connection, self.path)
                    self._newest = self._read_newest()
                    self._streams = StreamRegistry(self._connection)
                except BaseException:
                    self._connection.close()
                    raise
            except BaseException:
                self._owner.release()
                raise

    def close(self) -> None:
        """Close the file and let go of it; harmless when done twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()
                self._owner.release()

    @property
    def newest(self) -> int:
        """Ordinal of the last record that was appended; 0 if none ever was."""
        return self._newest

    @property
    def is_blank(self) -> bool:
        """Whether no stream was ever opened in it or taken over."""
        with self._lock, explained(self.path):
            return self._streams.is_empty

    def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put a batch on disk, in one transaction; harmless when repeated.

        Raises:
            JournalUnavailable: nothing of the batch was kept.
        """
        if not batch:
            return AppendReceipt(frozenset())
        now = self.clock.wall_us()
        with self._lock:
            try:
                with self.writing():
                    receipt, new = self._append_new(batch, now)
            except _KnownRecord:
                with self.writing():
                    receipt, new = self._append_each(batch, now)
            # Only now: who sees the number must find the record.
            self._newest += new
        return receipt

    def open_stream(self, owner: str) -> OpenedStream:
        """Begin a new life of ``owner``; see :meth:`open_streams`."""
        return self.open_streams([owner])[0]

    def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Begin a new life of each owner, durably numbered, in one transaction.

        Args:
            owners: ``supervisor`` or ``account:<user_id>`` each (see :mod:`audit.streams`).

        Raises:
            ValueError: one of them is no owner; nothing was opened.
            JournalUnavailable: nothing was opened.
        """
        with self.writing():
            return self._streams.open(owners)

    def adopt_heads(
        self, heads: Sequence[ChainHead], *, closed_at: Mapping[str, int] | None = None
    ) -> None:
        """Take over the streams of a store that is older than this journal.

        Without it, after a journal was lost, lives would be numbered from 1 again.

        Args:
            heads: the last record of each stream.
            closed_at: number of the closing record, of the streams that have one.

        Raises:
            JournalUnavailable: nothing was taken over.
        """
        with self.writing():
            self._streams.adopt(heads)
            for stream, seq in (closed_at or {}).items():
                self._streams.close(stream, seq)

    def heads(self) -> tuple[ChainHead, ...]:
        """Last known head of every stream that has one."""
        with self._lock, explained(self.path):
            return self._streams.heads()

    def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """Episodes that were accepted and are not finished, oldest first."""
        with self._lock, explained(self.path):
            rows = self._connection.execute(
                "SELECT trigger_id, user_id, accepted_at, body FROM open_episodes "
                "ORDER BY accepted_at, trigger_id"
            ).fetchall()
        return tuple(OpenEpisode(*row) for row in rows)

    def set_aside(self) -> tuple[SetAside, ...]:
        """Every record that was ever kept apart, oldest first."""
        with self._lock, explained(self.path):
            rows = self._connection.execute(
                "SELECT event_id, stream, seq, prev_hash, hash, body, reason FROM set_aside "
                "ORDER BY id"
            ).fetchall()
        return tuple(SetAside(SealedRecord(*row[:6]), row[6]) for row in rows)

    def count_set_aside(self) -> int:
        """How many records were ever kept apart."""
        with self._lock, explained(self.path):
            (count,) = self._connection.execute("SELECT count(*) FROM set_aside").fetchone()
        return int(count)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the journal and write in one transaction; for this package.

        Raises:
            JournalUnavailable: nothing was written.
        """
        with self._lock, explained(self.path):
            try:
                with transaction(self._connection):
                    yield self._connection
            except BaseException:
                if not self._closed:
                    self._streams.forget()
                raise

    def keep_apart(self, record: SealedRecord, reason: str, now: int) -> SetAside:
        """Keep a record apart, within :meth:`writing`; for this package."""
        self._connection.execute(
            "INSERT INTO set_aside (reason, event_id, stream, seq, prev_hash, hash, recorded_at, "
            "body) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (reason, *record[:5], now, record.body),
        )
        return SetAside(record, reason)

    def _read_newest(self) -> int:
        (newest,) = self._connection.execute(
            "SELECT max(coalesce((SELECT max(ordinal) FROM records), 0), stored) FROM progress"
        ).fetchone()
        return int(newest)

    def _append_new(self, batch: Sequence[SealedRecord], now: int) -> tuple[AppendReceipt, int]:
        """Insert a batch all of whose records are new, which is nearly every batch."""
        good, states, apart = self._placed(batch, now)
        rows = [
            self._row(ordinal, record, states[record.stream], now)
            for ordinal, record in enumerate(good, self._newest + 1)
        ]
        try:
            self._connection.executemany(_INSERT, rows)
        except sqlite3.IntegrityError as error:
            raise _KnownRecord from error
        self._note(good, now)
        return self._receipt(good, apart, states), len(good)

    def _append_each(self, batch: Sequence[SealedRecord], now: int) -> tuple[AppendReceipt, int]:
        """Insert what is new of a batch, pass over what is known, set aside what contradicts."""
        good, states, apart = self._placed(batch, now)
        held: list[SealedRecord] = []
        new: list[SealedRecord] = []
        for record in good:
            state = states[record.stream]
            known = self._connection.execute(
                "SELECT event_id, hash FROM records "
                "WHERE event_id = ?1 OR (stream_id = ?2 AND seq = ?3)",
                (record.event_id, state.id, record.seq),
            ).fetchall()
            if not known:
                row = self._row(self._newest + 1 + len(new), record, state, now)
                self._connection.execute(_INSERT, row)
                new.append(record)
            elif known != [(record.event_id, record.hash)]:
                apart.append(self.keep_apart(record, _contradiction(record, known), now))
                continue
            held.append(record)
        self._note(new, now)
        return self._receipt(held, apart, states), len(new)

    def _placed(
        self, batch: Sequence[SealedRecord], now: int
    ) -> tuple[Sequence[SealedRecord], dict[str, StreamState], list[SetAside]]:
        """Find the streams of a batch; set aside records whose stream has no proper name."""
        states: dict[str, StreamState] = {}
        refused: dict[str, str] = {}
        for name in dict.fromkeys(record.stream for record in batch):
            try:
                states[name] = self._streams.find(name)
            except ValueError as error:
                refused[name] = str(error)
        if not refused:
            return batch, states, []
        apart = [
            self.keep_apart(record, refused[record.stream], now)
            for record in batch
            if record.stream in refused
        ]
        return [record for record in batch if record.stream in states], states, apart

    def _row(
        self, ordinal: int, record: SealedRecord, state: StreamState, now: int
    ) -> tuple[object, ...]:
        late = self._streams.is_superseded(state)
        event_id, _, seq, prev_hash, digest, body = record
        return ordinal, event_id, state.id, seq, prev_hash, digest, now, late, body

    def _receipt(
        self,
        held: Sequence[SealedRecord],
        apart: Sequence[SetAside],
        states: dict[str, StreamState],
    ) -> AppendReceipt:
        return AppendReceipt(
            frozenset(record.event_id for record in held),
            tuple(apart),
            frozenset(name for name, state in states.items() if self._streams.is_superseded(state)),
        )

    def _note(self, new: Sequence[SealedRecord], now: int) -> None:
        """Move the heads, and open and finish episodes, with what was inserted."""
        self._streams.advance(new)
        for record in new:
            # The first bare occurrence is the content's own: see records.parts_of_body.
            start = record.body.find(_TYPE) + len(_TYPE)
            if record.body.startswith(_EPISODE_TYPES, start):
                self._note_episode(record, now)
            elif record.body.startswith(_CLOSED_TYPE, start):
                self._streams.close(record.stream, record.seq)

    def _note_episode(self, record: SealedRecord, now: int) -> None:
        before, _, after = parts_of_body(record.body)
        if before["event_type"] == EventType.TRIGGER_ACCEPTED:
            self._connection.execute(
                "INSERT INTO open_episodes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (after["trigger_id"], after["user_id"], now, record.body),
            )
        else:
            self._connection.execute(
                "DELETE FROM open_episodes WHERE trigger_id = ?", (after["trigger_id"],)
            )


class _KnownRecord(Exception):
    """A batch holds a record that the journal holds already."""


def _contradiction(record: SealedRecord, known: Sequence[tuple[str, bytes]]) -> str:
    if any(event_id == record.event_id for event_id, _ in known):
        return "the same event was recorded before, in another place or with another content"
    return f"its place in its stream is taken by event {known[0][0]}"
