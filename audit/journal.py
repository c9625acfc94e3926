"""The journal: the audit's local durable log. What it acknowledges is on disk.

A record is acknowledged when the transaction that holds it was committed and synchronised
(SQLite, WAL, ``synchronous=FULL``). Besides the records that the store may not have yet, the
journal keeps the *identity* (event id, place, hash) of the last ones that the store has, so that
a record sent again is recognised; whatever is sent again after that is put in line once more,
and the store, which knows every record, takes it for the duplicate that it is. The records of a
stream are taken only in order (:mod:`audit.intake`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from audit.apart_registry import ApartRegistry
from audit.chain import ChainHead, SealedRecord
from audit.digest_registry import DigestEnd, DigestRegistry
from audit.episode_registry import EndedEpisode, EpisodeRegistry
from audit.errors import JournalUnavailable
from audit.intake import Intake, OutOfLine
from audit.journal_file import OwnerLock, connect, explained, prepare, transaction
from audit.receipts import AccountLock, AppendReceipt, OpenedStream, OpenEpisode, SetAside
from audit.stream_registry import StreamRegistry
from engine.clock import Clock, SystemClock


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
                    self._number = self._owner.number(self._read_drawn())
                    self._newest = self._read_newest()
                    self._streams = StreamRegistry(self._connection)
                    self._episodes = EpisodeRegistry(self._connection)
                    self._apart = ApartRegistry(self._connection)
                    self._digests = DigestRegistry(self._connection)
                    self._intake = Intake(
                        self._connection, self._streams, self._episodes, self._apart
                    )
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
    def owner_number(self) -> int | None:
        """Tells whoever owns this journal, now or next; see :meth:`OwnerLock.number`."""
        return self._number

    @property
    def is_blank(self) -> bool:
        """Whether no stream was ever opened in it or taken over."""
        with self._lock, explained(self.path):
            return self._streams.is_empty

    def append(
        self, batch: Sequence[SealedRecord], incarnation: int | None = None
    ) -> AppendReceipt:
        """Put a batch on disk, in one transaction; harmless when repeated.

        Records behind a gap in their stream are not taken: see
        :attr:`audit.receipts.AppendReceipt.expected`.

        Args:
            batch: of any streams.
            incarnation: the life of an account that hands them in by itself; ``None`` is the
                supervisor, which hands in what it was given in time. What a life that had been
                replaced concluded without proof is set aside: its successor concludes anew, and
                its answer is the one that counts. What it proved is a fact, and taken as late.

        Raises:
            JournalUnavailable: nothing of the batch was kept.
        """
        if not batch:
            return AppendReceipt(frozenset())
        now = self.clock.wall_us()
        with self._lock:
            try:
                with self.writing():
                    receipt, new = self._intake.take_all(batch, self._newest, now, incarnation)
            except OutOfLine:
                with self.writing():
                    receipt, new = self._intake.take_each(batch, self._newest, now, incarnation)
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

    def newest_lives(self, owners: Sequence[str]) -> dict[str, int]:
        """Number of each owner's newest life; 0 if it never had one."""
        with self._lock:
            return self._streams.newest_lives(owners)

    def adopt_heads(
        self,
        heads: Sequence[ChainHead],
        *,
        closed_at: Mapping[str, int] | None = None,
        noted: Sequence[tuple[SealedRecord, int]] = (),
        is_all: bool = True,
    ) -> None:
        """Take over the streams of a store that knows more than this journal.

        Without it, after a journal was lost, lives would be numbered from 1 again, and open
        episodes and locks be forgotten.

        Args:
            heads: the last record of each stream.
            closed_at: number of the closing record, of the streams that have one.
            noted: records of the store, in order, from which open episodes, locks, and the
                beginnings and ends of lives follow, each with the time when the journal of that
                day had it.
            is_all: whether ``noted`` holds all such records.

        Raises:
            JournalUnavailable: nothing was taken over.
        """
        with self.writing():
            self._streams.adopt(heads)
            for stream, seq in (closed_at or {}).items():
                self._streams.close(stream, seq)
            for record, recorded_at in noted:
                self._intake.note_stored(record, recorded_at)
            if not is_all:
                self._episodes.admit_ignorance()

    def heads(self) -> tuple[ChainHead, ...]:
        """Last known head of every stream that has one."""
        with self._lock, explained(self.path):
            return self._streams.heads()

    def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """Episodes that were accepted and are not finished, oldest first."""
        with self._lock, explained(self.path):
            return self._episodes.open_episodes()

    def is_open(self, trigger_id: str) -> bool:
        """Whether an episode was accepted and is not finished."""
        with self._lock, explained(self.path):
            return self._episodes.is_open(trigger_id)

    def ended_episode(self, trigger_id: str) -> EndedEpisode | None:
        """Return what is known of an episode that ended; ``None`` if none of that name is."""
        with self._lock, explained(self.path):
            return self._episodes.finished(trigger_id)

    def finished_names(self, limit: int = 100_000) -> tuple[str, ...]:
        """Name the episodes that ended, the last ones first, no more than ``limit``."""
        with self._lock, explained(self.path):
            return self._episodes.finished_names(limit)

    @property
    def knows_all_episodes(self) -> bool:
        """Whether every episode that ever ended is known here, if only by name."""
        with self._lock, explained(self.path):
            return self._episodes.knows_all

    def locks(self) -> tuple[AccountLock, ...]:
        """Accounts that are locked, oldest lock first."""
        with self._lock, explained(self.path):
            return self._episodes.locks()

    def set_aside(self) -> tuple[SetAside, ...]:
        """Every record that was ever kept apart, oldest first."""
        with self._lock, explained(self.path):
            return self._apart.all()

    def count_set_aside(self) -> int:
        """How many records were ever kept apart."""
        with self._lock, explained(self.path):
            return self._apart.count()

    def digest_end(self) -> DigestEnd | None:
        """Last line of the digest file, as far as noted; ``None`` if none was."""
        with self._lock, explained(self.path):
            return self._digests.end()

    def note_digest(self, end: DigestEnd) -> None:
        """Note that a line of the digest file is on disk.

        Raises:
            JournalUnavailable: it was not noted.
        """
        with self.writing():
            self._digests.note(end)

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
        """Keep a record apart that was taken before, within :meth:`writing`; for this package."""
        return self._apart.keep(record, reason, now, in_place=True)

    def _read_drawn(self) -> int:
        (drawn,) = self._connection.execute("SELECT number FROM progress").fetchone()
        return int(drawn)

    def _read_newest(self) -> int:
        (newest,) = self._connection.execute(
            # What was set aside since has no row, and its number must not be given out again.
            "SELECT max(coalesce((SELECT max(ordinal) FROM records), 0), stored, given) "
            "FROM progress"
        ).fetchone()
        return int(newest)
