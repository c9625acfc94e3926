"""The supervisor: takes triggers, hands each to its account, and never waits for one account.

A plain class with awaitable methods; :mod:`actors.placement` makes it remote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import Random

from actors.episode import Episode
from actors.episodes import Episodes
from actors.links import ActorLost, AuditLink, Stage
from actors.lockout import Lockout
from actors.messages import (
    AccountBook,
    AccountStatus,
    Activated,
    EngineStatus,
    EpisodeReport,
    Term,
)
from actors.outbox import AuditOutbox
from actors.reconciling import Reconciler
from actors.refusing import REFUSALS, EngineStopping, TriggerRefused, refusal_record, why_refused
from actors.roster import Roster
from actors.unfinished import Unfinished, read_unfinished
from actors.watching import Watching
from audit.chain import ChainWriter
from audit.differences import AccountReconciled
from audit.events import account_released, actor_killed, plain_event
from audit.receipts import AccountHistory
from audit.records import AuditRecord, EventType
from audit.streams import SUPERVISOR, account_owner
from engine.brokers.account_spec import AccountSpec
from engine.clock import Clock, SystemClock
from engine.clock_quality import quality_of
from engine.config import EngineConfig
from engine.errors import BrokerUnavailable
from engine.mandates import DirectClose
from engine.models import GuardTrigger
from engine.patience import Patience

_log = logging.getLogger(__name__)

LONGEST_FAREWELL_S = 60.0
"""How long a shutdown waits for its last records to be on disk."""


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
        self._is_stopping = False
        self._recovering: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open this life's stream, take up the known accounts, go on with open episodes.

        Every call begins with it, so that a supervisor that was lost and started again by Ray
        knows its work before it answers. It waits for the audit, and for no account.
        """
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await self._start()
                self._started = True

    async def keep_starting(self) -> None:
        """Start, however long the audit stays away: open episodes are not to wait for a call."""
        attempt = 0
        patience = Patience(self._clock, self._random, first_s=0.1, longest_s=5.0)
        while not self._started:
            try:
                await self.start()
            except Exception as error:  # noqa: BLE001  # nobody else would start it again
                attempt += 1
                _log.error("the supervisor could not start: %s", error, exc_info=error)
                await self._clock.sleep(patience.wait_s(attempt))

    async def _start(self) -> None:
        audit = self._stage.audit()
        specs = [s for s in self._stage.saved_specs().values() if isinstance(s, AccountSpec)]
        newest = await audit.newest_lives([account_owner(spec.user_id) for spec in specs])
        earlier = await audit.finished_names()
        (opened,) = await audit.open_streams([SUPERVISOR])
        unfinished = await read_unfinished(audit)
        watched = self._stage.saved_watched()
        # Nothing fails from here on: a second try would build all this a second time, and two
        # sets of tasks would be at work on the same accounts.
        chain = ChainWriter(
            opened.stream,
            opened.predecessor,
            version=self._version,
            config_hash=self._config.digest,
        )
        self._audit: AuditLink = audit
        self._chain = chain
        patience = Patience(self._clock, self._random, first_s=0.1, longest_s=5.0)
        self._outbox = AuditOutbox(audit, self._clock, patience, opened.stream)
        self._roster = Roster(
            self._stage,
            audit,
            self._config,
            self._version,
            self._outbox,
            self._clock,
            self._note_killed,
        )
        self._episodes = Episodes(
            self._roster,
            self._outbox,
            audit,
            chain,
            self._clock,
            self._config,
            on_lock=lambda user_id, episode: self._lockout.lock(user_id, episode),
            on_end=self._episode_ended,
        )
        self._episodes.know(earlier)
        parts = (self._roster, self._episodes, self._outbox, self._clock)
        self._lockout = Lockout(*parts, self._config)
        self._watching = Watching(*parts, self._stage)
        self._reconciler = Reconciler(*parts, audit, chain, self._config)
        now = self._clock.wall_us()  # not waited for: an audit that is away holds up no episode
        about = {"clock": quality_of(self._clock).facts()}
        kind = EventType.ENGINE_STARTED
        self._note(plain_event(kind, "", opened.stream, occurred_at=now, details=about))
        self._roster.remember(specs, dict(newest))
        self._resume(unfinished, [spec.user_id for spec in specs])
        self._watching.resume(watched, lambda user_id: self._lockout.locked_by(user_id) is not None)
        for spec in specs:
            self._recover(spec.user_id)

    def _resume(self, unfinished: Unfinished, added: Sequence[str]) -> None:
        self._lockout.restore([lock for lock in unfinished.locks if lock.user_id in added])
        for mandate, episode, is_let_go in unfinished.mandates(self._outbox.alarm):
            if episode.user_id in self._roster:
                self._episodes.resume(mandate, episode.accepted_at, is_let_go=is_let_go)
            else:
                self._outbox.alarm(
                    f"episode {episode.trigger_id} is open, but its account {episode.user_id} is "
                    "not here: add it, and the episode goes on"
                )
        for user_id in self._roster:
            self._lockout.sweep(user_id)

    def _recover(self, user_id: str) -> None:
        """Make an account's actor ready in the background; whoever needs it sooner does it too."""

        async def recover() -> None:
            try:
                await self._roster.revive(user_id)
                self._episodes.leftovers.collect(user_id)  # its last reply may have been lost
            except Exception as error:  # noqa: BLE001  # whoever needs it next tries again
                _log.error("account %s is not ready yet: %s", user_id, error)

        task = asyncio.create_task(recover())
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)

    async def renew(self, user_id: str, incarnation: int, asked_at: float) -> Term | None:
        """Grant an account's life its lease anew; ``None`` if it is not the newest."""
        await self.start()
        return self._roster.renew(user_id, incarnation, asked_at)

    async def history(self, user_id: str) -> AccountHistory:
        """Read an account's earlier answers; see :meth:`Roster.history`."""
        await self.start()
        return await self._roster.history(user_id)

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
        self._resume(await read_unfinished(self._audit), [a.user_id for a in activated])
        return activated

    async def remove_account(self, user_id: str) -> None:
        """Let go of an account. Its positions stay as they are."""
        await self.start()
        self._lockout.forget(user_id)
        await self._watching.stop([user_id])
        await self._roster.release(user_id)
        await self._record(EventType.ACCOUNT_REMOVED, user_id, self._clock.wall_us())

    async def accounts(self) -> list[str]:
        """Name the accounts, in the order in which they were added."""
        await self.start()
        return list(self._roster)

    async def submit(self, triggers: Sequence[GuardTrigger]) -> list[str]:
        """Open episodes; see :meth:`Episodes.submit`.

        Raises:
            TriggerRefused: one of them is malformed, stale or from the future; none was taken.
        """
        await self.start()
        self._refuse_when_stopping()
        now = self._clock.wall_us()
        refusals = [
            (trigger, why)
            for trigger in triggers
            if not self._episodes.knows(trigger.trigger_id)
            and (why := why_refused(trigger, self._config, now)) is not None
        ]
        for trigger, why in refusals:
            await self._outbox.append([self._chain.seal(refusal_record(trigger, why, now))])
        if refusals:
            raise TriggerRefused(f"trigger_id={refusals[0][0].trigger_id!r}: {refusals[0][1]}")
        return await self._episodes.submit(triggers)

    async def reports(self, trigger_ids: Sequence[str]) -> list[EpisodeReport]:
        """Wait for episodes to end; see :meth:`Episodes.reports`."""
        await self.start()
        return await self._episodes.reports(trigger_ids)

    async def close(self, mandate: DirectClose) -> tuple[bytes, bool]:
        """Carry out a direct close, an episode of its own.

        Returns:
            The pickled ``BulkCloseResult``, and whether its records are on disk.

        Raises:
            IdempotencyConflict: the key was used for another ticket or volume.
            ValueError: the position_id names another position.
            BrokerUnavailable: the account's broker cannot be read.
        """
        await self.start()
        self._refuse_when_stopping()
        (name,) = await self._episodes.submit([mandate])
        if not self._episodes.is_of_this_life(name):
            (earlier,) = await self._episodes.reports([name])
            if earlier.error is not None:
                raise REFUSALS.get(earlier.refusal or "", BrokerUnavailable)(earlier.error)
            return earlier.results, earlier.durable
        episode = await self._episodes.ended(name)
        reply = episode.reply
        if reply is None:
            raise ActorLost(episode.error or "the account could not be reached")
        if reply.refusal is not None:
            raise reply.refusal
        if reply.error is not None:
            raise BrokerUnavailable(reply.error)
        return reply.results, episode.durable

    async def release(self, user_id: str, by: str) -> bool:
        """Unlock an account: what is opened there stays. Its guards watch again if they did.

        Args:
            user_id: the account.
            by: who releases it, for the record.

        Returns:
            Whether it was locked.
        """
        await self.start()
        self._roster[user_id]
        if (locked_by := self._lockout.forget(user_id)) is None:
            return False
        self._episodes.let_go(user_id)
        # Sealed before anything else can lock the account anew: the journal has the last word.
        now = self._clock.wall_us()
        released = account_released(user_id, occurred_at=now, initiator=by, locked_by=locked_by)
        written = self._outbox.hand_in([self._chain.seal(released)])
        self._watching.released(user_id)
        await asyncio.shield(written)
        return True

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
        read = (self._roster.call_again(u, lambda link, _: link.book()) for u in user_ids)
        return list(await asyncio.gather(*read))

    async def reconcile(self, user_id: str | None) -> list[AccountReconciled]:
        """Compare records with brokers' deals; see :meth:`Reconciler.reconcile`."""
        await self.start()
        return await self._reconciler.reconcile(
            list(self._roster) if user_id is None else [user_id]
        )

    async def status(self) -> EngineStatus:
        """Describe the engine at this moment."""
        await self.start()
        return EngineStatus(
            accounts=tuple(
                AccountStatus(
                    user_id=user_id,
                    state=self._watching.state(user_id).value,
                    incarnation=self._roster[user_id].incarnation,
                    open_episodes=len(self._episodes.open_on(user_id)),
                    blind=self._watching.blind(user_id),
                    locked_by=self._lockout.locked_by(user_id),
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
        """End cleanly: guards stop, liquidations finish, accounts are let go, records are kept.

        Episodes that wait for their market stay open on record, and locks stay locked.
        """
        await self.start()
        self._is_stopping = True
        await self._watching.stop(list(self._roster))
        await self._episodes.quiet(LONGEST_FAREWELL_S)
        self._lockout.stop()
        self._episodes.suspend()
        for user_id in list(self._roster):
            await self._roster.release(user_id)
        try:
            async with asyncio.timeout(LONGEST_FAREWELL_S):
                await self._record(EventType.ENGINE_STOPPED, "", self._chain.stream)
                await self._outbox.drained()
        except TimeoutError:
            _log.error("the audit is away: %d records are not on disk", self._outbox.unacknowledged)

    def _refuse_when_stopping(self) -> None:
        if self._is_stopping:
            raise EngineStopping("the engine is shutting down; nothing was accepted")

    def _episode_ended(self, episode: Episode) -> None:
        if self._lockout.locked_by(episode.mandate.user_id) is not None:
            self._watching.episode_ended(episode)
            self._lockout.sweep(episode.mandate.user_id)

    def _note_killed(self, user_id: str, incarnation: int, silent_s: float) -> None:
        self._outbox.alarm(
            f"the actor of account {user_id} (life {incarnation}) gave no sign for "
            f"{silent_s:.1f} s: killed"
        )
        now = self._clock.wall_us()
        self._note(actor_killed(user_id, incarnation, occurred_at=now, silent_s=silent_s))

    def _note(self, record: AuditRecord) -> None:
        """Record something that nobody waits for; the supervisor's own stream is never refused."""
        self._outbox.hand_in([self._chain.seal(record)])

    async def _record(self, event: EventType, user_id: str, *natural: str | int) -> None:
        record = plain_event(event, user_id, *natural, occurred_at=self._clock.wall_us())
        await self._outbox.append([self._chain.seal(record)])
