"""The audit in one piece: journal, filler and store, as the audit actor uses it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from audit.adoption import adopt_store
from audit.backlog import Backlog
from audit.chain import ChainHead, SealedRecord
from audit.digest_keeper import DigestKeeper, DigestPolicy
from audit.digests import DigestFile, Digests, own_digests
from audit.errors import StoreInUse, StoreUnavailable
from audit.filler import Filler, FillPolicy
from audit.gaps import StreamGap
from audit.journal import Journal
from audit.opening import make_store
from audit.queries import RecordQuery
from audit.recall import Recall
from audit.receipts import (
    AccountHistory,
    AccountLock,
    AppendReceipt,
    FinishedEpisode,
    OpenedStream,
    OpenEpisode,
    SetAside,
)
from audit.records import AuditRecord
from audit.rows import record_of_row
from audit.store import AuditStore
from audit.verify import VerifyReport, verify_store
from engine.clock import Clock, SystemClock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """How the audit fares."""

    backlog: int
    """Records that are on disk in the journal and not yet in the store."""
    lag_s: float
    """Age of the oldest of them, seconds."""
    store_open: bool
    last_error: str | None
    """Why the store cannot be filled just now; ``None`` if it can."""
    set_aside: int
    """Records that were kept apart because they contradict others or are damaged."""
    missing: int
    """Records that the store lost and the journal no longer holds."""
    alarms: tuple[str, ...]
    """What a person should know, oldest first."""


class AuditLedger:
    """Writes to the journal, fills the store, reads from the store. Safe for several threads.

    A reader sees every record that was acknowledged before it asked: reading waits until the
    store has them.

    Args:
        store: URL of the store (see :func:`audit.opening.open_store`), or a store.
        journal: path of the journal's file.
        clock: dates and measures.
        policy: how the store is filled.
        digests: path of the file that is given digests of the stored trail (see
            :mod:`audit.digests`); none is written if ``None``.
        digest_policy: when.
        fills_by_itself: whether a thread fills it. If not, nothing runs in the background:
            :meth:`fill_step` moves what there is, and so do reading and closing.

    Raises:
        JournalUnavailable: the journal cannot be opened; the message says what to do.
        StoreInUse: another process owns the store.
        StoreUnavailable: the store cannot be opened, and the journal is blank, so it cannot be
            known which streams there are. With a journal in use, the store may come later.
        NewerSchema: a newer version of this software made journal or store.
        ValueError: ``store`` names none.
    """

    def __init__(
        self,
        store: str | AuditStore,
        journal: str | Path,
        *,
        clock: Clock | None = None,
        policy: FillPolicy | None = None,
        digests: str | Path | None = None,
        digest_policy: DigestPolicy | None = None,
        fills_by_itself: bool = True,
    ) -> None:
        """Open both, give the store what it lacks, and begin to fill it."""
        self._clock = clock or SystemClock()
        self._store = (
            make_store(store, clock=self._clock, owner_number=lambda: self._journal.owner_number)
            if isinstance(store, str)
            else store
        )
        self._closed: bool | None = None
        self._digests = None if digests is None else Path(digests)
        with ExitStack() as undo:
            undo.callback(self._store.close)
            self._journal = Journal(journal, clock=self._clock)
            undo.callback(self._journal.close)
            self._backlog = Backlog(self._journal)
            undo.callback(self._backlog.close)
            self._filler = Filler(self._backlog, self._store, clock=self._clock, policy=policy)
            if self._digests is not None:
                self._filler.digests = DigestKeeper(
                    DigestFile(self._digests),
                    self._backlog,
                    self._store,
                    clock=self._clock,
                    alarm=self._filler.alarm,
                    policy=digest_policy,
                )
            self._recall = Recall(self._journal, self._backlog, self._filler, self._store)
            self._open_store()
            self._undo = undo.pop_all()
        if fills_by_itself:
            self._filler.start()

    def __enter__(self) -> AuditLedger:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def append(
        self, batch: Sequence[SealedRecord], incarnation: int | None = None
    ) -> AppendReceipt:
        """Put a batch on disk; see :meth:`audit.journal.Journal.append`.

        Raises:
            JournalUnavailable: nothing of the batch was kept.
        """
        receipt = self._journal.append(batch, incarnation)
        for apart in receipt.set_aside:
            record = apart.record
            logger.error(
                "audit: record %s@%d (event %s) was set aside: %s",
                record.stream,
                record.seq,
                record.event_id,
                apart.reason,
            )
        self._filler.notify()
        return receipt

    def open_stream(self, owner: str) -> OpenedStream:
        """Begin a new life of one owner; see :meth:`audit.journal.Journal.open_streams`."""
        return self._journal.open_stream(owner)

    def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Begin a new life of each owner; see :meth:`audit.journal.Journal.open_streams`."""
        return self._journal.open_streams(owners)

    def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """Episodes that were accepted and are not finished, oldest first."""
        return self._journal.open_episodes()

    def finished_episode(self, trigger_id: str) -> FinishedEpisode | None:
        """Return an episode that ended; ``None`` if none of that name did.

        An episode's name is remembered for ever by the journal, its records for a while: then
        they are in the store.

        Raises:
            StoreUnavailable: the store is needed for it, and cannot be asked just now.
        """
        return self._recall.finished_episode(trigger_id)

    def finished_names(self) -> tuple[str, ...]:
        """Name the last hundred thousand episodes that ended, so that none is opened again."""
        return self._journal.finished_names()

    def locks(self) -> tuple[AccountLock, ...]:
        """Accounts that are to stay flat until they are released, oldest lock first."""
        return self._journal.locks()

    def newest_lives(self, owners: Sequence[str]) -> dict[str, int]:
        """Number of each owner's newest life; 0 if it never had one."""
        return self._journal.newest_lives(owners)

    def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the final answers that accounts gave in all their lives, in the order asked.

        The store is asked only for what the journal no longer holds whole; it is not waited for,
        but for the end of a batch, and what it cannot say makes a history incomplete.

        Raises:
            ValueError: one of them is no user id.
        """
        return self._recall.histories(user_ids)

    def heads(self) -> tuple[ChainHead, ...]:
        """Last record of every stream that has one, as far as it was acknowledged."""
        return self._journal.heads()

    def gaps(self) -> tuple[StreamGap, ...]:
        """What the store lacks and the journal no longer holds, as last looked for."""
        return self._filler.gaps

    def set_aside(self) -> tuple[SetAside, ...]:
        """Every record that was ever kept apart, with the reason."""
        return self._journal.set_aside()

    def fill_step(self) -> float | None:
        """Move one batch to the store, and checkpoint if it is time; see ``fills_by_itself``.

        Returns:
            Seconds until the next step is due: 0 at once, ``None`` when there is something new.
        """
        return self._filler.step()

    def drain(self, timeout: float = 60.0) -> bool:
        """Wait until the store has all that was acknowledged; say whether it has."""
        return self._filler.drain(timeout)

    def records(
        self, query: RecordQuery | None = None, *, timeout: float = 60.0
    ) -> tuple[AuditRecord, ...]:
        """Read the records that a query chooses, every acknowledged one included.

        Args:
            query: which; all, up to the query's own limit, if ``None``.
            timeout: seconds to wait for the store to have them.

        Raises:
            StoreUnavailable: the store cannot be read, or does not have them in time.
        """
        with self.reading(timeout) as store:
            rows = store.query(query or RecordQuery())
        return tuple(record_of_row(row) for row in rows)

    def count(self, *, timeout: float = 60.0) -> int:
        """Count all records, every acknowledged one included.

        Raises:
            StoreUnavailable: the store cannot be read, or does not have them in time.
        """
        with self.reading(timeout) as store:
            return store.count()

    def verify(
        self,
        *,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
        timeout: float = 60.0,
    ) -> VerifyReport:
        """Check the chains in the store against the digests, and the last records of the journal.

        Args:
            since: see :func:`audit.verify.verify_store`.
            user_id: see there.
            digests: another file's, as a copy that was kept elsewhere; the own ones if ``None``.
            timeout: seconds to wait for the store to have every acknowledged record.

        Raises:
            StoreUnavailable: the store cannot be read, or does not have all records in time.
            DigestsUnreadable: the digests cannot be read.
        """
        heads = self._journal.heads()
        apart = [item.record for item in self._journal.set_aside()]
        with self.reading(timeout) as store:
            if digests is None and self._digests is not None:
                digests = own_digests(self._digests, self._journal.digest_end())
            return verify_store(
                store,
                anchors=heads,
                newest=self._journal.heads,
                apart=apart,
                digests=digests,
                since=since,
                user_id=user_id,
            )

    def status(self) -> LedgerStatus:
        """Say how the audit fares; never waits for the store."""
        committed = self._filler.committed
        oldest = self._backlog.oldest_after(committed)
        lag = 0.0 if oldest is None else max(0, self._clock.wall_us() - oldest) / 1e6
        return LedgerStatus(
            backlog=max(0, self._journal.newest - committed),
            lag_s=lag,
            store_open=self._store.is_open,
            last_error=self._filler.last_error,
            set_aside=self._journal.count_set_aside(),
            missing=self._filler.missing,
            alarms=tuple(self._filler.alarms),
        )

    def close(self, timeout: float = 60.0) -> bool:
        """Fill the store, checkpoint, and close everything; harmless when done twice.

        Returns:
            Whether the store has every acknowledged record for good. What it lacks stays in the
            journal, for the next life.
        """
        if self._closed is None:
            self._closed = self._filler.stop(timeout)
            self._undo.close()
        return self._closed

    def _open_store(self) -> None:
        try:
            self._filler.open_store()
        except StoreInUse:
            raise
        except StoreUnavailable as error:
            if self._journal.is_blank:
                raise
            logger.warning("audit: begun without the store, which is filled later: %s", error)
            return
        taken_over = adopt_store(self._journal, self._store)
        if taken_over is not None:
            self._filler.alarm(taken_over)

    @contextmanager
    def reading(self, timeout: float = 60.0) -> Iterator[AuditStore]:
        """Lend the store for reading: it has every record acknowledged before.

        Raises:
            StoreUnavailable: the store cannot be read, or does not have them in time.
        """
        if not self._filler.drain(timeout):
            state = self.status()
            raise StoreUnavailable(
                f"the store lacks {state.backlog} acknowledged records after {timeout:g} s "
                f"({state.last_error or 'it is being filled'}); they are safe in the journal: "
                "ask again later"
            )
        try:
            yield self._store
        except StoreUnavailable as error:
            self._filler.distrust(error)
            raise
