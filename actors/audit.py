"""The audit actor: the one process that owns the journal and the store.

A plain class: :mod:`actors.placement` makes it remote, with one thread for appending and one for
reading, so that a long query never holds up a record. Ray loads the class in every process that
looks the actor up, accounts' among them, so what needs a database is imported when it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.chain import ChainHead, SealedRecord
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

if TYPE_CHECKING:
    from audit.certificate import Certificate
    from audit.differences import AccountReconciled
    from audit.digests import Digests
    from audit.ledger import AuditLedger
    from audit.ledger_trail import LedgerTrail
    from audit.queries import RecordQuery
    from audit.rows import Row
    from audit.store import AuditStore, StreamExtent
    from audit.totals import Group
    from audit.verify import VerifyReport
    from engine.brokers.port import Deal


class AuditActor:
    """Journal, store and the filling of one from the other, behind calls.

    Both are opened at the first call, and not when the actor is made, so that what prevents it
    reaches the caller as the error that it is.

    Args:
        journal: the journal's file.
        store_url: the store, ``duckdb:///path`` or ``postgresql+psycopg://…/database``.
        digests: the digests' file; none is written if ``None``.
    """

    def __init__(self, journal: Path, store_url: str, digests: Path | None = None) -> None:
        """Know what to open."""
        self._digests = digests
        self._journal = journal
        self._store_url = store_url
        self._opening = threading.Lock()
        self._opened: AuditLedger | None = None

    @property
    def _ledger(self) -> AuditLedger:
        from audit.ledger import AuditLedger

        with self._opening:
            if self._opened is None:
                self._opened = AuditLedger(self._store(), self._journal, digests=self._digests)
            return self._opened

    @property
    def _trail(self) -> LedgerTrail:
        from audit.ledger_trail import LedgerTrail

        return LedgerTrail(self._ledger)

    def _store(self) -> str | AuditStore:
        """Say which store the journal fills; another kind of audit actor may bring its own."""
        return self._store_url

    def append(
        self, batch: Sequence[SealedRecord], incarnation: int | None = None
    ) -> AppendReceipt:
        """Put records on disk, in the journal; see :meth:`audit.journal.Journal.append`."""
        return self._ledger.append(batch, incarnation)

    def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives, durably."""
        return self._ledger.open_streams(owners)

    def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List episodes that were accepted and not finished."""
        return self._ledger.open_episodes()

    def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        """Say which life of each owner is the newest."""
        return self._ledger.newest_lives(owners)

    def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the answers that accounts have given in all their lives."""
        return self._ledger.histories(user_ids)

    def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        """Return an episode that ended."""
        return self._ledger.finished_episode(episode_id)

    def finished_names(self) -> tuple[str, ...]:
        """Name the episodes that ended, as many of the last ones as are remembered."""
        return self._ledger.finished_names()

    def locks(self) -> tuple[AccountLock, ...]:
        """List the accounts that are locked."""
        return self._ledger.locks()

    def records(self, query: RecordQuery) -> list[AuditRecord]:
        """Read acknowledged records."""
        return list(self._ledger.records(query))

    def count(self) -> int:
        """Count acknowledged records."""
        return self._ledger.count()

    def verify(self) -> str | None:
        """Check every chain; returns the first problem in words."""
        return self.verification().first_problem

    def verification(
        self,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
    ) -> VerifyReport:
        """Check the chains for a :class:`actors.engine_trail.EngineTrail`."""
        return self._ledger.verify(since=since, user_id=user_id, digests=digests)

    def certificate(self, trigger_id: str, made_at: int) -> Certificate:
        """Make the flat certificate of an episode; see :func:`certificate_of`."""
        from audit.certifying import certificate_of

        return certificate_of(self._trail, trigger_id, made_at=made_at)

    def deals_matter_since(self, user_id: str) -> int | None:
        """Say from which broker time on an account's deals matter; ``None``: it has no records."""
        from audit.reconciling_trail import account_claims

        claims = account_claims(self._trail, user_id)
        return None if claims is None else claims.horizon.since_ms

    def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        """Compare the records of an account with its broker's deals."""
        from audit.reconciling_trail import reconciled

        return reconciled(self._trail, user_id, deals)

    def query(self, query: RecordQuery) -> list[Row]:
        """Read rows for a :class:`actors.engine_trail.EngineTrail`."""
        return self._trail.query(query)

    def groups(self, query: RecordQuery) -> list[Group]:
        """Add records up for a :class:`actors.engine_trail.EngineTrail`."""
        return self._trail.groups(query)

    def heads(self) -> Sequence[ChainHead]:
        """Say how far the journal knows every stream."""
        return self._trail.heads()

    def set_aside(self) -> Sequence[SetAside]:
        """List the records that were kept apart."""
        return self._trail.set_aside()

    def extents(self) -> Sequence[StreamExtent]:
        """Say how far every stream goes in the store."""
        return self._trail.extents()

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows by stream and number."""
        return self._trail.read_streams(streams, after, up_to)

    def drain(self, timeout_s: float) -> bool:
        """Wait until the store holds all that was acknowledged; whether it does."""
        return self._ledger.drain(timeout_s)

    def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        return asdict(self._ledger.status())

    def close(self) -> None:
        """Drain, checkpoint and close."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
