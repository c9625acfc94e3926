"""Episodes: what each trigger has caused, from accepted to its end. None ends unsaid."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.links import ActorLost, NotActivated
from actors.messages import CloseReply, EpisodeReport, EpisodeState
from actors.outbox import AuditOutbox
from actors.roster import Roster
from audit.chain import ChainWriter
from audit.events import episode_finished, trigger_accepted
from engine.clock import Clock, to_wall_us
from engine.errors import IdempotencyConflict, RiskEngineError
from engine.models import BulkCloseResult, GuardTrigger

_log = logging.getLogger(__name__)

MOST_LIVES = 5
"""Lives of an account's actor that one episode may use up before it is given up as residual."""

LONGEST_REVIVAL_S = 60.0
"""How long an account's actor may stay unreachable before an episode is given up as residual."""

MOST_REMEMBERED = 100_000
"""Finished episodes whose results are kept in memory; the audit has all."""


@dataclass(slots=True)
class _Episode:
    trigger: GuardTrigger
    accepted_us: int
    state: EpisodeState = EpisodeState.ACCEPTED
    reply: CloseReply | None = None
    durable: bool = False
    journaled: bool = False
    durable_us: int | None = None
    error: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self) -> EpisodeReport:
        nothing = BulkCloseResult.of(self.trigger.reason, ())
        reply = self.reply or CloseReply(pickle.dumps(nothing), (), error=self.error)
        return EpisodeReport(
            trigger_id=self.trigger.trigger_id,
            user_id=self.trigger.user_id,
            state=self.state,
            results=reply.results,
            durable=self.durable,
            triggered_us=to_wall_us(self.trigger.triggered_at),
            accepted_us=self.accepted_us,
            first_sent_us=reply.first_sent_us,
            last_answered_us=reply.last_answered_us,
            durable_us=self.durable_us,
            closed=reply.closed,
            failed=reply.failed,
            error=self.error or reply.error,
        )


