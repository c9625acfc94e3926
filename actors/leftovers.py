"""Leftovers: records that an account could not hand over are asked for until none is left.

An account that has nothing to do is called by nobody, and so hears of no room for what it holds.
"""

from __future__ import annotations

import asyncio
import logging

from actors.links import ActorLost
from actors.outbox import AuditOutbox
from actors.roster import Roster
from engine.clock import Clock
from engine.errors import UnknownAccount

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""Between two questions to an account that still holds records."""


class Leftovers:
    """Asks accounts for what they hold; one task for each account that holds something.

    Args:
        roster: the accounts.
        outbox: what it holds has to be on disk first.
        clock: pauses.
    """

    def __init__(self, roster: Roster, outbox: AuditOutbox, clock: Clock) -> None:
        """Ask nobody yet."""
        self._roster = roster
        self._outbox = outbox
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[bool]] = {}

    def collect(self, user_id: str) -> None:
        """See to it that what an account holds gets on disk; harmless when it is under way."""
        if user_id not in self._tasks:
            task = self._tasks[user_id] = asyncio.create_task(self._collect(user_id))
            task.add_done_callback(lambda _: self._tasks.pop(user_id, None))

    async def collected(self, user_id: str, life: int, within_s: float) -> bool:
        """Wait until what a life of an account holds has been handed over.

        Args:
            user_id: the account.
            life: the one that held it.
            within_s: how long to wait for an account that lives.

        Returns:
            ``False`` if that life was lost, and what it held with it.
        """
        self.collect(user_id)
        task = self._tasks[user_id]
        done, _ = await asyncio.wait({task}, timeout=within_s)
        if done and not task.result():
            return False
        return user_id not in self._roster or self._roster[user_id].incarnation == life

    async def _collect(self, user_id: str) -> bool:
        pause_s = FIRST_PAUSE_S
        while user_id in self._roster:
            await self._outbox.drained()
            try:
                seen = await self._roster.call(user_id, lambda link, term: link.exposure(term))
            except ActorLost:
                return False  # what it held goes to its next life, as far as it was handed over
            except UnknownAccount:
                return True
            except Exception as error:  # noqa: BLE001  # a broker's own, too: it is asked again
                _log.warning("what account %s holds could not be asked for: %s", user_id, error)
            else:
                if not seen.held:
                    return True
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return True
