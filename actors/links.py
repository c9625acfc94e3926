"""The seam between the engine's parts: a handful of awaitable calls, and one way to start, kill
and restart an actor.

In production Ray fills it (:mod:`actors.ray_stage`); a simulation fills it with messages that are
late, lost or doubled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
from engine.errors import RiskEngineError
from engine.mandates import Mandate


class ActorLost(RiskEngineError):
    """The actor died or could not be reached in mid-call: what became of the call is unknown."""


class NotActivated(RiskEngineError):
    """The actor is not in the life that was meant: activate it, or ask for the one it is in."""


class AccountLink(Protocol):
    """Calls to one account actor. Every one may raise :class:`ActorLost`."""

    async def activate(self, activation: Activation) -> Activated:
        """Begin a life."""
        ...

    async def life(self) -> LifeSign | None:
        """Say which life it is in; ``None`` before its first activation."""
        ...

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers that was accepted at ``accepted_us`` (wall clock, UTC).

        With ``concludes`` nothing more is sent: what waited for its market ends as it is.
        """
        ...

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look at the account for at most ``slice_s`` seconds of work."""
        ...

    async def exposure(self, term: Term) -> Exposure:
        """Count what is open."""
        ...

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time, both ends included."""
        ...

    async def book(self) -> AccountBook:
        """Read the broker's own book."""
        ...

    async def release(self) -> tuple[SealedRecord, ...]:
        """End the life cleanly; returns the records that are not known to be on disk."""
        ...


class AuditLink(Protocol):
    """Calls to the audit actor. Every one may raise :class:`ActorLost`."""

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put records on disk."""
        ...

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        ...

    async def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        """Say which life of each owner is the newest."""
        ...

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the answers that accounts have given in all their lives."""
        ...

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List episodes that were accepted and not finished."""
        ...

    async def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        """Return an episode of an earlier life; ``None`` if there is none of that name."""
        ...

    async def finished_names(self) -> tuple[str, ...]:
        """Name the episodes that ended, as many of the last ones as are remembered."""
        ...

    async def locks(self) -> tuple[AccountLock, ...]:
        """List the accounts that are locked."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        ...

    async def deals_matter_since(self, user_id: str) -> int | None:
        """Say from which broker time on an account's deals matter; ``None``: it has no records."""
        ...

    async def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        """Compare the records of an account with its broker's deals."""
        ...


class Shipment(Protocol):
    """Records on their way to the audit."""

    def receipt(self) -> AppendReceipt | None:
        """Return what became of them, ``None`` while that is not known; never blocks.

        Raises:
            RiskEngineError: nothing is known to have been written.
        """
        ...


class EngineSide(Protocol):
    """What the life of an account asks of the engine around it."""

    def ship(self, incarnation: int, records: Sequence[SealedRecord]) -> Shipment:
        """Send records to the audit without waiting for it, as the life of that number."""
        ...

    async def renew(self, incarnation: int, asked_at: float) -> Term | None:
        """Ask the supervisor for the lease anew; ``None``: a newer life has begun.

        Raises:
            ActorLost: nobody answered.
        """
        ...

    async def history(self) -> AccountHistory:
        """Read the account's earlier answers once more.

        Raises:
            ActorLost: nobody answered.
        """
        ...

    def is_dead(self, process: str) -> bool:
        """Whether a process is proven to have ended."""
        ...


class Stage(Protocol):
    """Where actors live: starts, kills and ends them."""

    async def start_account(self, user_id: str) -> AccountLink:
        """Start the account's actor, or find it."""
        ...

    async def kill_account(self, user_id: str) -> None:
        """Kill the account's actor, whatever it is doing, and let it start again."""
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

    def save_watched(self, user_ids: Sequence[str]) -> None:
        """Remember which accounts' guards are to watch, for the supervisor's next life."""
        ...

    def saved_watched(self) -> Sequence[str]:
        """Return the accounts whose guards are to watch."""
        ...

    def saved_specs(self) -> Mapping[str, object]:
        """Return the accounts that were remembered."""
        ...
