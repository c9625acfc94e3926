"""Silence: an actor that gives no sign for too long is killed, so that nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from actors.links import ActorLost, Stage
from actors.roster_entry import RosterEntry
from engine.clock import Clock

_T = TypeVar("_T")


class SilenceWatch:
    """Attends calls to account actors, and kills those that are silent.

    A life that works renews its lease, and so gives signs; one that hangs in its broker's call
    holds the whole process, and gives none.

    Args:
        stage: where actors live.
        silence_s: how long an actor that is called may give no sign.
        clock: measures.
        killed: told of each account whose silent actor was killed, in which life, and for how
            many seconds it had been silent.
    """

    def __init__(
        self,
        stage: Stage,
        silence_s: float,
        clock: Clock,
        killed: Callable[[str, int, float], None],
    ) -> None:
        """Attend nothing yet."""
        self._stage = stage
        self._silence_s = silence_s
        self._clock = clock
        self._killed = killed

    async def attended(
        self, entry: RosterEntry, call: Awaitable[_T], at_least_s: float = 0.0
    ) -> _T:
        """Await a call, and kill the actor if it gives no sign for too long.

        Args:
            entry: the account; every sign that is heard meanwhile moves its ``heard``.
            call: what is awaited.
            at_least_s: how long the actor may be silent in any case.

        Raises:
            ActorLost: it was killed, or lost in another way.
        """
        user_id, silence_s = entry.spec.user_id, max(self._silence_s, at_least_s)
        if entry.calls == 0:
            entry.heard = self._clock.monotonic()
        entry.calls += 1
        task = asyncio.ensure_future(call)
        try:
            while True:
                silent_s = self._clock.monotonic() - entry.heard
                if silent_s >= silence_s:
                    break
                done, _ = await asyncio.wait({task}, timeout=silence_s - silent_s)
                if done:
                    entry.heard = self._clock.monotonic()
                    return task.result()
        finally:
            entry.calls -= 1
            if not task.done():
                task.cancel()
        entry.is_lost = True
        entry.heard = self._clock.monotonic()
        self._killed(user_id, entry.incarnation, silent_s)
        await self._stage.kill_account(user_id)
        raise ActorLost(
            f"the actor of account {user_id!r} gave no sign for {silent_s:.1f} s and was killed"
        )
