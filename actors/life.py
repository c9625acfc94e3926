"""One life of an account: what an activation has set up, as plain asyncio.

The account actor runs it in a process of its own; a host may run many in one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import pickle
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from actors.cancelling import cancel_pending_first
from actors.earlier_lives import earlier_may_act_s
from actors.final_answers import FinalAnswers, Scoped, scoped
from actors.guarding import Guarding
from actors.links import EngineSide, NotActivated
from actors.mandated import carry_out, left_open, refusals_in
from actors.messages import (
    AccountBook,
    Activated,
    Activation,
    CloseReply,
    DealsPage,
    Exposure,
    LifeSign,
    Term,
    WatchReply,
)
from actors.recording import RecordKeeper
from actors.witness import Witness
from audit.chain import ChainWriter, SealedRecord
from audit.events import plain_event
from audit.records import EventType
from audit.replay import remembered
from engine.brokers.port import FAR_FUTURE_MS, Broker, MarketFeed
from engine.clock import Clock
from engine.clock_quality import quality_of
from engine.closing import AccountCloser
from engine.errors import BrokerError, IdempotencyConflict, RiskEngineError
from engine.lease import Lease
from engine.mandates import DirectClose, Mandate, episode_id_of
from engine.models import BulkCloseResult, PositionRef
from engine.outcomes import Outcome
from engine.pace import Pace
from engine.patience import Patience
from engine.postponing import soonest_opening_s

_log = logging.getLogger(__name__)

RENEWED_WHEN_PACED_S = 1.0
"""How often a life asks for its lease where a server's budget is divided: the answer brings its
share, which may have to shrink for others."""

LATE_ANSWERS_S = 1.0
"""How long the first order after a settle window may wait for the audit, which may be away."""

LAST_LOOK_S = 3.0
"""How long a life that ends may look for what a dead one left: a shutdown waits for it."""


class AccountLife:
    """An account between activation and release: closes, watches, reads, records.

    Args:
        user_id: the account.
        broker: connected by :meth:`begin`.
        activation: everything else that this life works with.
        clock: time.
        side: the engine around it.
        process: identity of the process that it lives in.
    """

    def __init__(
        self,
        user_id: str,
        broker: Broker,
        activation: Activation,
        clock: Clock,
        side: EngineSide,
        process: str,
    ) -> None:
        """Set up; see :meth:`begin`."""
        opened, guards = activation.opened, activation.guards
        self.user_id = user_id
        self.incarnation = opened.incarnation
        self._activation = activation
        self._clock = clock
        self._side = side
        self._process = process
        self._server = ""
        feed = broker if isinstance(broker, MarketFeed) else None
        is_paced = activation.orders_per_s is not None
        self._lease = Lease(
            clock,
            activation.lease_s,
            self._renew,
            renewed_every_s=RENEWED_WHEN_PACED_S if is_paced else math.inf,
        )
        self._pace = Pace(clock)
        self._pace.set_share(activation.orders_per_s)
        self._keeper = RecordKeeper(
            user_id,
            ChainWriter(
                opened.stream,
                opened.predecessor,
                version=activation.version,
                config_hash=activation.config_hash,
            ),
            clock,
            partial(side.ship, opened.incarnation),
            superseded=self._superseded,
            inherited=activation.inherited,
            most_held=activation.most_held,
        )
        # Jitter only: seeded by the account so that accounts differ and runs do not.
        random = Random(f"{user_id}/{opened.incarnation}")
        self._closer = AccountCloser(
            user_id,
            broker,
            clock=clock,
            random=random,
            policy=activation.policy,
            ledger=self._keeper,
            permit=self._lease,
            pace=self._pace,
            before_first_order=(
                None if opened.predecessor_ended_cleanly else self._learn_late_answers
            ),
        )
        self._closer.remember(remembered(activation.history))
        if not activation.history.is_complete:
            _log.error(
                "account %s begins without its older answers: the audit store cannot be read; "
                "what is closed is still seen at the broker",
                user_id,
            )
        self._broker = self._closer.broker
        self._witness = Witness(self._closer, self._keeper, self.incarnation)
        self._finals = FinalAnswers()
        self._postponed: dict[Scoped, list[PositionRef]] = {}
        self._patience = Patience(clock, random, first_s=0.1, longest_s=2.0)
        self._guarding = Guarding(
            user_id, self._broker, feed, clock, guards, activation.poll_interval_s, self._keeper
        )

    async def begin(self, pid: int) -> Activated:
        """Connect, and record that this life has begun.

        Raises:
            BrokerError: the broker cannot be reached or leads to another account.
        """
        opened = self._activation.opened
        account = await self._broker.connect()
        self._server = account.server
        positions = await self._broker.positions()
        wait_s = earlier_may_act_s(self._activation, self._process, self._side.is_dead)
        about = {
            "process": self._process,
            "waits_for_predecessor_s": wait_s,
            "clock": quality_of(self._clock).facts(),
        }
        self._record(EventType.STREAM_OPENED, about)
        # Before the first order: the next life is to know which process this one lived in.
        self._keeper.send()
        if wait_s > 0 or not opened.predecessor_ended_cleanly:
            self._closer.wait_for_predecessor(wait_s)
        return Activated(
            self.user_id,
            account.login,
            account.server,
            account.currency,
            len(positions),
            pid,
            self._keeper.take(),
            self._clock.monotonic(),
            self._process,
        )

    def sign(self) -> LifeSign:
        """Say which life this is and what it holds, and ask for the lease with it."""
        return LifeSign(
            self.incarnation,
            self._activation.config_hash,
            self._clock.monotonic(),
            self._server,
            self._process,
            self._keeper.hand_over(),
        )

    @property
    def is_superseded(self) -> bool:
        """Whether a newer life of the account is known to have begun."""
        return self._lease.is_revoked

    async def close(
        self, term: Term, mandate: Mandate, accepted_us: int, concludes: bool = False
    ) -> CloseReply:
        """Close what a mandate covers; an unreadable broker is an error in the reply.

        With ``concludes`` nothing more is sent: what waited for its market ends as it is.

        Raises:
            NotActivated: another life is meant.
            LeaseLost: this life may not send any more.
        """
        self._take(term)
        name = scoped(mandate)
        policy = self._activation.policy
        self._guarding.accepted(episode_id_of(mandate))
        final = self._finals.of(mandate)
        if final is not None:  # the reply was lost, or the call doubled: its scope stays as it was
            return self._with_records(final)
        self._witness.begin(mandate, goes_on=name in self._postponed)
        self._keeper.begin(self._witness.met)
        async with self._keeping_lease():
            try:
                with_what = (self._broker, self._lease, self._patience, self._pace, policy)
                if not concludes:
                    for record in await cancel_pending_first(mandate, *with_what, self._clock):
                        self._keeper.keep(record)
                begun = self._postponed.get(name, ())
                how = (self._closer, accepted_us, self._clock, begun)
                done = await carry_out(mandate, *how, concludes=concludes)
            except BrokerError as error:
                nothing = BulkCloseResult.of("", ())
                return self._reply(nothing, error=f"{type(error).__name__}: {error}")
            except (IdempotencyConflict, ValueError) as error:
                if not isinstance(mandate, DirectClose):
                    raise
                return self._reply(BulkCloseResult.of("", ()), error=str(error), refusal=error)
            lag_s = policy.deal_lag_s
            left = await left_open(mandate, self._broker, self._clock, self._patience, lag_s)
        self._witness.left(mandate, None if done.waiting else left.seen)
        # What waits is told as failed, with the reason: it is, if nobody comes again.
        told = done.with_waiting(self._clock)
        reply = self._reply(
            told,
            closed=done.results.successful_closes,
            failed=done.results.failed_closes,
            unknown=sum(r.outcome is Outcome.UNKNOWN for r in done.results.results),
            waiting=len(done.waiting),
            opens_in_s=soonest_opening_s(done.waiting),
            still_open=left.count,
            error=left.trouble,
            closes=tuple(result.close_id for result in told.results),
            refused=refusals_in(told),
        )
        if done.waiting:
            self._postponed[name] = [PositionRef(w.position_id, w.ticket) for w in done.waiting]
        elif reply.error is None:
            self._postponed.pop(name, None)
            self._finals.keep(mandate, reply)
        return reply

    async def exposure(self, term: Term) -> Exposure:
        """Count what is open, and ship what is held.

        Raises:
            NotActivated: another life is meant.
            BrokerError: the broker cannot be read.
        """
        self._take(term)
        self._keeper.send()
        positions = await self._broker.positions()
        pending = await self._broker.pending_orders()
        now = self._clock.monotonic()
        return Exposure(len(positions), len(pending), now, self._keeper.held)

    async def deals(self, term: Term, since_ms: int, until_ms: int) -> DealsPage:
        """Read the deals of a span of broker time, both ends included.

        Raises:
            NotActivated: another life is meant.
            BrokerError: the broker cannot be read.
        """
        self._take(term)
        deals = await self._broker.deals_between(since_ms, until_ms)
        return DealsPage(deals, self._clock.monotonic())

    async def watch(self, term: Term, slice_s: float) -> WatchReply:
        """Let the guards look; see :meth:`actors.guarding.Guarding.watch`.

        Raises:
            NotActivated: another life is meant.
        """
        self._take(term)
        return await self._guarding.watch(slice_s)

    async def book(self) -> AccountBook:
        """Read the broker's own book: open positions, and all deals."""
        account = await self._broker.account()
        positions = await self._broker.positions()
        deals = await self._broker.deals_between(0, FAR_FUTURE_MS)
        return AccountBook(self.user_id, account.currency, positions, deals)

    async def release(self) -> tuple[SealedRecord, ...]:
        """End: nothing is under way, the connection is let go.

        Cleanly only if nothing is left for the next life to find at the broker: a request of a
        dead life that may still act, or a close that is on no record.
        """
        if not self.is_superseded and await self._owes_nothing():
            self._record(EventType.STREAM_CLOSED, {})
        records = self._keeper.hand_over()
        await self.disconnect()
        return records

    async def _owes_nothing(self) -> bool:
        try:
            async with asyncio.timeout(LAST_LOOK_S):
                # What waits for its market may be closed in part.
                return not self._postponed and await self._closer.owes_nothing()
        except Exception as error:  # noqa: BLE001  # a broker's own, too
            _log.warning("what %s leaves to its next life is not known: %s", self.user_id, error)
            return False

    async def disconnect(self) -> None:
        """Let go of the connection; what goes wrong with it holds up nothing."""
        try:
            await self._broker.disconnect()
        except Exception as error:  # noqa: BLE001  # a broker's own, too
            _log.warning("account %s did not disconnect cleanly: %s", self.user_id, error)

    def _take(self, term: Term) -> None:
        """Take up what the supervisor says with a call."""
        if term.incarnation != self.incarnation:
            raise NotActivated(
                f"the actor of account {self.user_id!r} is in life {self.incarnation}, "
                f"not in {term.incarnation}"
            )
        if term.asked_at is not None:
            self._lease.grant(term.asked_at)
        self._keeper.acknowledged(term.acknowledged, term.inherited_acknowledged)
        self._pace.set_share(term.orders_per_s)

    async def _renew(self, asked_at: float) -> bool:
        term = await self._side.renew(self.incarnation, asked_at)
        if term is None:
            return False
        if term.incarnation == self.incarnation:
            self._keeper.acknowledged(term.acknowledged, term.inherited_acknowledged)
            self._pace.set_share(term.orders_per_s)
        return term.incarnation == self.incarnation

    def _superseded(self) -> None:
        self._lease.revoke("the audit knows a newer life of this account")

    @asynccontextmanager
    async def _keeping_lease(self) -> AsyncIterator[None]:
        """Renew the lease while there is work; a blocked process renews nothing, and so tells."""
        keeping = asyncio.create_task(self._lease.keep())
        try:
            yield
        finally:
            keeping.cancel()

    async def _learn_late_answers(self) -> None:
        """Read once more what the life before has recorded: it may have gone on for a while."""
        try:
            async with asyncio.timeout(LATE_ANSWERS_S):
                history = await self._side.history()
        except (RiskEngineError, TimeoutError) as error:
            _log.error("late answers of %s could not be read: %s", self.user_id, error)
            return
        self._closer.remember(remembered(history))

    def _reply(self, results: BulkCloseResult, **more: Any) -> CloseReply:
        reply = CloseReply(
            results=pickle.dumps(results, protocol=5),
            records=(),
            first_sent_us=self._keeper.first_sent_us,
            last_answered_us=self._keeper.last_answered_us,
            **more,
        )
        return self._with_records(reply)

    def _with_records(self, reply: CloseReply) -> CloseReply:
        records = self._keeper.hand_over()
        lost = len(self._keeper.lost_closes.intersection(reply.closes))
        held_back = self._keeper.held - len(records) + lost
        asked_at = self._clock.monotonic()
        return replace(reply, records=records, held_back=held_back, asked_at=asked_at)

    def _record(self, event: EventType, details: Mapping[str, Any]) -> None:
        self._keeper.keep(
            plain_event(
                event,
                self.user_id,
                self._activation.opened.stream,
                occurred_at=self._clock.wall_us(),
                details=details,
            )
        )
