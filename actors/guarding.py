"""Guarding: an account's guards look at it as often as its market moves."""

from __future__ import annotations

from actors.messages import GuardThresholds, WatchReply
from actors.recording import RecordKeeper
from audit.events import guard_alert
from engine.brokers.port import Broker, MarketFeed
from engine.clock import Clock
from engine.guards.drawdown import DrawdownGuard
from engine.guards.market import MarketGuard
from engine.models import GuardType
from engine.watch import AccountWatch, Look


class Guarding:
    """The guards of one account's life.

    Args:
        user_id: the account.
        broker: where to read it.
        feed: knows when the market moves; an account without one is looked at now and then.
        clock: time.
        guards: what they trip at.
        poll_interval_s: distance of two looks at an account without a feed.
        keeper: records warnings.
    """

    def __init__(
        self,
        user_id: str,
        broker: Broker,
        feed: MarketFeed | None,
        clock: Clock,
        guards: GuardThresholds,
        poll_interval_s: float,
        keeper: RecordKeeper,
    ) -> None:
        """Begin with no past."""
        self._user_id = user_id
        self._feed = feed
        self._clock = clock
        self._poll_interval_s = poll_interval_s
        self._keeper = keeper
        self._watch = AccountWatch(
            user_id,
            broker,
            clock,
            drawdown=DrawdownGuard(guards.drawdown_warning, guards.drawdown_critical),
            market=MarketGuard(guards.market_gap, guards.market_spread),
        )
        self._tripped: Look | None = None

    def accepted(self, episode_id: str) -> None:
        """Take note that an episode was opened: a trigger of that name has arrived."""
        kept = None if self._tripped is None else self._tripped.trigger
        if kept is not None and kept.trigger_id == episode_id:
            self._tripped = None

    async def watch(self, slice_s: float) -> WatchReply:
        """Let the guards look, as often as the market moves, for ``slice_s`` seconds of work.

        A trigger is told again and again until its episode has come back, for the reply may be
        lost, and a gap is seen only once.
        """
        if self._tripped is not None:
            return self._watched(self._poll_interval_s, self._tripped)
        end = self._clock.monotonic() + slice_s
        next_in_s: float | None = self._poll_interval_s
        while True:
            if self._feed is not None:
                next_in_s = self._feed.due_in()
                if next_in_s is None or next_in_s > 0:
                    return self._watched(next_in_s)
                self._feed.advance()
            look = await self._watch.look()
            self._note_warning(look)
            if look.trigger is not None:
                self._tripped = look
            is_over = self._feed is None or self._clock.monotonic() >= end
            if look.trigger is not None or is_over:
                return self._watched(next_in_s, look)

    def _watched(self, next_in_s: float | None, look: Look | None = None) -> WatchReply:
        return WatchReply(
            None if look is None else look.trigger,
            self._keeper.take(),
            next_in_s,
            None if look is None else look.blind,
            self._clock.monotonic(),
        )

    def _note_warning(self, look: Look) -> None:
        if look.warning is not None:
            self._keeper.keep(
                guard_alert(
                    self._user_id,
                    GuardType.DRAWDOWN,
                    look.warning.reason,
                    occurred_at=self._clock.wall_us(),
                    inputs=look.inputs,
                )
            )
