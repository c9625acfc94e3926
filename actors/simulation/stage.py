"""The seam of :mod:`actors.links`, filled by the simulated network: one for each supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from actors.links import AccountLink, AuditLink
from actors.messages import (
    AccountBook,
    Activated,
    Activation,
    CloseReply,
    DealsPage,
    EpisodeState,
    Exposure,
    LifeSign,
    Term,
    WatchReply,
)
from actors.simulation.board import EpisodeBoard
from actors.simulation.network import Network, Target
from actors.simulation.process import Process
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
from engine.mandates import Mandate, episode_id_of


class Hosting(Protocol):
    """Where simulated actors live."""

    network: Network
    board: EpisodeBoard
    specs: dict[str, object]
    watched: list[str]

    def account(self, user_id: str) -> Target | None:
        """Return the present life of an account's actor."""
        ...

    def audit(self) -> Target | None:
        """Return the present life of the audit actor."""
        ...

    def need_account(self, user_id: str) -> None:
        """Start an account's actor unless it is there or being started."""
        ...

    def watchdog_kills(self, user_id: str) -> None:
        """Kill an account's actor; it starts again."""
        ...

    def end_account(self, user_id: str) -> None:
        """End an account's actor for good."""
        ...


class NetworkAccount:
    """Calls to an account actor, an :class:`actors.links.AccountLink`."""

    def __init__(self, hosting: Hosting, caller: Process, user_id: str) -> None:
        """Call ``user_id``'s actor from ``caller``."""
        self._hosting = hosting
        self._caller = caller
        self._user_id = user_id

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._hosting.network.call(
            self._caller,
            lambda: self._hosting.account(self._user_id),
            method,
            *args,
            user_id=self._user_id,
            route="supervisor-account",
        )

    async def activate(self, activation: Activation) -> Activated:
        """Begin a life."""
        activated: Activated = await self._call("activate", activation)
        return activated

    async def life(self) -> LifeSign | None:
        """Say which life it is in."""
        sign: LifeSign | None = await self._call("life")
        return sign

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers."""
        reply: CloseReply = await self._call("close", term, mandate, accepted_us, concludes)
        if reply.waiting and reply.error is None:
            board, episode = self._hosting.board, episode_id_of(mandate)
            board.turn(self._user_id, episode, EpisodeState.WAITING)
        return reply

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look."""
        reply: WatchReply = await self._call("watch", term, slice_s)
        return reply

    async def exposure(self, term: Term) -> Exposure:
        """Count what is open."""
        exposure: Exposure = await self._call("exposure", term)
        return exposure

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time."""
        page: DealsPage = await self._call("deals", term, since_ms, until_ms)
        return page

    async def book(self) -> AccountBook:
        """Read the broker's own book."""
        book: AccountBook = await self._call("book")
        return book

    async def release(self) -> tuple[SealedRecord, ...]:
        """End the life cleanly."""
        records: tuple[SealedRecord, ...] = await self._call("release")
        return records


class NetworkAudit:
    """Calls to the audit actor, an :class:`actors.links.AuditLink`."""

    def __init__(self, hosting: Hosting, caller: Process) -> None:
        """Call it from ``caller``."""
        self._hosting = hosting
        self._caller = caller

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._hosting.network.call(
            self._caller, self._hosting.audit, method, *args, route="supervisor-audit"
        )

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        """Put records on disk."""
        receipt: AppendReceipt = await self._call("append", tuple(batch))
        return receipt

    async def open_streams(self, owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        """Number new lives."""
        opened: tuple[OpenedStream, ...] = await self._call("open_streams", tuple(owners))
        return opened

    async def newest_lives(self, owners: Sequence[str]) -> Mapping[str, int]:
        """Say which life of each owner is the newest."""
        lives: Mapping[str, int] = await self._call("newest_lives", tuple(owners))
        return lives

    async def histories(self, user_ids: Sequence[str]) -> tuple[AccountHistory, ...]:
        """Return the answers that accounts have given."""
        histories: tuple[AccountHistory, ...] = await self._call("histories", tuple(user_ids))
        return histories

    async def open_episodes(self) -> tuple[OpenEpisode, ...]:
        """List open episodes."""
        episodes: tuple[OpenEpisode, ...] = await self._call("open_episodes")
        return episodes

    async def finished_episode(self, episode_id: str) -> FinishedEpisode | None:
        """Return an episode of an earlier life."""
        episode: FinishedEpisode | None = await self._call("finished_episode", episode_id)
        return episode

    async def finished_names(self) -> tuple[str, ...]:
        """Name the episodes that ended."""
        names: tuple[str, ...] = await self._call("finished_names")
        return names

    async def locks(self) -> tuple[AccountLock, ...]:
        """List the locked accounts."""
        locks: tuple[AccountLock, ...] = await self._call("locks")
        return locks

    async def status(self) -> Mapping[str, Any]:
        """Report backlog, lag and troubles."""
        status: Mapping[str, Any] = await self._call("status")
        return status

    async def deals_matter_since(self, user_id: str) -> int | None:
        """Say from which broker time on an account's deals matter."""
        since: int | None = await self._call("deals_matter_since", user_id)
        return since

    async def reconciled(self, user_id: str, deals: Sequence[Deal]) -> AccountReconciled:
        """Compare the records of an account with its broker's deals."""
        report: AccountReconciled = await self._call("reconciled", user_id, tuple(deals))
        return report


class NetworkStage:
    """The stage of one life of the supervisor, an :class:`actors.links.Stage`."""

    def __init__(self, hosting: Hosting, caller: Process) -> None:
        """Serve the supervisor that lives in ``caller``."""
        self._hosting = hosting
        self._caller = caller

    async def start_account(self, user_id: str) -> AccountLink:
        """Start the account's actor, or find it."""
        await self._short_while()
        self._hosting.need_account(user_id)
        return NetworkAccount(self._hosting, self._caller, user_id)

    async def kill_account(self, user_id: str) -> None:
        """Kill the account's actor; it starts again."""
        await self._short_while()
        self._hosting.watchdog_kills(user_id)

    async def end_account(self, user_id: str) -> None:
        """End the account's actor for good."""
        await self._short_while()
        self._hosting.end_account(user_id)

    def audit(self) -> AuditLink:
        """Return the audit actor."""
        return NetworkAudit(self._hosting, self._caller)

    def save_spec(self, user_id: str, spec: object | None) -> None:
        """Remember an account for the supervisor's next life."""
        if not self._caller.is_alive:
            return
        if spec is None:
            self._hosting.specs.pop(user_id, None)
        else:
            self._hosting.specs[user_id] = spec

    def save_watched(self, user_ids: Sequence[str]) -> None:
        """Remember which accounts' guards are to watch."""
        if self._caller.is_alive:
            self._hosting.watched = list(user_ids)

    def saved_watched(self) -> Sequence[str]:
        """Return the accounts whose guards are to watch."""
        return self._hosting.watched

    def saved_specs(self) -> Mapping[str, object]:
        """Return the accounts that were remembered."""
        return dict(self._hosting.specs)

    async def _short_while(self) -> None:
        self._caller.check()
        await asyncio.sleep(0.002)
        self._caller.check()
