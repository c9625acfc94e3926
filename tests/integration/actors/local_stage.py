"""The actors of an engine without Ray: each in a thread of its own, over scripted brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from actors.account import AccountActor
from actors.account_host import AccountHost
from actors.audit import AuditActor
from actors.links import AccountLink, ActorLost, AuditLink
from actors.messages import (
    AccountBook,
    Activated,
    Activation,
    CloseReply,
    DealsPage,
    Exposure,
    LifeSign,
    Term,
    WatchReply,
)
from actors.supervisor import Supervisor
from audit.chain import SealedRecord
from audit.differences import AccountReconciled
from audit.receipts import (
    AccountHistory,
    AccountLock,
    AppendReceipt,
    FinishedEpisode,
    OpenedStream,
    OpenEpisode,
)
from engine.brokers.account_spec import AccountSpec
from engine.brokers.port import Broker, Deal
from engine.clock import SystemClock
from engine.mandates import Mandate
from tests.scripted_broker import ScriptedBroker

_T = TypeVar("_T")


def spec(user_id: str) -> AccountSpec:
    """Name an account whose broker the stage hands out."""
    return AccountSpec(user_id=user_id, broker="tests.integration.actors.local_stage:unused")


class Threaded:
    """Runs an actor's synchronous methods one at a time, off the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)

    def submit(self, method: Callable[..., _T], *arguments: object) -> Future[_T]:
        return self._pool.submit(method, *arguments)

    async def run(self, method: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.wrap_future(self.submit(method, *arguments))

    def stop(self) -> None:
        self._pool.shutdown()


class LocalShipment:
    """Records on their way to the audit's thread."""

    def __init__(self, sent: Future[AppendReceipt]) -> None:
        self._sent = sent

    def receipt(self) -> AppendReceipt | None:
        return self._sent.result() if self._sent.done() else None


class LocalSide:
    """The engine around an account's life; the supervisor runs in the test's own loop."""

    def __init__(self, stage: LocalStage, user_id: str) -> None:
        self._stage = stage
        self._user_id = user_id
        self._loop = asyncio.get_running_loop()

    def ship(self, incarnation: int, records: Sequence[SealedRecord]) -> LocalShipment:
        audit = self._stage.local_audit
        return LocalShipment(audit.submit(audit.actor.append, tuple(records), incarnation))

    async def renew(self, incarnation: int, asked_at: float) -> Term | None:
        supervisor = self._stage.supervisor
        if supervisor is None:
            raise ActorLost("the supervisor is away")
        self._stage.renewals.append((self._user_id, incarnation))
        renewing = supervisor.renew(self._user_id, incarnation, asked_at)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(renewing, self._loop))

    async def history(self) -> AccountHistory:
        audit = self._stage.local_audit
        (history,) = await asyncio.wrap_future(audit.submit(audit.actor.histories, [self._user_id]))
        return history

    def is_dead(self, process: str) -> bool:
        return process in self._stage.dead


class LocalAccount(Threaded):
    """An account actor, and the troubles that a test gives it."""

    def __init__(self, actor: AccountActor, process: str) -> None:
        super().__init__()
        self.actor = actor
        self.process = process
        self.activations: list[Activation] = []
        self.is_dead = False
        self.losses: list[str] = []
        """Names of calls to lose: ``close`` before it acts, ``close:reply`` after."""

    def stop(self) -> None:
        self._pool.submit(self.actor.end)
        super().stop()

    async def _call(self, name: str, *arguments: object) -> Any:
        if self.is_dead:
            raise ActorLost(f"the actor of {name} was killed")
        if name in self.losses:
            self.losses.remove(name)
            raise ActorLost(f"{name} was lost")
        answer = await self.run(getattr(self.actor, name), *arguments)
        if self.is_dead:
            raise ActorLost(f"the actor of {name} was killed")
        if f"{name}:reply" in self.losses:
            self.losses.remove(f"{name}:reply")
            raise ActorLost(f"the reply of {name} was lost")
        return answer

    async def activate(self, activation: Activation) -> Activated:
        self.activations.append(activation)
        answer: Activated = await self._call("activate", activation)
        return answer

    async def life(self) -> LifeSign | None:
        answer: LifeSign | None = await self._call("life")
        return answer

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        answer: CloseReply = await self._call("close", term, mandate, accepted_us, concludes)
        return answer

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        answer: WatchReply = await self._call("watch", term, slice_s)
        return answer

    async def exposure(self, term: Term) -> Exposure:
        answer: Exposure = await self._call("exposure", term)
        return answer

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        answer: DealsPage = await self._call("deals", term, since_ms, until_ms)
        return answer

    async def book(self) -> AccountBook:
        answer: AccountBook = await self._call("book")
        return answer

    async def release(self) -> tuple[SealedRecord, ...]:
        answer: tuple[SealedRecord, ...] = await self._call("release")
        return answer


