"""The actors of an engine without Ray: each in a thread of its own, over scripted brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from actors.account import AccountActor
from actors.audit import AuditActor
from actors.links import AccountLink, ActorLost, AuditLink
from actors.messages import AccountBook, Activated, Activation, CloseReply, WatchReply
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt, OpenedStream, OpenEpisode
from engine.brokers.account_spec import AccountSpec
from engine.brokers.port import Broker
from engine.models import CloseRequest, GuardTrigger
from tests.scripted_broker import ScriptedBroker

_T = TypeVar("_T")


def spec(user_id: str) -> AccountSpec:
    """Name an account whose broker the stage hands out."""
    return AccountSpec(user_id=user_id, broker="tests.integration.actors.local_stage:unused")


class Threaded:
    """Runs an actor's synchronous methods one at a time, off the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)

    async def run(self, method: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: method(*arguments))

    def stop(self) -> None:
        self._pool.shutdown()


class LocalAccount(Threaded):
    """An account actor, and the troubles that a test gives it."""

    def __init__(self, actor: AccountActor) -> None:
        super().__init__()
        self.actor = actor
        self.activations: list[Activation] = []
        self.losses: list[str] = []
        """Names of calls to lose: ``liquidate`` before it acts, ``liquidate:reply`` after."""

    def stop(self) -> None:
        self._pool.submit(self.actor.end)
        super().stop()

    async def _call(self, name: str, *arguments: object) -> Any:
        if name in self.losses:
            self.losses.remove(name)
            raise ActorLost(f"{name} was lost")
        answer = await self.run(getattr(self.actor, name), *arguments)
        if f"{name}:reply" in self.losses:
            self.losses.remove(f"{name}:reply")
            raise ActorLost(f"the reply of {name} was lost")
        return answer

    async def activate(self, activation: Activation) -> Activated:
        self.activations.append(activation)
        answer: Activated = await self._call("activate", activation)
        return answer

    async def liquidate(self, trigger: GuardTrigger) -> CloseReply:
        answer: CloseReply = await self._call("liquidate", trigger)
        return answer

    async def close(self, request: CloseRequest) -> CloseReply:
        answer: CloseReply = await self._call("close", request)
        return answer

    async def close_all(
        self, reason: str, positions: Sequence[Mapping[str, Any]] | None, key: str | None
    ) -> CloseReply:
        answer: CloseReply = await self._call("close_all", reason, positions, key)
        return answer

    async def watch(self, slice_s: float) -> WatchReply:
        answer: WatchReply = await self._call("watch", slice_s)
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

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        return await self.run(self.actor.open_episodes)

    async def status(self) -> Mapping[str, Any]:
        return await self.run(self.actor.status)


class LocalStage:
    """Starts local actors; what it remembers outlives a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.local_audit = LocalAudit(folder)
        self.brokers: dict[str, ScriptedBroker] = {}
        self.links: dict[str, LocalAccount] = {}
        self.ended: list[str] = []
        self._specs: dict[str, object] = {}

    def broker(self, user_id: str) -> ScriptedBroker:
        return self.brokers.setdefault(user_id, ScriptedBroker())

    def _open(self, spec: AccountSpec) -> Broker:
        return self.broker(spec.user_id)

    async def start_account(self, user_id: str) -> AccountLink:
        if user_id not in self.links:
            self.links[user_id] = LocalAccount(AccountActor(user_id, open_account=self._open))
        return self.links[user_id]

    async def end_account(self, user_id: str) -> None:
        self.ended.append(user_id)
        link = self.links.pop(user_id, None)
        if link is not None:
            link.stop()

    def audit(self) -> AuditLink:
        return self.local_audit

    def save_spec(self, user_id: str, spec: object | None) -> None:
        if spec is None:
            self._specs.pop(user_id, None)
        else:
            self._specs[user_id] = spec

    def saved_specs(self) -> Mapping[str, object]:
        return dict(self._specs)

    async def stop(self) -> None:
        for user_id in list(self.links):
            await self.end_account(user_id)
        await self.local_audit.run(self.local_audit.actor.close)
        self.local_audit.stop()
