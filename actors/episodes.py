"""Episodes: mandates are accepted, handed to their accounts, and seen through to their end."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence

from actors.episode import Episode, accepted_record, refuse_conflict, report_of
from actors.leftovers import Leftovers
from actors.links import AuditLink
from actors.mandated import makes_flat
from actors.messages import CloseReply, EpisodeReport, EpisodeState
from actors.outbox import AuditOutbox
from actors.reaching import answer_of
from actors.roster import Roster
from actors.session_wait import session_wait
from audit.chain import ChainWriter, SealedRecord
from audit.events import account_locked, mandate_of
from audit.records import record_of
from engine.clock import Clock
from engine.config import EngineConfig
from engine.errors import UnknownAccount
from engine.mandates import Mandate, episode_id_of

_log = logging.getLogger(__name__)

MOST_REMEMBERED = 100_000
"""Finished episodes whose results are kept in memory; the audit has all."""


class Episodes:
    """Accepts mandates, hands them to their accounts, keeps what became of them.

    Accounts are served side by side: no one waits for another's.

    Args:
        roster: the accounts.
        outbox: puts records on disk.
        audit: knows the episodes of earlier lives.
        chain: of the supervisor's stream.
        clock: time.
        config: waits and budgets.
        on_lock: hears of each account that is locked, and by which episode.
        on_end: hears of every end.
    """

    def __init__(
        self,
        roster: Roster,
        outbox: AuditOutbox,
        audit: AuditLink,
        chain: ChainWriter,
        clock: Clock,
        config: EngineConfig,
        *,
        on_lock: Callable[[str, str], None],
        on_end: Callable[[Episode], None],
    ) -> None:
        """Start without episodes."""
        self._roster = roster
        self._outbox = outbox
        self._audit = audit
        self._chain = chain
        self._clock = clock
        self._config = config
        self._on_lock = on_lock
        self._on_end = on_end
        self._episodes: OrderedDict[str, Episode] = OrderedDict()
        self.leftovers = Leftovers(roster, outbox, clock)
        self._earlier: frozenset[str] = frozenset()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._youngest: dict[str, Episode] = {}
        self._put_off_for: dict[str, str] = {}
        """Episodes that are open on record, and wait for their account to be added again."""
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One mandate at a time is with each account, whatever becomes of messages."""
        self.finished = 0
        self.positions_closed = 0

    @property
    def open_count(self) -> int:
        """Episodes that have not ended."""
        return len(self._tasks)

    def open_on(self, user_id: str) -> list[str]:
        """Name an account's episodes that have not ended, oldest first."""
        return [name for name in self._tasks if self._episodes[name].mandate.user_id == user_id]

    def newest_on(self, user_id: str) -> str | None:
        """Name the account's youngest episode of this life."""
        youngest = self._youngest.get(user_id)
        return None if youngest is None else youngest.id

    def waiting_positions(self, user_id: str) -> int | None:
        """Count the positions that wait for their market; ``None`` while an episode is at work."""
        most = 0
        for name in self.open_on(user_id):
            episode = self._episodes[name]
            if episode.state is not EpisodeState.WAITING or episode.reply is None:
                return None
            most = max(most, episode.reply.waiting)
        return most

    def is_of_this_life(self, name: str) -> bool:
        """Whether an episode was opened or taken up by this life of the supervisor."""
        return name in self._episodes

    def knows(self, name: str) -> bool:
        """Whether a name has named an episode, in this life or an earlier one."""
        return name in self._episodes or name in self._earlier

    def know(self, finished: Sequence[str]) -> None:
        """Take note of the names of episodes that ended in earlier lives."""
        self._earlier = frozenset(finished)

    async def submit(self, mandates: Sequence[Mandate], *, is_locked: bool = False) -> list[str]:
        """Open an episode for each mandate; returns when all are on disk.

        A name that is known opens nothing: it names the episode that it opened before.

        Args:
            mandates: checked.
            is_locked: whether the accounts are locked already, so that none is locked anew.

        Raises:
            UnknownAccount: one of them is for an account that is not there; none was taken.
            IdempotencyConflict: a known name came with another account or scope.
        """
        first: dict[str, Mandate] = {}
        for mandate in mandates:
            refuse_conflict(first.setdefault(episode_id_of(mandate), mandate), mandate)
        earlier = [name for name, m in first.items() if await self._was_known(name, m)]
        # Nothing is awaited from here to the start: no other call can open the same episode.
        fresh = [
            m for name, m in first.items() if name not in earlier and not self._is_open(name, m)
        ]
        for mandate in fresh:
            self._roster[mandate.user_id]
        now = self._clock.wall_us()
        records: list[SealedRecord] = []
        for mandate in fresh:
            records.append(self._chain.seal(accepted_record(mandate, now)))
            if makes_flat(mandate) and not is_locked:
                lock = account_locked(mandate.user_id, episode_id_of(mandate), occurred_at=now)
                records.append(self._chain.seal(lock))
                self._on_lock(mandate.user_id, episode_id_of(mandate))
        written = self._outbox.hand_in(records)
        for mandate in fresh:
            self._start(Episode(mandate, now), written)
        await asyncio.shield(written)
        for name in first:  # who asks again is told no sooner than who asked first
            known = self._episodes.get(name)
            if known is not None and known.written is not None:
                await asyncio.shield(known.written)
        return [episode_id_of(mandate) for mandate in mandates]

    def resume(self, mandate: Mandate, accepted_us: int, *, is_let_go: bool = False) -> None:
        """Go on with an episode that an earlier life of the supervisor has accepted.

        Args:
            mandate: of the episode.
            accepted_us: when it was accepted, wall clock.
            is_let_go: whether its account was released since: it ends as it is.
        """
        if episode_id_of(mandate) not in self._episodes:
            self._put_off_for.pop(episode_id_of(mandate), None)
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            written.set_result(None)
            episode = Episode(mandate, accepted_us, is_let_go=is_let_go, concludes=is_let_go)
            self._start(episode, written)

    async def reports(self, names: Sequence[str]) -> list[EpisodeReport]:
        """Wait until these episodes have ended and return what became of them.

        Raises:
            KeyError: no such episode.
            UnknownAccount: it is open on record, and its account was removed.
        """
        reports = []
        for name in names:
            episode = self._episodes.get(name)
            if episode is not None:
                await episode.ended.wait()
            if name in self._put_off_for:
                raise UnknownAccount(
                    f"trigger_id={name!r} is an open episode of account "
                    f"{self._put_off_for[name]!r}, which was removed: add_account() it again and "
                    "the episode goes on"
                )
            reports.append(
                await self._earlier_report(name) if episode is None else episode.report()
            )
        return reports

    async def ended(self, name: str) -> Episode:
        """Wait until an episode of this life has ended, and return it.

        Raises:
            KeyError: no such episode in this life.
        """
        episode = self._episodes[name]
        await episode.ended.wait()
        return episode

    def let_go(self, user_id: str) -> None:
        """End episodes that were to make an account flat and wait for its market: what is opened
        after a release stays open."""
        for name in self.open_on(user_id):
            if makes_flat(self._episodes[name].mandate):
                self._episodes[name].is_let_go = True

    def suspend(self) -> None:
        """Stop working on episodes that wait for their markets: on record they stay open."""
        for name, task in list(self._tasks.items()):
            if self._episodes[name].state is EpisodeState.WAITING:
                task.cancel()

    async def quiet(self, records_s: float) -> None:
        """Wait until no episode is open, but for those that wait for their markets.

        Args:
            records_s: how long to wait, after the last close, for records to be on disk.
        """
        give_up = self._clock.monotonic() + records_s
        while busy := {
            task: self._episodes[name]
            for name, task in self._tasks.items()
            if self._episodes[name].state is not EpisodeState.WAITING
        }:
            await asyncio.wait(busy, timeout=min(1.0, records_s))
            if any(episode.account is not None for episode in busy.values()):
                give_up = self._clock.monotonic() + records_s
            elif self._clock.monotonic() >= give_up:
                return

    async def _earlier_report(self, name: str) -> EpisodeReport:
        finished = await self._audit.finished_episode(name)
        if finished is None:
            raise KeyError(f"trigger_id={name!r} names no episode of this engine")
        return report_of(finished)

    def _is_open(self, name: str, mandate: Mandate) -> bool:
        known = self._episodes.get(name)
        if known is not None:
            refuse_conflict(known.mandate, mandate)
        return known is not None

    async def _was_known(self, name: str, mandate: Mandate) -> bool:
        """Whether a name named an episode of an earlier life that this one does not hold."""
        if name in self._episodes or name not in self._earlier:
            return False
        earlier = await self._audit.finished_episode(name)
        if earlier is not None:
            refuse_conflict(mandate_of(record_of(earlier.accepted)), mandate)
        return True

    def _start(self, episode: Episode, written: asyncio.Future[None]) -> None:
        user_id = episode.mandate.user_id
        self._episodes[episode.id] = episode
        youngest = self._youngest.get(user_id)
        episode.elder = (
            youngest if youngest is not None and not youngest.answered.is_set() else None
        )
        self._youngest[user_id] = episode
        episode.written = written
        episode.is_due_at(self._roster[user_id])
        task = asyncio.create_task(self._run(episode, written))
        self._tasks[episode.id] = task
        task.add_done_callback(lambda done: self._forget_task(episode.id, done))

    def _forget_task(self, name: str, done: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is done:  # and not its successor's, after its account came back
            del self._tasks[name]

    async def _run(self, episode: Episode, written: asyncio.Future[None]) -> None:
        try:
            await self._await_journal(episode, written)
            await self._close_until_final(episode)
            while not await self._is_handed_over(episode):
                await self._close_until_final(episode)
        except UnknownAccount as error:  # let go of meanwhile: it goes on when it is added again
            self._put_off(episode, error)
            return
        except Exception as error:  # noqa: BLE001  # an episode never ends unsaid, whatever broke
            _log.exception("episode %s failed", episode.id)
            episode.error = f"{type(error).__name__}: {error}"
        finally:
            episode.is_due_at(None)
            episode.answered.set()
        await self._end(episode)

    def _put_off(self, episode: Episode, error: UnknownAccount) -> None:
        """Leave an episode open on record, and forget it until its account is added again."""
        self._outbox.alarm(f"episode {episode.id} stays open on record: {error}")
        self._put_off_for[episode.id] = episode.mandate.user_id
        del self._episodes[episode.id], self._tasks[episode.id]
        episode.error = str(error)
        episode.ended.set()

    async def _await_journal(self, episode: Episode, written: asyncio.Future[None]) -> None:
        """Wait for the mandate's entry on disk, but closing never waits long for bookkeeping."""
        done, _ = await asyncio.wait({written}, timeout=self._config.journal_wait_s)
        episode.journaled = bool(done) and written.exception() is None
        if not episode.journaled:
            self._outbox.alarm(
                f"episode {episode.id} goes ahead before its trigger is on disk "
                f"(waited {self._config.journal_wait_s} s)"
            )

    async def _close_until_final(self, episode: Episode) -> None:
        looks = 0
        while True:
            episode.state = EpisodeState.CLOSING
            reply = await self._answered(episode)
            episode.take(reply)
            if episode.concludes or reply.error or not reply.waiting:
                return
            looks += 1
            self._outbox.offer(reply.records)
            await session_wait(episode, reply, looks, self._clock)
            episode.concludes = episode.is_let_go

    async def _is_handed_over(self, episode: Episode) -> bool:
        """Whether all records of the account's answer are here, if need be after a wait: until
        then they may be lost with the account, and an end on record would have nothing to show."""
        reply = episode.reply
        if reply is None or not reply.held_back:
            return True
        user_id = episode.mandate.user_id
        life = self._roster[user_id].incarnation
        self._outbox.offer(reply.records)
        return await self.leftovers.collected(user_id, life, self._config.episode_budget_s)

    async def _answered(self, episode: Episode) -> CloseReply:
        """Get the account's answer, in its turn; see :func:`actors.reaching.answer_of`."""
        episode.is_due_at(self._roster[episode.mandate.user_id])
        if episode.elder is not None:
            # In the order of acceptance: the first to use a key is the one whose key it is.
            await episode.elder.answered.wait()
            episode.elder = None
        async with self._turns[episode.mandate.user_id]:
            budget_s = self._config.episode_budget_s
            reply = await answer_of(episode, self._roster, self._clock, budget_s)
        episode.is_due_at(None)
        episode.answered.set()
        return reply

    @staticmethod
    async def _is_written(written: asyncio.Future[None] | None) -> bool:
        if written is None:
            return False
        await asyncio.wait({written})
        return written.exception() is None

    async def _end(self, episode: Episode) -> None:
        reply = episode.reply
        state = EpisodeState.RESIDUAL if episode.residual else EpisodeState.FLAT
        if episode.is_alarming:
            self._outbox.alarm(
                f"episode {episode.id} of {episode.mandate.user_id} ended with "
                f"{episode.residual} positions that are not surely closed: {episode.error or ''}"
            )
        closes = self._outbox.offer(reply.records if reply else ())
        # By itself: what was sealed must go out, though the outbox takes no more of accounts.
        end = self._chain.seal(episode.finished_record(self._clock.wall_us()))
        ended = self._outbox.offer([end])
        are_written = await self._is_written(closes) and await self._is_written(ended)
        episode.durable = are_written and not (reply and reply.held_back)
        if not episode.durable:
            self.leftovers.collect(episode.mandate.user_id)
        if episode.durable:
            episode.durable_us = self._clock.wall_us()
        episode.state = state
        self.finished += 1
        self.positions_closed += reply.closed if reply else 0
        episode.ended.set()
        self._on_end(episode)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._episodes) > MOST_REMEMBERED:
            oldest = next(iter(self._episodes))
            if not self._episodes[oldest].state.is_final:
                return
            del self._episodes[oldest]
            self._earlier |= {oldest}