class LocalAudit(Threaded):
    """The real audit actor, with a count of calls and a switch that makes it fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.actor = AuditActor(folder / "journal.sqlite", f"duckdb:///{folder / 'audit.duckdb'}")
        self.batches: list[int] = []
        self.failures = 0

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        if self.failures:
            self.failures -= 1
            raise ActorLost("the audit is away")
        self.batches.append(len(batch))
        return await self.run(self.actor.append, batch)

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        return await self.run(self.actor.open_streams, owners)

    async def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        return await self.run(self.actor.newest_lives, owners)

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        return await self.run(self.actor.histories, user_ids)

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        return await self.run(self.actor.open_episodes)

    async def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        return await self.run(self.actor.finished_episode, episode_id)

    async def finished_names(self) -> tuple[str, ...]:
        return await self.run(self.actor.finished_names)

    async def locks(self) -> tuple[AccountLock, ...]:
        return await self.run(self.actor.locks)

    async def status(self) -> Mapping[str, Any]:
        return await self.run(self.actor.status)

    async def deals_matter_since(self, user_id: str) -> int | None:
        return await self.run(self.actor.deals_matter_since, user_id)

    async def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        return await self.run(self.actor.reconciled, user_id, deals)


class LocalStage:
    """Starts local actors; what it remembers outlives a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.local_audit = LocalAudit(folder)
        self.supervisor: Supervisor | None = None
        """Who answers renewals."""
        self.brokers: dict[str, ScriptedBroker] = {}
        self.links: dict[str, LocalAccount] = {}
        self.ended: list[str] = []
        self.killed: list[str] = []
        self.renewals: list[tuple[str, int]] = []
        self.dead: set[str] = set()
        """Processes that are proven dead."""
        self._left: list[LocalAccount] = []
        self._specs: dict[str, object] = {}
        self._watched: list[str] = []

    def broker(self, user_id: str) -> ScriptedBroker:
        return self.brokers.setdefault(user_id, ScriptedBroker())

    def _open(self, account: AccountSpec) -> Broker:
        return self.broker(account.user_id)

    async def start_account(self, user_id: str) -> AccountLink:
        if user_id not in self.links:
            process = f"process-{user_id}-{len(self._left) + len(self.ended)}"
            host = AccountHost(
                user_id,
                LocalSide(self, user_id),
                clock=SystemClock(),
                process=process,
                open_account=self._open,
            )
            self.links[user_id] = LocalAccount(AccountActor(host), process)
        return self.links[user_id]

    async def kill_account(self, user_id: str) -> None:
        """Forget the actor; its thread goes on as a killed process's last call may."""
        self.killed.append(user_id)
        link = self.links.pop(user_id, None)
        if link is not None:
            link.is_dead = True
            self.dead.add(link.process)
            self._left.append(link)

    async def end_account(self, user_id: str) -> None:
        self.ended.append(user_id)
        link = self.links.pop(user_id, None)
        if link is not None:
            link.stop()
            self.dead.add(link.process)

    def audit(self) -> AuditLink:
        return self.local_audit

    def save_spec(self, user_id: str, spec: object | None) -> None:
        if spec is None:
            self._specs.pop(user_id, None)
        else:
            self._specs[user_id] = spec

    def save_watched(self, user_ids: Sequence[str]) -> None:
        self._watched = list(user_ids)

    def saved_watched(self) -> Sequence[str]:
        return self._watched

    def saved_specs(self) -> Mapping[str, object]:
        return dict(self._specs)

    async def stop(self) -> None:
        for user_id in list(self.links):
            await self.end_account(user_id)
        for link in self._left:
            link.stop()
        await self.local_audit.run(self.local_audit.actor.close)
        self.local_audit.stop()
