"""The seam of :mod:`actors.links`, filled by Ray."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

from ray.exceptions import RayActorError, RayTaskError

from actors import placement
from actors.account_process import AccountProcess
from actors.links import AccountLink, ActorLost, AuditLink
from actors.messages import AccountBook, Activated, Activation, CloseReply, WatchReply
from actors.placement import AUDIT, READING, ActorRef, account_name
from actors.registry import Registry
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt, OpenedStream, OpenEpisode
from engine.models import CloseRequest, GuardTrigger

_T = TypeVar("_T")


async def _answer(call: Awaitable[_T]) -> _T:
    """Await a remote call; a lost actor is :class:`ActorLost`, its own errors are its own."""
    try:
        return await call
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except RayActorError as error:
        raise ActorLost(str(error)) from error


class RayAccount:
    """Calls to an account actor, over Ray."""

    def __init__(self, handle: ActorRef) -> None:
        """Wrap the actor's handle."""
        self._actor = handle

    async def activate(self, activation: Activation) -> Activated:
        """Begin a life."""
        return await _answer(self._actor.activate.remote(activation))

    async def liquidate(self, trigger: GuardTrigger) -> CloseReply:
        """Close what a trigger covers."""
        return await _answer(self._actor.liquidate.remote(trigger))

    async def close(self, request: CloseRequest) -> CloseReply:
        """Close one position."""
        return await _answer(self._actor.close.remote(request))

    async def close_all(
        self, reason: str, positions: Sequence[Mapping[str, Any]] | None, key: str | None
    ) -> CloseReply:
        """Close given positions, or all that are open."""
        return await _answer(self._actor.close_all.remote(reason, positions, key))

    async def watch(self, slice_s: float) -> WatchReply:
        """Let the guards look."""
        return await _answer(self._actor.watch.remote(slice_s))

    async def book(self) -> AccountBook:
        """Read the broker's own book."""
        return await _answer(self._actor.book.remote())

    async def release(self) -> tuple[SealedRecord, ...]:
        """End the life cleanly."""
        return await _answer(self._actor.release.remote())


class RayAudit:
    """Calls to the audit actor, over Ray."""

    def __init__(self, handle: ActorRef) -> None:
        """Wrap the actor's handle."""
        self._actor = handle

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put records on disk."""
        return await _answer(self._actor.append.remote(batch))

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        return await _answer(self._actor.open_streams.remote(owners))

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List open episodes."""
        return await _answer(self._actor.open_episodes.remote())

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        call = self._actor.status.options(concurrency_group=READING)
        return await _answer(call.remote())


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

    def saved_specs(self) -> Mapping[str, object]:
        """Return the accounts that were remembered."""
        names = self._registry.names("account")
        return {name: self._registry.get("account", name) for name in names}
