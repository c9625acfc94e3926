"""The simulated audit actor: the real ledger and journal, lives that end without a close."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from actors.simulation.clock import ProcessClock
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.inboxes import OneByOne
from actors.simulation.memory_store import Acted, MemoryStore
from actors.simulation.network import Answer
from actors.simulation.process import Process
from audit.chain import SealedRecord
from audit.differences import AccountReconciled
from audit.errors import JournalUnavailable
from audit.filler import FillPolicy
from audit.ledger import AuditLedger
from audit.ledger_trail import LedgerTrail
from audit.receipts import (
    AccountHistory,
    AccountLock,
    AppendReceipt,
    FinishedEpisode,
    OpenedStream,
    OpenEpisode,
)
from audit.reconciling_trail import account_claims, reconciled
from audit.records import record_of
from audit.streams import SUPERVISOR
from engine.brokers.port import Deal

FILLING = FillPolicy(
    batch=40,
    linger_s=0.4,
    checkpoint_rows=30,
    checkpoint_s=2.0,
    first_wait_s=0.2,
    longest_wait_s=2.0,
)
NOTHING_DUE_S = 5.0
"""Pause of the filling when nothing is to be done."""
COMMIT_S = 0.0005
"""How long a commit of the journal takes while its disk is well."""


@dataclass(slots=True)
class Disk:
    """The disk that journal and store are on; it outlives every process."""

    journal: Path
    store: MemoryStore
    acted: Acted
    random: Random
    """Decides which commits fail."""
    commit_s: float = COMMIT_S
    """How long a commit of the journal takes."""
    store_s: float = 0.0
    """How long a batch for the store, or a look into it, takes."""
    is_full: bool = False
    """Whether the journal cannot be written."""
    failing: float = 0.0
    """Share of the journal's commits that fail."""
    deaths: list[tuple[Disturbance, int]] = field(default_factory=list)
    """Which deaths wait for a commit, and how many commits go well before."""

    def __post_init__(self) -> None:
        """Have the store tell of its own faults, too."""
        self.store.acted = self.acted

    async def commit(self, users: Sequence[str]) -> None:
        """Commit the journal, as far as the disk lets it.

        Args:
            users: accounts that what is written concerns.

        Raises:
            JournalUnavailable: the disk is full.
        """
        await asyncio.sleep(self.commit_s)
        if self.is_full:
            self.acted(Disturbance.JOURNAL_FULL, users)
            raise JournalUnavailable(
                "the simulated journal's disk is full: free space on it; nothing was kept"
            )

    async def look_into_store(self, users: Sequence[str]) -> None:
        """Take the time that a look into the store takes, for what concerns these accounts."""
        await asyncio.sleep(self.store_s)
        if self.store_s:
            self.acted(Disturbance.STORE_SLOW, users)

    def next_commit(self) -> Disturbance | None:
        """Say what becomes of the next commit of records; ``None``: it goes well."""
        if self.deaths:
            kind, left = self.deaths.pop(0)
            if not left:
                return kind
            self.deaths.insert(0, (kind, left - 1))
        if self.failing and self.random.random() < self.failing:
            return Disturbance.JOURNAL_FAILING
        return None


class BreakingOff(tuple[SealedRecord, ...]):
    """A batch at whose end the disk reports an error: while it is written, before the commit.

    The journal goes through a batch twice, so that what it then undoes is nearly all it did.
    """

    _passes = 0

    def __iter__(self) -> Iterator[SealedRecord]:
        """Give the records; the second time an error comes after them."""
        self._passes += 1
        yield from super().__iter__()
        if self._passes > 1:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error


