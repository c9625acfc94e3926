"""One life of an account: what an activation has set up, as plain asyncio.

The account actor runs it in a process of its own; a host may run many in one.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Mapping, Sequence
from random import Random
from typing import Any

from actors.messages import AccountBook, Activated, Activation, CloseReply, WatchReply
from actors.recording import RecordKeeper, Ship
from audit.chain import ChainWriter, SealedRecord
from audit.events import guard_alert, plain_event
from audit.records import EventType
from engine.brokers.port import Broker, MarketFeed
from engine.clock import Clock
from engine.closer import close_bulk, liquidate
from engine.closing import AccountCloser
from engine.errors import BrokerError
from engine.guards.drawdown import DrawdownGuard
from engine.guards.market import MarketGuard
from engine.models import BulkCloseResult, CloseRequest, CloseResult, GuardTrigger, GuardType
from engine.watch import AccountWatch, Look

FAR_FUTURE_MS = 4_102_444_800_000
"""2100-01-01, after any deal."""


class AccountLife:
    """An account between activation and release: closes, watches, reads, records.

    Args:
        user_id: the account.
        broker: connected by :meth:`begin`.
        activation: everything else that this life works with.
        clock: time.
        ship: sends records to the audit ahead of the reply.
    """

    def __init__(
        self,
        user_id: str,
        broker: Broker,
        activation: Activation,
        clock: Clock,
        ship: Ship | None,
    ) -> None:
        """Set up; see :meth:`begin`."""
        opened, guards = activation.opened, activation.guards
        self.user_id = user_id
        self._activation = activation
        self._clock = clock
        self._feed = broker if isinstance(broker, MarketFeed) else None
        self._keeper = RecordKeeper(
            user_id,
            ChainWriter(
                opened.stream,
                opened.predecessor,
                version=activation.version,
                config_hash=activation.config_hash,
            ),
            clock,
            ship,
        )
        self._closer = AccountCloser(
            user_id,
            broker,
            clock=clock,
            # Jitter only: seeded by the account so that accounts differ and runs do not.
            random=Random(f"{user_id}/{opened.incarnation}"),
            policy=activation.policy,
            ledger=self._keeper,
        )
        self._broker = self._closer.broker
        self._watch = AccountWatch(
            user_id,
            self._broker,
            clock,
            drawdown=DrawdownGuard(guards.drawdown_warning, guards.drawdown_critical),
            market=MarketGuard(guards.market_gap, guards.market_spread),
        )

    async def begin(self, pid: int) -> Activated:
        """Connect, and record that this life has begun.

        Raises:
            BrokerError: the broker cannot be reached or leads to another account.
        """
        account = await self._broker.connect()
        positions = await self._broker.positions()
        waits = self._activation.wait_for_predecessor
        self._record(EventType.STREAM_OPENED, {"wait_for_predecessor": waits})
        if waits:
            self._closer.wait_for_predecessor()
        return Activated(
            self.user_id,
            account.login,
            account.currency,
            len(positions),
            pid,
            self._keeper.take(),
        )

    async def liquidate(self, trigger: GuardTrigger) -> CloseReply:
        """Close what a trigger covers; an unreadable broker is an error in the reply."""
        work = liquidate(self._closer, trigger, self._clock)
        return await self._bulk(work, trigger.reason, whole=trigger.positions is None)

    async def close_all(
        self, reason: str, positions: Sequence[Mapping[str, Any]] | None, key: str | None
    ) -> CloseReply:
        """Close given positions, or all that are open."""
        work = close_bulk(
            self._closer,
            positions,
            close_reason=reason,
            key=key,
            initiator=GuardType.OPERATOR.value,
            clock=self._clock,
        )
        return await self._bulk(work, reason, whole=False)

    async def close(self, request: CloseRequest) -> CloseReply:
        """Close one position.

        Raises:
            IdempotencyConflict: the key was used for another ticket or volume.
            ValueError: the position_id names another position already.
        """
        self._keeper.begin()
        result = await self._closer.close(request)
        return self._reply(result, closed=int(result.success), failed=int(not result.success))

    async def watch(self, slice_s: float) -> WatchReply:
        """Let the guards look, as often as the market moves, for ``slice_s`` seconds of work."""
        end = self._clock.monotonic() + slice_s
        next_in_s: float | None = self._activation.poll_interval_s
        while True:
            if self._feed is not None:
                next_in_s = self._feed.due_in()
                if next_in_s is None or next_in_s > 0:
                    return WatchReply(records=self._keeper.take(), next_in_s=next_in_s)
                self._feed.advance()
            look = await self._watch.look()
            self._note_warning(look)
            is_over = self._feed is None or self._clock.monotonic() >= end
            if look.trigger is not None or is_over:
                return WatchReply(look.trigger, self._keeper.take(), next_in_s, look.blind)

    def _note_warning(self, look: Look) -> None:
        if look.warning is not None:
            self._keeper.keep(
                guard_alert(
                    self.user_id,
                    GuardType.DRAWDOWN,
                    look.warning.reason,
                    occurred_at=self._clock.wall_us(),
                    inputs=look.inputs,
                )
            )

    async def book(self) -> AccountBook:
        """Read the broker's own book: open positions, and all deals."""
        account = await self._broker.account()
        positions = await self._broker.positions()
        deals = await self._broker.deals_between(0, FAR_FUTURE_MS)
        return AccountBook(self.user_id, account.currency, positions, deals)

    async def release(self) -> tuple[SealedRecord, ...]:
        """End cleanly: nothing is under way, the connection is let go."""
        self._record(EventType.STREAM_CLOSED, {})
        await self.disconnect()
        return self._keeper.take()

    async def disconnect(self) -> None:
        """Let go of the connection."""
        await self._broker.disconnect()

    async def _bulk(
        self, work: Awaitable[BulkCloseResult], reason: str, *, whole: bool
    ) -> CloseReply:
        self._keeper.begin()
        try:
            done = await work
            left = len(await self._broker.positions()) if whole else None
        except BrokerError as error:
            nothing = BulkCloseResult.of(reason, ())
            return self._reply(nothing, error=f"{type(error).__name__}: {error}")
        return self._reply(
            done, closed=done.successful_closes, failed=done.failed_closes, still_open=left
        )

    def _reply(self, results: CloseResult | BulkCloseResult, **counts: Any) -> CloseReply:
        return CloseReply(
            results=pickle.dumps(results, protocol=5),
            records=self._keeper.take(),
            first_sent_us=self._keeper.first_sent_us,
            last_answered_us=self._keeper.last_answered_us,
            **counts,
        )

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
