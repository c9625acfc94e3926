"""The seam of :mod:`actors.links`, filled by Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from ray.exceptions import RayError, RayTaskError

from actors import placement
from actors.account_process import AccountProcess
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
from actors.placement import AUDIT, READING, RECALLING, ActorRef, account_name
from actors.registry import Registry
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
from engine.brokers.port import Deal
from engine.mandates import Mandate

_T = TypeVar("_T")

LONGEST_RECALL_S = 30.0
"""How long the supervisor waits for one answer of the audit actor."""


async def answer(call: Awaitable[_T]) -> _T:
    """Await a remote call; the actor's own errors are its own.

    Raises:
        ActorLost: the actor, its node or the reply was lost: what became of the call is unknown.
    """
    try:
        return await call
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except RayError as error:
        raise ActorLost(f"{type(error).__name__}: {error}") from error


async def in_time(call: Awaitable[_T]) -> _T:
    """Await a call to the audit actor, but not for ever: closing depends on it."""
    try:
        async with asyncio.timeout(LONGEST_RECALL_S):
            return await answer(call)
    except TimeoutError as error:
        raise ActorLost(f"the audit gave no answer within {LONGEST_RECALL_S:g} s") from error


class RayAccount:
    """Calls to an account actor, over Ray."""

    def __init__(self, handle: ActorRef) -> None:
        """Wrap the actor's handle."""
        self._actor = handle

    async def activate(self, activation: Activation) -> Activated:
        """Begin a life."""
        return await answer(self._actor.activate.remote(activation))

    async def life(self) -> LifeSign | None:
        """Say which life it is in."""
        return await answer(self._actor.life.remote())

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers."""
        return await answer(self._actor.close.remote(term, mandate, accepted_us, concludes))

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look."""
        return await answer(self._actor.watch.remote(term, slice_s))

    async def exposure(self, term: Term) -> Exposure:
        """Count what is open."""
        return await answer(self._actor.exposure.remote(term))

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time."""
        return await answer(self._actor.deals.remote(term, since_ms, until_ms))

    async def book(self) -> AccountBook:
        """Read the broker's own book."""
        return await answer(self._actor.book.remote())

    async def release(self) -> tuple[SealedRecord, ...]:
        """End the life cleanly."""
        return await answer(self._actor.release.remote())


class RayAudit:
    """Calls to the audit actor, over Ray."""

    def __init__(self, handle: ActorRef) -> None:
        """Wrap the actor's handle."""
        self._actor = handle

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put records on disk."""
        return await answer(self._actor.append.remote(batch))

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        return await in_time(self._actor.open_streams.remote(owners))

    async def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        """Say which life of each owner is the newest."""
        return await in_time(self._actor.newest_lives.remote(owners))

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return earlier answers."""
        call = self._actor.histories.options(concurrency_group=RECALLING)
        return await in_time(call.remote(user_ids))

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List open episodes."""
        return await in_time(self._actor.open_episodes.remote())

    async def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        """Return an episode of an earlier life."""
        call = self._actor.finished_episode.options(concurrency_group=RECALLING)
        return await in_time(call.remote(episode_id))

    async def finished_names(self) -> tuple[str, ...]:
        """Name the episodes that ended."""
        return await in_time(self._actor.finished_names.remote())

    async def locks(self) -> tuple[AccountLock, ...]:
        """List the accounts that are locked."""
        return await in_time(self._actor.locks.remote())

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        call = self._actor.status.options(concurrency_group=RECALLING)
        return await in_time(call.remote())

    async def deals_matter_since(self, user_id: str) -> int | None:
        """Say from which broker time on an account's deals matter."""
        call = self._actor.deals_matter_since.options(concurrency_group=READING)
        return await answer(call.remote(user_id))

    async def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        """Compare the records of an account with its broker's deals."""
        call = self._actor.reconciled.options(concurrency_group=READING)
        return await answer(call.remote(user_id, deals))


class RayStage:
    """Actors on a Ray cluster, in one namespace."""

    def __init__(self, namespace: str) -> None:
        """Work in ``namespace``."""
        self._namespace = namespace
        self._registry = Registry(namespace)

    async def start_account(self, user_id: str) -> AccountLink:
        """Start the account's actor, or find it; one that Ray is restarting is waited for."""
        return RayAccount(
            placement.start(
                AccountProcess,
                self._namespace,
                account_name(user_id),
                user_id,
                get_if_exists=True,
            )
        )

    async def kill_account(self, user_id: str) -> None:
        """Kill the account's actor, whatever it is doing; Ray starts it again."""
        placement.kill(self._namespace, account_name(user_id))

    async def end_account(self, user_id: str) -> None:
        """End the account's actor for good; harmless if it is gone."""
        placement.end(self._namespace, account_name(user_id))

    def audit(self) -> AuditLink:
        """Return the audit actor."""
        return RayAudit(placement.find(self._namespace, AUDIT))

    def save_spec(self, user_id: str, spec: object | None) -> None:
        """Remember an account for the supervisor's next life; ``None`` forgets it."""
        if spec is None:
            self._registry.remove("account", user_id)
        else:
            self._registry.put("account", user_id, spec)

    def save_watched(self, user_ids: Sequence[str]) -> None:
        """Remember which accounts' guards are to watch."""
        self._registry.put("watched", "accounts", list(user_ids))

    def saved_watched(self) -> Sequence[str]:
        """Return the accounts whose guards are to watch."""
        found = self._registry.names("watched")
        return list(self._registry.get("watched", found[0])) if found else []

    def saved_specs(self) -> Mapping[str, object]:
        """Return the accounts that were remembered."""
        names = self._registry.names("account")
        return {name: self._registry.get("account", name) for name in names}
