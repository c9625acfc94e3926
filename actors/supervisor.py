"""The supervisor: takes triggers, hands each to its account, and never waits for one account.

A plain class with awaitable methods; :mod:`actors.placement` makes it remote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from actors.episodes import Episodes
from actors.links import Stage
from actors.messages import (
    AccountBook,
    AccountStatus,
    Activated,
    CloseReply,
    EngineStatus,
    EpisodeReport,
)
from actors.outbox import AuditOutbox
from actors.roster import Roster
from actors.watching import Watching
from audit.chain import ChainWriter
from audit.events import plain_event, trigger_of
from audit.records import EventType, record_of
from audit.streams import SUPERVISOR
from engine.brokers.account_spec import AccountSpec
from engine.clock import Clock, SystemClock
from engine.config import EngineConfig
from engine.errors import BrokerUnavailable
from engine.models import CloseRequest, GuardTrigger
from engine.patience import Patience

_log = logging.getLogger(__name__)


class Supervisor:
    """The engine's one coordinator.

    Args:
        stage: where actors live.
        config: the engine's configuration.
        version: of the software, for the records.
        clock: time.
        random: randomness for jitter.
    """

    def __init__(
        self,
        stage: Stage,
        config: EngineConfig,
        version: str,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        """Begin; see :meth:`start`."""
        self._stage = stage
        self._config = config
        self._version = version
        self._clock = clock or SystemClock()
        self._random = random or Random()
        self._starting = asyncio.Lock()
        self._started = False

    async def start(self) -> None:
        """Open this life's stream, take up the known accounts, go on with open episodes.

        Every call begins with it, so that a supervisor that was lost and started again by Ray
        knows its work before it answers.
        """
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await self._start()
                self._started = True

    async def _start(self) -> None:
        audit = self._stage.audit()
        (opened,) = await audit.open_streams([SUPERVISOR])
        chain = ChainWriter(
            opened.stream,
            opened.predecessor,
            version=self._version,
            config_hash=self._config.digest,
        )
        self._audit = audit
        self._chain = chain
        patience = Patience(self._clock, self._random, first_s=0.1, longest_s=5.0)
        self._outbox = AuditOutbox(audit, self._clock, patience)
        self._roster = Roster(self._stage, audit, self._config, self._version, self._outbox.append)
        self._episodes = Episodes(
            self._roster,
            self._outbox,
            chain,
            self._clock,
            journal_wait_s=self._config.journal_wait_s,
            on_end=lambda report: self._watching.episode_ended(report),
        )
        self._watching = Watching(self._roster, self._episodes, self._outbox, self._clock)
        await self._record(EventType.ENGINE_STARTED, "", opened.stream)
        specs = [s for s in self._stage.saved_specs().values() if isinstance(s, AccountSpec)]
        if specs:
            await self._roster.arm(specs)
        await self._resume()

    async def _resume(self) -> None:
        for episode in await self._audit.open_episodes():
            if episode.user_id in set(self._roster):
                self._episodes.resume(trigger_of(record_of(episode.body)), episode.accepted_at)
            else:
                _log.error(
                    "episode %s is open, but account %s is not here: add it to finish the episode",
                    episode.trigger_id,
                    episode.user_id,
                )

    async def add_accounts(self, specs: Sequence[AccountSpec]) -> list[Activated]:
        """Add accounts and arm them; see :meth:`Roster.arm`. Open episodes of theirs go on."""
        await self.start()
        activated = await self._roster.arm(specs)
        now = self._clock.wall_us()
        added = [
            plain_event(EventType.ACCOUNT_ADDED, account.user_id, now, occurred_at=now)
            for account in activated
        ]
        await self._outbox.append([self._chain.seal(record) for record in added])
        await self._resume()
        return activated

    async def remove_account(self, user_id: str) -> None:
        """Let go of an account. Its positions stay as they are."""
        await self.start()
        await self._watching.stop([user_id])
        await self._outbox.append(await self._roster.release(user_id))
        await self._record(EventType.ACCOUNT_REMOVED, user_id, self._clock.wall_us())

    async def accounts(self) -> list[str]:
        """Name the accounts, in the order in which they were added."""
        await self.start()
        return list(self._roster)

    async def submit(self, triggers: Sequence[GuardTrigger]) -> list[str]:
        """Open episodes; see :meth:`Episodes.submit`."""
        await self.start()
        return await self._episodes.submit(triggers)

    async def reports(self, trigger_ids: Sequence[str]) -> list[EpisodeReport]:
        """Wait for episodes to end; see :meth:`Episodes.reports`."""
        await self.start()
        return await self._episodes.reports(trigger_ids)

    async def close(self, request: CloseRequest) -> bytes:
        """Close one position; returns the pickled result once its record is on disk."""
        await self.start()
        return await self._kept(await self._roster[request.user_id].link.close(request))

    async def close_all(
        self,
        user_id: str,
        reason: str,
        positions: Sequence[Mapping[str, Any]] | None,
        key: str | None,
    ) -> bytes:
        """Close positions of one account; returns the pickled result once recorded."""
        await self.start()
        reply = await self._roster[user_id].link.close_all(reason, positions, key)
        return await self._kept(reply)

    async def _kept(self, reply: CloseReply) -> bytes:
        await self._outbox.append(reply.records)
        if reply.error is not None:
            raise BrokerUnavailable(reply.error)
        return reply.results

    async def watch(self, user_ids: Sequence[str] | None) -> None:
        """Let the guards watch these accounts, or all."""
        await self.start()
        self._watching.start(list(self._roster) if user_ids is None else user_ids)

    async def unwatch(self, user_ids: Sequence[str] | None) -> None:
        """Stop the guards of these accounts, or of all; liquidations go on to their end."""
        await self.start()
        await self._watching.stop(list(self._roster) if user_ids is None else user_ids)

    async def watched_out(self) -> list[str]:
        """Wait until no account is watched any more; returns the episodes the guards opened."""
        await self.start()
        await self._watching.ended()
        return list(self._watching.trigger_ids)

    async def books(self, user_ids: Sequence[str]) -> list[AccountBook]:
        """Read the brokers' own books."""
        await self.start()
        return list(await asyncio.gather(*(self._roster[u].link.book() for u in user_ids)))

    async def status(self) -> EngineStatus:
        """Describe the engine at this moment."""
        await self.start()
        return EngineStatus(
            accounts=tuple(
                AccountStatus(
                    user_id=user_id,
                    state=self._watching.state(user_id).value,
                    incarnation=self._roster[user_id].incarnation,
                    open_episodes=self._episodes.open_on(user_id),
                    blind=self._watching.blind(user_id),
                )
                for user_id in self._roster
            ),
            episodes_open=self._episodes.open_count,
            episodes_finished=self._episodes.finished,
            positions_closed=self._episodes.positions_closed,
            unacknowledged_records=self._outbox.unacknowledged,
            audit=await self._audit.status(),
            alarms=tuple(self._outbox.alarms),
        )

    async def shutdown(self) -> None:
        """End cleanly: guards stop, liquidations finish, accounts are let go, records are kept."""
        await self.start()
        await self._watching.stop(list(self._roster))
        await self._episodes.quiet()
        for user_id in list(self._roster):
            await self._outbox.append(await self._roster.release(user_id))
        await self._record(EventType.ENGINE_STOPPED, "", self._chain.stream)
        await self._outbox.drained()

    async def _record(self, event: EventType, user_id: str, *natural: str | int) -> None:
        record = plain_event(event, user_id, *natural, occurred_at=self._clock.wall_us())
        await self._outbox.append([self._chain.seal(record)])