class AuditHost:
    """What the audit actor serves, an :class:`actors.links.AuditLink`."""

    def __init__(self, ledger: AuditLedger, disk: Disk, told: AuditEar) -> None:
        """Serve ``ledger``."""
        self._ledger = ledger
        self._disk = disk
        self._told = told
        self.has_news = True
        """Whether records came that the store was not offered yet."""
        self.waiting: set[str] = set()
        """Accounts of which records came that the store has not taken yet."""
        self.dating: Sequence[str] = ()
        """Accounts whose records are put on disk, and dated, at this moment."""

    async def append(
        self, batch: Sequence[SealedRecord], incarnation: int | None = None
    ) -> AppendReceipt:
        """Put records on disk."""
        is_slow = self._disk.commit_s > COMMIT_S
        users = users_of(batch)
        await self._disk.commit(users)
        fate = self._disk.next_commit()
        if fate is Disturbance.KILL_AUDIT_BEFORE_COMMIT:
            self._die(fate, batch)
        if fate is Disturbance.JOURNAL_FAILING:
            self._disk.acted(fate, users)
            batch = BreakingOff(batch)
        self.dating = users
        try:
            receipt = self._ledger.append(batch, incarnation)
        finally:
            self.dating = ()
        self.has_news = True
        self.waiting.update(users)
        self._told.appended(batch, receipt)
        if is_slow:  # an episode that this batch opens was held up, too
            self._disk.acted(Disturbance.JOURNAL_SLOW, users)
        if fate is Disturbance.KILL_AUDIT_AFTER_COMMIT:
            self._die(fate, batch)
        return receipt

    def _die(self, kind: Disturbance, batch: Sequence[SealedRecord]) -> NoReturn:
        self._disk.acted(kind, users_of(batch))
        raise asyncio.CancelledError  # nothing leaves a dead process

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        is_slow = self._disk.commit_s > COMMIT_S
        users = [owner.partition(":")[2] for owner in owners if owner != SUPERVISOR]
        await self._disk.commit(users)
        if is_slow:
            self._disk.acted(Disturbance.JOURNAL_SLOW, users)
        return self._ledger.open_streams(owners)

    async def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        """Say which life of each owner is the newest."""
        return self._ledger.newest_lives(owners)

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the answers that accounts have given."""
        await self._disk.look_into_store(user_ids)
        return tuple(self._ledger.histories(user_ids))

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List open episodes."""
        return self._ledger.open_episodes()

    async def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        """Return an episode of an earlier life."""
        await self._disk.look_into_store(())
        return self._ledger.finished_episode(episode_id)

    async def finished_names(self) -> tuple[str, ...]:
        """Name the episodes that ended."""
        return tuple(self._ledger.finished_names())

    async def locks(self) -> tuple[AccountLock, ...]:
        """List the locked accounts."""
        return tuple(self._ledger.locks())

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        return asdict(self._ledger.status())

    async def deals_matter_since(self, user_id: str) -> int | None:
        """Say from which broker time on an account's deals matter."""
        await self._disk.look_into_store((user_id,))
        claims = account_claims(LedgerTrail(self._ledger), user_id)
        return None if claims is None else claims.horizon.since_ms

    async def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        """Compare the records of an account with its broker's deals."""
        await self._disk.look_into_store((user_id,))
        return reconciled(LedgerTrail(self._ledger), user_id, deals)


def users_of(batch: Iterable[SealedRecord]) -> list[str]:
    """Name the accounts that records concern."""
    return sorted({record_of(sealed.body).user_id for sealed in batch} - {""})


class AuditEar:
    """Hears what the audit has taken; the base class does not care."""

    def appended(self, batch: Sequence[SealedRecord], receipt: AppendReceipt) -> None:
        """A batch is on disk, as far as the receipt says."""


_WRITING = ("append", "open_streams")


class AuditLife:
    """One life of the audit actor, from opening the files to its death.

    It writes in one thread and reads in another, so that a slow store never holds up a record.

    Args:
        process: that it lives in.
        clock: the process's.
        disk: where the files are.
        told: hears what is taken.
    """

    def __init__(self, process: Process, clock: ProcessClock, disk: Disk, told: AuditEar) -> None:
        """Open journal and store, and begin to fill the store.

        Raises:
            AuditError: they cannot be opened.
        """
        self.ledger = AuditLedger(
            disk.store, disk.journal, clock=clock, policy=FILLING, fills_by_itself=False
        )
        self._disk = disk
        self.process = process
        self._host = AuditHost(self.ledger, disk, told)
        self._writing = OneByOne(process, self._host, rests=False)
        self._reading = OneByOne(process, self._host, rests=False)
        process.run(self._fill())

    @property
    def dating(self) -> Sequence[str]:
        """Accounts whose records are dated at this moment."""
        return self._host.dating

    def deliver(self, method: str, args: tuple[Any, ...], answer: Answer) -> None:
        """Queue a call in its thread."""
        (self._writing if method in _WRITING else self._reading).deliver(method, args, answer)

    async def _fill(self) -> None:
        due_s = 0.0
        loop = asyncio.get_running_loop()
        while True:
            slow_s = self._disk.store_s
            await asyncio.sleep(FILLING.linger_s + slow_s)
            if not self._host.has_news and loop.time() < due_s:
                continue
            self._host.has_news = False
            self._count_troubles(is_slow=slow_s > 0)
            pause = self.ledger.fill_step()
            if self._disk.store.is_open:
                self._host.waiting.clear()
            due_s = loop.time() + (NOTHING_DUE_S if pause is None else pause)

    def _count_troubles(self, *, is_slow: bool) -> None:
        """Count what the store does to the records that it is offered now."""
        disk, users = self._disk, sorted(self._host.waiting)
        if is_slow:
            disk.acted(Disturbance.STORE_SLOW, users)
        if disk.store.is_away:
            disk.acted(Disturbance.STORE_AWAY, users)
        elif disk.store.is_full:
            disk.acted(Disturbance.STORE_FULL, users)

    def crash(self, *, tail_lost: bool) -> None:
        """Die: nothing more is filled or checkpointed; committed rows of the journal stay."""
        self.process.kill()
        self._disk.store.crash(tail_lost=tail_lost)
        was_away, self._disk.store.is_away = self._disk.store.is_away, True
        try:
            self.ledger.close(0.0)  # only lets go of the journal's file: the store is away
        finally:
            self._disk.store.is_away = was_away
