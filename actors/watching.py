"""Watching: keeps every account's guards looking, and hands what trips to the episodes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
from contextlib import nullcontext
from enum import StrEnum
from typing import Any

from actors.episode import Episode
from actors.episodes import Episodes
from actors.links import ActorLost, Stage
from actors.mandated import makes_flat
from actors.messages import EpisodeState
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.errors import AuditError
from engine.clock import Clock
from engine.errors import UnknownAccount
from engine.models import GuardTrigger

_log = logging.getLogger(__name__)

SLICE_S = 0.25
"""Work that an account does on watching before it is free for other calls."""

REPLAYS_AT_ONCE = max(1, (os.cpu_count() or 2) - 1)
"""Accounts that replay prices flat out side by side: a core is left for those that liquidate."""


class WatchState(StrEnum):
    """What an account's guards are doing."""

    IDLE = "idle"
    WATCHING = "watching"
    LIQUIDATING = "liquidating"
    FLAT = "flat"
    """A critical episode has ended flat; the account is locked."""
    RESIDUAL = "residual"
    MARKET_ENDED = "market ended"
    """A replay has reached its end and no guard has tripped."""
    FAILED = "failed"


class Watching:
    """One task per watched account."""

    def __init__(
        self, roster: Roster, episodes: Episodes, outbox: AuditOutbox, clock: Clock, stage: Stage
    ) -> None:
        """Start watching nothing."""
        self._roster = roster
        self._episodes = episodes
        self._outbox = outbox
        self._clock = clock
        self._stage = stage
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._states: dict[str, WatchState] = {}
        self._blind: dict[str, str] = {}
        self._triggers: list[str] = []
        self._wanted: set[str] = set()
        self._replaying = asyncio.Semaphore(REPLAYS_AT_ONCE)

    def state(self, user_id: str) -> WatchState:
        """Say what an account's guards are doing."""
        return self._states.get(user_id, WatchState.IDLE)

    def blind(self, user_id: str) -> str | None:
        """Say why an account's guards could not judge their last reading, if they could not."""
        return self._blind.get(user_id)

    @property
    def trigger_ids(self) -> Sequence[str]:
        """Episodes that the guards have opened, oldest first."""
        return self._triggers

    def start(self, user_ids: Sequence[str]) -> None:
        """Watch these accounts; harmless for those that are watched."""
        for user_id in user_ids:
            self._roster[user_id]
        self._want(self._wanted.union(user_ids))
        self._begin(user_ids)

    def _begin(self, user_ids: Sequence[str]) -> None:
        for user_id in user_ids:
            if user_id not in self._tasks:
                self._states[user_id] = WatchState.WATCHING
                stop = self._stops[user_id] = asyncio.Event()
                self._tasks[user_id] = asyncio.create_task(self._watch(user_id, stop))

    def resume(self, saved: Iterable[str], is_locked: Callable[[str], bool]) -> None:
        """Go on watching what an earlier life of the supervisor was told to watch."""
        self._wanted = {u for u in saved if u in self._roster}
        self._begin([u for u in sorted(self._wanted) if not is_locked(u)])

    def _want(self, user_ids: Set[str]) -> None:
        self._wanted = set(user_ids)
        self._stage.save_watched(sorted(self._wanted))

    async def stop(self, user_ids: Sequence[str]) -> None:
        """Stop watching these accounts; a liquidation that has begun goes on to its end.

        A slice of watching that is under way is waited for: its reply carries records, and a
        trigger perhaps, that must not be lost.
        """
        self._want(self._wanted.difference(user_ids))
        tasks = [self._tasks[u] for u in user_ids if u in self._tasks]
        for user_id in user_ids:
            if user_id in self._stops:
                self._stops[user_id].set()
        if tasks:
            await asyncio.wait(tasks)
        for user_id in user_ids:
            if self.state(user_id) is WatchState.WATCHING:
                self._states[user_id] = WatchState.IDLE

    async def ended(self) -> None:
        """Wait until no account is watched any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    def episode_ended(self, episode: Episode) -> None:
        """Take note of the end of an episode that locks its account, whoever has opened it."""
        if makes_flat(episode.mandate):
            flat = episode.state is EpisodeState.FLAT
            state = WatchState.FLAT if flat else WatchState.RESIDUAL
            self._states[episode.mandate.user_id] = state

    def released(self, user_id: str) -> None:
        """Watch an account again that was unlocked, if its guards were wanted."""
        self._states[user_id] = WatchState.IDLE
        if user_id in self._wanted:
            self.start([user_id])

    async def _watch(self, user_id: str, stop: asyncio.Event) -> None:
        try:
            await self._until_tripped(user_id, stop)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # guards that stop looking must say so
            _log.exception("watching %s failed", user_id)
            self._outbox.alarm(f"nobody watches account {user_id} any more: {error}")
            self._states[user_id] = WatchState.FAILED
            self._blind[user_id] = f"{type(error).__name__}: {error}"
        finally:
            if self._tasks.get(user_id) is asyncio.current_task():
                del self._tasks[user_id]

    async def _until_tripped(self, user_id: str, stop: asyncio.Event) -> None:
        is_flat_out = False
        while not stop.is_set():
            try:
                async with self._replaying if is_flat_out else nullcontext():
                    seen = await self._roster.call(
                        user_id, lambda link, term: link.watch(term, SLICE_S)
                    )
            except ActorLost as error:
                self._note_sight(user_id, str(error))
                await self._revive(user_id)
                continue
            self._note_sight(user_id, seen.blind)
            try:
                # Not waited for: guards look on while the audit is away, and the account holds
                # its records until they are on disk.
                self._outbox.hand_in(seen.records)
            except AuditError as error:
                _log.error("alerts of %s are not recorded yet: %s", user_id, error)
            if seen.trigger is not None and await self._liquidated(seen.trigger, stop):
                return
            if seen.next_in_s is None:
                self._states[user_id] = WatchState.MARKET_ENDED
                return
            is_flat_out = seen.next_in_s == 0
            if seen.next_in_s > 0:
                await _first_of(stop.wait(), self._clock.sleep(seen.next_in_s))

    async def _liquidated(self, trigger: GuardTrigger, stop: asyncio.Event) -> bool:
        """Liquidate; ``True`` if the account is locked by it and needs no more guarding."""
        self._states[trigger.user_id] = WatchState.LIQUIDATING
        await self._episodes.submit([trigger])
        self._triggers.append(trigger.trigger_id)
        await _first_of(stop.wait(), self._episodes.reports([trigger.trigger_id]))
        if stop.is_set():
            return True
        (report,) = await self._episodes.reports([trigger.trigger_id])
        if makes_flat(trigger):
            return True
        self._states[trigger.user_id] = WatchState.WATCHING
        return report.state is EpisodeState.RESIDUAL and report.error is not None

    async def _revive(self, user_id: str) -> None:
        try:
            await self._roster.revive(user_id)
        except UnknownAccount:
            raise
        except Exception as error:  # noqa: BLE001  # a broker's own, too: its guards try again
            _log.error("account %s could not be re-armed: %s", user_id, error)
            await self._clock.sleep(1.0)

    def _note_sight(self, user_id: str, blind: str | None) -> None:
        if blind is None:
            self._blind.pop(user_id, None)
        else:
            if user_id not in self._blind:
                _log.error("guards of %s are blind: %s", user_id, blind)
            self._blind[user_id] = blind


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when one of several things has happened; the others are not waited for."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
