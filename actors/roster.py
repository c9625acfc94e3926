"""The roster: which accounts there are, and the life that each account's actor is in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from actors.links import AccountLink, ActorLost, AuditLink, NotActivated, Stage
from actors.messages import Activated, Activation, GuardThresholds, Term
from actors.outbox import AuditOutbox
from actors.roster_entry import RosterEntry
from actors.silence import SilenceWatch
from audit.chain import SealedRecord
from audit.receipts import AccountHistory, OpenedStream
from audit.replay import with_unwritten
from audit.streams import account_owner
from engine import arguments
from engine.brokers.account_spec import AccountSpec
from engine.clock import Clock
from engine.config import EngineConfig
from engine.errors import RiskEngineError, UnknownAccount
from engine.lease import LeaseLost

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

ARMED_AT_ONCE = 8
"""Actors that are started side by side; each costs half a second of CPU."""

STARTING_S = 30.0
"""How long an actor may at least be silent that may only be starting (0.4 to 1 s on its own)."""

LEAST_OF_FAIR = 0.01
"""Of its part of a server's budget, what an account is allowed though others hold it all yet."""

LONGEST_RELEASE_S = 30.0
"""How long to wait until the last records of an account that is let go of are on disk."""


class Roster:
    """Accounts and their actors: arms, calls, watches over, re-arms and releases them.

    Args:
        stage: where actors live.
        audit: numbers lives and knows earlier answers.
        config: the engine's configuration.
        version: of the software.
        outbox: takes records.
        clock: time.
        killed: told of each account whose silent actor was killed, in which life, and for how
            many seconds it had been silent.
    """

    def __init__(
        self,
        stage: Stage,
        audit: AuditLink,
        config: EngineConfig,
        version: str,
        outbox: AuditOutbox,
        clock: Clock,
        killed: Callable[[str, int, float], None],
    ) -> None:
        """Start without accounts."""
        self._stage = stage
        self._audit = audit
        self._config = config
        self._version = version
        self._outbox = outbox
        self._clock = clock
        self._silence = SilenceWatch(stage, config.silence_s, clock, killed)
        self._entries: dict[str, RosterEntry] = {}
        self._arming: set[str] = set()
        self._let_go: dict[str, dict[str, float]] = {}
        """Of accounts that were let go: earlier lives that may still hold a lease."""
        self._slots = asyncio.Semaphore(ARMED_AT_ONCE)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the user ids, in the order in which they were added."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the accounts."""
        return len(self._entries)

    def __contains__(self, user_id: object) -> bool:
        """Whether there is such an account."""
        return user_id in self._entries

    def __getitem__(self, user_id: str) -> RosterEntry:
        """Return an account's entry.

        Raises:
            UnknownAccount: there is none; the message names some that there are.
        """
        entry = self._entries.get(user_id)
        if entry is None:
            raise UnknownAccount(
                f"user_id={user_id!r} is no account of this engine (it has "
                f"{len(self._entries)}: {', '.join(list(self._entries)[:5]) or 'none'}); "
                "add_account() it first"
            )
        return entry

    def remember(self, specs: Sequence[AccountSpec], newest: dict[str, int]) -> None:
        """Take up accounts of an earlier life of the supervisor, whose actors may live on.

        Args:
            specs: the accounts.
            newest: number of each account's newest life, by owner.
        """
        now = self._clock.monotonic()
        for spec in specs:
            self._entries[spec.user_id] = RosterEntry(
                spec,
                incarnation=newest.get(account_owner(spec.user_id), 0),
                # What the supervisor before has granted cannot be known, only bounded.
                lease_end=now + self._config.lease_s,
                heard=now,
            )

    async def arm(self, specs: Sequence[AccountSpec]) -> list[Activated]:
        """Add accounts and start their actors, a few side by side.

        Raises:
            ValueError: an account exists already, or is named twice; nothing was added.
            BrokerError: an account's broker cannot be reached; that account was not added, the
                others were.
        """
        seen = {*self._entries, *self._arming}
        for spec in specs:
            if spec.user_id in seen:
                arguments.refuse("user_id", spec.user_id, "it exists already; remove it first")
            seen.add(spec.user_id)
        names = [spec.user_id for spec in specs]
        self._arming.update(names)
        try:
            opened = await self._audit.open_streams([account_owner(name) for name in names])
            histories = await self._audit.histories(names)
            lives = await asyncio.gather(
                *(
                    self._begin(spec, life, history)
                    for spec, life, history in zip(specs, opened, histories, strict=True)
                ),
                return_exceptions=True,
            )
        finally:
            self._arming.difference_update(names)
        for name in names:  # they were ready in another order than they were added in
            if name in self._entries:
                self._entries[name] = self._entries.pop(name)
        activated: list[Activated] = []
        troubles: list[BaseException] = []
        for life in lives:
            if isinstance(life, BaseException):
                troubles.append(life)
            else:
                activated.append(life)
        await self._outbox.append([record for account in activated for record in account.records])
        if troubles:
            raise troubles[0]
        return activated

    async def _begin(
        self, spec: AccountSpec, opened: OpenedStream, history: AccountHistory
    ) -> Activated:
        entry = RosterEntry(spec, incarnation=opened.incarnation)
        # A life that an engine before this one has left behind may hold a lease.
        entry.lease_end = self._clock.monotonic() + self._config.lease_s
        entry.earlier = self._let_go.get(spec.user_id, {})
        async with self._slots:
            entry.link = await self._stage.start_account(spec.user_id)
            try:
                activated = await self._activate(entry, opened, history)
            except Exception:
                await self._stage.end_account(spec.user_id)
                raise
        self._entries[spec.user_id] = entry
        self._let_go.pop(spec.user_id, None)
        self._stage.save_spec(spec.user_id, spec)
        return activated

    async def call(self, user_id: str, make: Callable[[AccountLink, Term], Awaitable[_T]]) -> _T:
        """Call an account's actor, in the life that it is in; one that is silent is killed.

        Args:
            user_id: the account.
            make: makes the call, whose answer may have ``asked_at``.

        Raises:
            UnknownAccount: there is no such account.
            ActorLost: it was lost, is in another life, or may not send: see :meth:`revive`.
        """
        entry = self[user_id]
        if entry.is_lost or entry.link is None:
            raise ActorLost(f"the actor of account {user_id!r} is not ready")
        incarnation = entry.incarnation
        try:
            answer = await self._silence.attended(entry, make(entry.link, self._term(entry)))
        except (ActorLost, NotActivated, LeaseLost) as error:
            if entry.incarnation == incarnation:
                entry.is_lost = True
            raise ActorLost(str(error)) from error
        if entry.incarnation != incarnation:
            raise ActorLost(f"life {incarnation} of account {user_id!r} was replaced meanwhile")
        asked_at = getattr(answer, "asked_at", None)
        if asked_at is not None:
            self._granted(entry, asked_at)
        records = getattr(answer, "records", None)
        if records is not None:  # others do not tell what the life holds
            entry.holds(records)
        return answer

    async def call_again(
        self, user_id: str, make: Callable[[AccountLink, Term], Awaitable[_T]]
    ) -> _T:
        """Call an account's actor, and once more if it was lost; see :meth:`call`."""
        try:
            return await self.call(user_id, make)
        except ActorLost:
            await self.revive(user_id)
            return await self.call(user_id, make)

    async def revive(self, user_id: str) -> None:
        """Make an account's actor ready that was lost: find its life, or give it a new one.

        Only the reply may have been lost: an actor that is still in its life goes on with it.
        Harmless when the actor is ready, and when several ask for it.

        Raises:
            UnknownAccount: there is no such account.
            RiskEngineError: it did not work; try again later.
            ValueError: the account's specification is wrong.
        """
        entry = self[user_id]
        async with entry.arming:
            if not entry.is_lost:
                return
            entry.link = await self._stage.start_account(user_id)
            sign = await self._silence.attended(entry, entry.link.life(), STARTING_S)
            if sign is not None and sign.incarnation == entry.incarnation:
                # Now: it may hang or be replaced before it is asked for anything else.
                entry.holds(sign.records)
                self._outbox.offer(sign.records)
                if sign.config_hash == self._config.digest:
                    entry.adopts(sign)
                    entry.is_lost = False
                    self._granted(entry, sign.asked_at)
                    return
            _log.error("account %s: life %d is over; a new one begins", user_id, entry.incarnation)
            (opened,) = await self._audit.open_streams([account_owner(user_id)])
            # From here on no other life's lease is renewed.
            entry.incarnation, entry.asked_at = opened.incarnation, None
            unwritten = self._outbox.unwritten(account_owner(user_id))
            (history,) = await self._audit.histories([user_id])
            activated = await self._activate(entry, opened, history, unwritten)
        self._outbox.hand_in(activated.records)

    def renew(self, user_id: str, incarnation: int, asked_at: float) -> Term | None:
        """Grant a life its lease anew; ``None`` if it is not the account's newest."""
        entry = self._entries.get(user_id)
        if entry is None or entry.incarnation != incarnation:
            return None
        self._granted(entry, asked_at)
        return self._term(entry)

    async def release(self, user_id: str) -> None:
        """End an account's actor, and put its last records on disk."""
        entry = self[user_id]
        try:
            if entry.link is not None:
                records = await self._silence.attended(entry, entry.link.release())
                async with asyncio.timeout(LONGEST_RELEASE_S):
                    await self._outbox.append(records)
        except (RiskEngineError, TimeoutError) as error:
            _log.warning("account %s was not released cleanly: %s", user_id, error)
        await self._stage.end_account(user_id)
        self._stage.save_spec(user_id, None)
        now = self._clock.monotonic()
        if earlier := {process: end for process, end in entry.earlier.items() if end > now}:
            self._let_go[user_id] = earlier
        del self._entries[user_id]

    async def history(self, user_id: str) -> AccountHistory:
        """Read an account's answers, those among them that are not on disk yet."""
        unwritten = self._outbox.unwritten(account_owner(user_id))
        (history,) = await self._audit.histories([user_id])
        return with_unwritten(history, unwritten)

    async def _activate(
        self,
        entry: RosterEntry,
        opened: OpenedStream,
        history: AccountHistory,
        inherited: tuple[SealedRecord, ...] = (),
    ) -> Activated:
        assert entry.link is not None
        config, guards, spec = self._config, self._config.guards, entry.spec
        activation = Activation(
            spec=spec,
            policy=config.closing_policy(allow_live=spec.allow_live, waits_for_session=True),
            guards=GuardThresholds(
                guards.drawdown_warning,
                guards.drawdown_critical,
                guards.market_gap,
                guards.market_spread,
            ),
            opened=opened,
            history=with_unwritten(history, inherited),
            inherited=inherited,
            version=self._version,
            config_hash=config.digest,
            poll_interval_s=config.poll_interval_s,
            lease_s=config.lease_s,
            most_held=config.most_held,
            earlier_lives=entry.succeeds(opened, self._clock.monotonic()),
            orders_per_s=self._share(entry),
        )
        activated = await self._silence.attended(entry, entry.link.activate(activation), STARTING_S)
        entry.holds(activated.records)
        entry.server, entry.process = activated.server, activated.process
        entry.is_lost = False
        self._granted(entry, activated.asked_at)
        return activated

    def _granted(self, entry: RosterEntry, asked_at: float) -> None:
        # The life counts from when it asked; counted from now, ours ends later for sure.
        now = self._clock.monotonic()
        entry.heard = now
        entry.lease_end = max(entry.lease_end, now + self._config.lease_s)
        if entry.asked_at is None or asked_at > entry.asked_at:
            entry.asked_at = asked_at

    def _term(self, entry: RosterEntry) -> Term:
        return Term(
            incarnation=entry.incarnation,
            asked_at=entry.asked_at,
            acknowledged=self._outbox.on_disk(entry.stream),
            inherited_acknowledged={s: self._outbox.on_disk(s) for s in entry.inherited},
            orders_per_s=self._share(entry),
        )

    def _share(self, entry: RosterEntry) -> float | None:
        """Divide a broker server's budget among its accounts that have something to close.

        What others were allowed before there were so many is theirs until they renew their lease,
        so a newcomer may have to begin with less than its part.
        """
        budget = self._config.orders_per_s
        if budget is None:
            return None
        others = [
            o
            for o in self._entries.values()
            if o is not entry and o.server == entry.server and o.due
        ]
        fair = budget / (1 + len(others))
        if not entry.due:
            return fair  # it closes nothing before the next call, which brings another share
        lent = sum(other.share for other in others)
        entry.share = max(LEAST_OF_FAIR * fair, min(fair, budget - lent))
        return entry.share