class Episodes:
    """Accepts triggers, hands them to their accounts, keeps what became of them.

    Accounts are served side by side: no one waits for another's.
    """

    def __init__(
        self,
        roster: Roster,
        outbox: AuditOutbox,
        chain: ChainWriter,
        clock: Clock,
        *,
        journal_wait_s: float,
        on_end: Callable[[EpisodeReport], None],
    ) -> None:
        """Start without episodes; ``on_end`` hears of every end."""
        self._roster = roster
        self._outbox = outbox
        self._chain = chain
        self._clock = clock
        self._journal_wait_s = journal_wait_s
        self._on_end = on_end
        self._episodes: OrderedDict[str, _Episode] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.finished = 0
        self.positions_closed = 0

    @property
    def open_count(self) -> int:
        """Episodes that have not ended."""
        return len(self._tasks)

    def open_on(self, user_id: str) -> int:
        """Count an account's episodes that have not ended."""
        return sum(
            1
            for e in self._episodes.values()
            if e.trigger.user_id == user_id and not e.state.is_final
        )

    async def submit(self, triggers: Sequence[GuardTrigger]) -> list[str]:
        """Open an episode for each trigger; returns when all triggers are on disk.

        A trigger_id that is known opens nothing: it names the episode that it opened before.

        Raises:
            UnknownAccount: one of them is for an account that is not there; none was taken.
            IdempotencyConflict: a known trigger_id came with another account or scope.
        """
        first: dict[str, GuardTrigger] = {}
        for trigger in triggers:
            _refuse_conflict(first.setdefault(trigger.trigger_id, trigger), trigger)
        fresh = [t for t in first.values() if not self._is_known(t)]
        for trigger in fresh:
            self._roster[trigger.user_id]
        now = self._clock.wall_us()
        records = [self._chain.seal(trigger_accepted(t, occurred_at=now)) for t in fresh]
        written = asyncio.ensure_future(self._outbox.append(records))
        for trigger in fresh:
            self._start(trigger, now, written)
        await asyncio.shield(written)
        return [t.trigger_id for t in triggers]

    def resume(self, trigger: GuardTrigger, accepted_us: int) -> None:
        """Go on with an episode that an earlier life of the supervisor has accepted."""
        if trigger.trigger_id not in self._episodes:
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            written.set_result(None)
            self._start(trigger, accepted_us, written)

    async def reports(self, trigger_ids: Sequence[str]) -> list[EpisodeReport]:
        """Wait until these episodes have ended and return what became of them.

        Raises:
            KeyError: no such episode in this life of the supervisor.
        """
        episodes = [self._episode(trigger_id) for trigger_id in trigger_ids]
        for episode in episodes:
            await episode.ended.wait()
        return [episode.report() for episode in episodes]

    async def quiet(self) -> None:
        """Wait until no episode is open."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _episode(self, trigger_id: str) -> _Episode:
        episode = self._episodes.get(trigger_id)
        if episode is None:
            raise KeyError(f"trigger_id={trigger_id!r} names no episode that is kept in memory")
        return episode

    def _is_known(self, trigger: GuardTrigger) -> bool:
        known = self._episodes.get(trigger.trigger_id)
        if known is None:
            return False
        _refuse_conflict(known.trigger, trigger)
        return True

    def _start(self, trigger: GuardTrigger, now: int, written: asyncio.Future[None]) -> None:
        episode = _Episode(trigger, now)
        self._episodes[trigger.trigger_id] = episode
        task = asyncio.create_task(self._run(episode, written))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, episode: _Episode, written: asyncio.Future[None]) -> None:
        try:
            await self._await_journal(episode, written)
            episode.state = EpisodeState.CLOSING
            await self._liquidate(episode)
        except Exception as error:  # noqa: BLE001  # an episode never ends unsaid, whatever broke
            _log.exception("episode %s failed", episode.trigger.trigger_id)
            episode.error = f"{type(error).__name__}: {error}"
        await self._end(episode)

    async def _await_journal(self, episode: _Episode, written: asyncio.Future[None]) -> None:
        """Wait for the trigger's entry on disk, but closing never waits long for bookkeeping."""
        done, _ = await asyncio.wait({written}, timeout=self._journal_wait_s)
        episode.journaled = bool(done) and written.exception() is None
        if not episode.journaled:
            _log.error(
                "episode %s goes ahead before its trigger is on disk (waited %s s)",
                episode.trigger.trigger_id,
                self._journal_wait_s,
            )

    async def _liquidate(self, episode: _Episode) -> None:
        user_id = episode.trigger.user_id
        lives: set[int] = set()
        lost_since: float | None = None
        while True:
            entry = self._roster[user_id]
            incarnation = entry.incarnation
            try:
                episode.reply = await entry.link.liquidate(episode.trigger)
                return
            except (ActorLost, NotActivated) as error:
                episode.error = str(error)
            lives.add(incarnation)
            now = self._clock.monotonic()
            lost_since = now if lost_since is None else lost_since
            if len(lives) > MOST_LIVES or now - lost_since > LONGEST_REVIVAL_S:
                raise ActorLost(
                    f"{len(lives)} lives of account {user_id!r} were lost in "
                    f"{now - lost_since:.0f} s: {episode.error}"
                )
            if await self._revived(user_id, incarnation):
                lost_since = None

    async def _revived(self, user_id: str, incarnation: int) -> bool:
        """Give the account a new life; ``False`` if that failed and should be tried again."""
        try:
            await self._roster.rearm(user_id, incarnation)
        except (RiskEngineError, ValueError) as trouble:
            _log.error("account %s could not be re-armed: %s", user_id, trouble)
            await self._clock.sleep(1.0)
            return False
        return True

    async def _end(self, episode: _Episode) -> None:
        reply = episode.reply
        if reply is not None:
            episode.error = reply.error
        residual = 1 if reply is None or reply.error else (reply.still_open or reply.failed)
        state = EpisodeState.RESIDUAL if residual else EpisodeState.FLAT
        closed = reply.closed if reply else 0
        record = self._chain.seal(
            episode_finished(
                episode.trigger.trigger_id,
                episode.trigger.user_id,
                occurred_at=self._clock.wall_us(),
                closed=closed,
                residual=residual,
                description=episode.error or "",
                details={
                    "accepted_us": episode.accepted_us,
                    "first_sent_us": reply.first_sent_us if reply else None,
                    "last_answered_us": reply.last_answered_us if reply else None,
                    "trigger_journaled_first": episode.journaled,
                },
            )
        )
        try:
            await self._outbox.append([*(reply.records if reply else ()), record])
            episode.durable = True
            episode.durable_us = self._clock.wall_us()
        except (RiskEngineError, OSError) as error:
            _log.error("records of episode %s: %s", episode.trigger.trigger_id, error)
        episode.state = state
        self.finished += 1
        self.positions_closed += closed
        self._on_end(episode.report())
        episode.ended.set()
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._episodes) > MOST_REMEMBERED:
            oldest = next(iter(self._episodes))
            if not self._episodes[oldest].state.is_final:
                return
            del self._episodes[oldest]


def _refuse_conflict(known: GuardTrigger, trigger: GuardTrigger) -> None:
    if (known.user_id, known.positions) != (trigger.user_id, trigger.positions):
        raise IdempotencyConflict(
            f"trigger_id={trigger.trigger_id!r} is used for account {known.user_id!r} and for "
            f"account {trigger.user_id!r} or another scope; nothing was done: use a new "
            "trigger_id for a new trigger"
        )
