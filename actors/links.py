"""The seam between the engine's parts: a handful of awaitable calls, and one way to start an actor.

In production Ray fills it (:mod:`actors.placement`); a simulation can fill it with messages that
are late, lost or doubled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from actors.messages import AccountBook, Activated, Activation, CloseReply, WatchReply
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt, OpenedStream, OpenEpisode
from engine.errors import RiskEngineError
from engine.models import CloseRequest, GuardTrigger


class ActorLost(RiskEngineError):
    """The actor died or could not be reached in mid-call: what became of the call is unknown."""


class NotActivated(RiskEngineError):
    """The actor has begun a new life and does not know its work yet: activate it."""


class AccountLink(Protocol):
    """Calls to one account actor. Every one may raise :class:`ActorLost`."""

    async def activate(self, activation: Activation) -> Activated:
        """Begin a life."""
        ...

    async def liquidate(self, trigger: GuardTrigger) -> CloseReply:
        """Close what a trigger covers."""
        ...

    async def close(self, request: CloseRequest) -> CloseReply:
        """Close one position."""
        ...

    async def close_all(
        self, reason: str, positions: Sequence[Mapping[str, Any]] | None, key: str | None
    ) -> CloseReply:
        """Close given positions, or all that are open."""
        ...

    async def watch(self, slice_s: float) -> WatchReply:
        """Let the guards look at the account for at most ``slice_s`` seconds of work."""
        ...

    async def book(self) -> AccountBook:
        """Read the broker's own book."""
        ...

    async def release(self) -> tuple[SealedRecord, ...]:
        """End the life cleanly; returns its last records."""
        ...


class AuditLink(Protocol):
    """Calls to the audit actor. Every one may raise :class:`ActorLost`."""

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put records on disk."""
        ...

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        ...

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List episodes that were accepted and not finished."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        ...


class Stage(Protocol):
    """Where actors live: starts and ends them."""

    async def start_account(self, user_id: str) -> AccountLink:
        """Start the account's actor, or find it."""
        ...

    async def end_account(self, user_id: str) -> None:
        """End the account's actor for good; harmless if it is gone."""
        ...

    def audit(self) -> AuditLink:
        """Return the audit actor."""
        ...

    def save_spec(self, user_id: str, spec: object | None) -> None:
        """Remember an account for the supervisor's next life; ``None`` forgets it."""
        ...

    def saved_specs(self) -> Mapping[str, object]:
        """Return the accounts that were remembered."""
        ...
