"""Lockout: an account that a critical episode has made flat is kept flat until it is released.

Positions that appear, pending orders, and what an episode left over are swept by follow-up
triggers. Their names derive from the locking episode's, so that no number is used twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from actors.episodes import Episodes
from actors.links import ActorLost
from actors.messages import EpisodeState
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.receipts import AccountLock
from engine.clock import Clock, to_datetime
from engine.config import EngineConfig
from engine.errors import BrokerError
from engine.identity import sweep_trigger_id
from engine.models import GuardTrigger, GuardType, Severity

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lock:
    """One account's lock."""

    trigger_id: str
    sweeps: int = 0
    sweeping: asyncio.Task[None] | None = None


class Lockout:
    """Locks, and the sweeps behind them.

    Args:
        roster: the accounts.
        episodes: carry the sweeps out.
        outbox: is told alarms.
        clock: time.
        config: how often to look.
    """

    def __init__(
        self,
        roster: Roster,
        episodes: Episodes,
        outbox: AuditOutbox,
        clock: Clock,
        config: EngineConfig,
    ) -> None:
        """Begin without locks."""
        self._roster = roster
        self._episodes = episodes
        self._outbox = outbox
        self._clock = clock
        self._config = config
        self._locks: dict[str, _Lock] = {}

    def locked_by(self, user_id: str) -> str | None:
        """Name the episode that keeps an account locked, if it is locked."""
        lock = self._locks.get(user_id)
        return None if lock is None else lock.trigger_id

    def restore(self, locks: Sequence[AccountLock]) -> None:
        """Take up the locks of earlier lives."""
        for lock in locks:
            if lock.user_id not in self._locks:
                self._locks[lock.user_id] = _Lock(lock.trigger_id, lock.sweeps)

    def lock(self, user_id: str, trigger_id: str) -> None:
        """Lock an account for an episode; the first one that did counts. It is swept from now on.

        The episode may wait for days for a market to open, and what appears is not to wait.
        """
        self._locks.setdefault(user_id, _Lock(trigger_id))
        self.sweep(user_id)

    def sweep(self, user_id: str) -> None:
        """Begin to sweep a locked account, if that has not begun."""
        lock = self._locks.get(user_id)
        if lock is not None and _is_over(lock.sweeping) and user_id in self._roster:
            lock.sweeping = asyncio.create_task(self._sweep(user_id, lock))

    def forget(self, user_id: str) -> str | None:
        """Stop sweeping an account; return what had locked it. On record it stays as it is."""
        lock = self._locks.pop(user_id, None)
        if lock is not None and lock.sweeping is not None:
            lock.sweeping.cancel()
        return None if lock is None else lock.trigger_id

    def stop(self) -> None:
        """Stop all sweeping; the locks stay on record."""
        for user_id in list(self._locks):
            self.forget(user_id)

    async def _sweep(self, user_id: str, lock: _Lock) -> None:
        pause_s = self._config.sweep_first_s
        while True:
            await self._clock.sleep(pause_s)
            try:
                look_soon = await self._sweep_once(user_id, lock)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever broke: flat is to stay flat
                _log.error("account %s could not be swept: %s", user_id, error, exc_info=error)
                look_soon = False
            # What comes again and again is looked for at growing intervals, too, but what has
            # just appeared for the first time is not left waiting for the longest.
            grown_s = min(self._config.sweep_longest_s, pause_s * 2)
            pause_s = self._config.sweep_first_s if look_soon else grown_s

    async def _sweep_once(self, user_id: str, lock: _Lock) -> bool:
        """Look at the account, and close what is open; whether to look again soon."""
        waiting = self._episodes.waiting_positions(user_id)
        if waiting is None:
            return True  # an open episode is at it
        try:
            exposure = await self._roster.call(user_id, lambda link, term: link.exposure(term))
        except ActorLost:
            await self._roster.revive(user_id)
            return False
        except BrokerError as error:
            _log.error("locked account %s cannot be read: %s", user_id, error)
            return False
        if exposure.positions <= waiting and not exposure.pending:
            return False  # flat, or as flat as closed markets let it be
        lock.sweeps += 1
        trigger = GuardTrigger(
            user_id,
            GuardType.OPERATOR,
            f"sweep {lock.sweeps} of a locked account",
            Severity.CRITICAL,
            trigger_id=sweep_trigger_id(lock.trigger_id, lock.sweeps),
            triggered_at=to_datetime(self._clock.wall_us()),
            inputs={"sweep_of": lock.trigger_id, "sweep": lock.sweeps},
        )
        self._outbox.alarm(
            f"locked account {user_id} has {exposure.positions} positions and "
            f"{exposure.pending} pending orders: sweeping"
        )
        await self._episodes.submit([trigger], is_locked=True)
        return await self._swept_flat(user_id, trigger.trigger_id)

    async def _swept_flat(self, user_id: str, sweep: str) -> bool:
        """Wait for a sweep's end, or until it waits for a market; whether it ended flat."""
        ended = asyncio.ensure_future(self._episodes.ended(sweep))
        try:
            while not ended.done() and self._episodes.waiting_positions(user_id) is None:
                await asyncio.wait({ended}, timeout=self._config.sweep_first_s)
            return ended.done() and ended.result().state is EpisodeState.FLAT
        finally:
            ended.cancel()


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()
