"""Sending: read, send, understand the answer, and again, within the budget.

Every request is for volume that was just read as open, and none is sent while an earlier one may
still act, or without a permit.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from enum import Enum

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from engine.brokers.port import Broker, CloseOrder, Position
from engine.clock import Clock
from engine.errors import BrokerError
from engine.lease import LeaseLost, Permit
from engine.models import Attempt
from engine.outcomes import Outcome, Verdict
from engine.pace import Pace, Priority
from engine.patience import Patience
from engine.policy import ClosingPolicy
from engine.reading import read_position
from engine.realised import VOLUME_DUST
from engine.settling import Fate, Settlement, Settler
from engine.unfinished import UnfinishedClose

_SETTLE = (Verdict.ACCEPTED, Verdict.MAYBE_MET, Verdict.UNKNOWN, Verdict.SETTLE_FIRST)


class _Next(Enum):
    """What follows a step."""

    FINISHED = "finished"
    AGAIN_NOW = "again now"
    AGAIN_LATER = "again later"


class Sender:
    """Works one close at the broker until it is finished or its budget is spent.

    Args:
        broker: the account's.
        clock: dates requests and measures the budget.
        patience: how long to wait before a request is sent again.
        policy: the limits.
        permit: says whether requests may leave.
        pace: says when; ``None`` is at once.
        turned: told of a position that is found on the other side than the close has seen it.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        policy: ClosingPolicy,
        *,
        permit: Permit,
        pace: Pace | None,
        turned: Callable[[UnfinishedClose, Position], None],
    ) -> None:
        """Start with nothing under way."""
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self._policy = policy
        self._permit = permit
        self._pace = pace
        self._turned = turned
        self._has_turn = False
        self._has_lapsed = False
        self._settler = Settler(broker, patience, policy.settle_window_s)

    async def ready(self) -> None:
        """Wait until a request may leave. Call it before the read that the request rests on.

        All waiting is done before that read, so that nothing is sent on stale facts. A turn that
        no request has used is kept for the next.

        Raises:
            LeaseLost: this life may not send any more.
        """
        if self._pace is not None and not self._has_turn:
            await self._pace.turn(Priority.CLOSE)
            self._has_turn = True
        await self._permit.secured()

    async def work(self, close: UnfinishedClose, position: Position | None) -> None:
        """Bring ``close`` to its end; what came of it stands in ``close`` itself.

        Args:
            close: the notes to work on.
            position: the position as just read, or ``None`` if it was absent; :meth:`ready` has
                returned before the read.

        Raises:
            LeaseLost: this life may not send any more; nothing about ``close`` is final.
        """
        following = await self._follow_read(close, position)
        if following is _Next.FINISHED:
            return
        end = self._clock.monotonic() + self._policy.position_budget_s

        def wait(state: RetryCallState) -> float:
            return self._wait_s(following, state.attempt_number + 1)  # one step was before

        async def step() -> _Next:
            nonlocal following
            following = await self._step(close)
            return following

        def is_spent() -> bool:
            return (
                len(close.attempts) >= self._policy.most_attempts or self._clock.monotonic() >= end
            )

        if is_spent():
            self._give_up(close)
            return
        working = AsyncRetrying(
            sleep=self._clock.sleep,
            wait=wait,
            stop=lambda _: is_spent(),
            retry=retry_if_result(lambda answer: answer is not _Next.FINISHED),
            retry_error_callback=lambda _: self._give_up(close),
        )
        await self._clock.sleep(self._wait_s(following, 1))
        await working(step)

    def _wait_s(self, following: _Next, attempt: int) -> float:
        return self._patience.wait_s(attempt) if following is _Next.AGAIN_LATER else 0.0

    def _give_up(self, close: UnfinishedClose) -> None:
        if close.attempts:
            last = close.attempts[-1]
            close.fail(
                Outcome.REJECTED,
                f"gave up after {len(close.attempts)} attempts; the last answer was "
                f"{last.code} {last.text}",
            )
        elif close.error is None:
            close.fail(Outcome.NOT_SENT, "gave up before anything was sent")
        close.failure = close.failure or Outcome.NOT_SENT

    async def _step(self, close: UnfinishedClose) -> _Next:
        await self.ready()
        try:
            found = await read_position(self._broker, close.ticket, close.identifier)
        except BrokerError as error:
            close.error = f"the position could not be read: {error}"
            return _Next.AGAIN_LATER
        return await self._follow_read(close, found)

    async def _follow_read(self, close: UnfinishedClose, position: Position | None) -> _Next:
        if position is None:
            close.gone = True
            return _Next.FINISHED
        if close.side is not None and position.side is not close.side:
            self._turned(close, position)
        close.seen_open(position)
        if close.is_satisfied:
            return _Next.FINISHED
        if close.is_stale(position, self._clock.monotonic()):
            return _Next.AGAIN_LATER
        volume = await self._volume_for(close, position)
        if volume is None:
            return _Next.FINISHED
        return await self._send(close, position, volume)

    async def _volume_for(self, close: UnfinishedClose, position: Position) -> float | None:
        """Return the lots to ask for: what is open now, or the part wanted, in whole steps."""
        wanted = close.wanted
        if wanted is None or wanted >= position.volume - VOLUME_DUST:
            return position.volume
        spec = await self._broker.symbol(position.symbol)
        step = Decimal(repr(spec.volume_step))
        dusted = Decimal(repr(wanted)) + Decimal(repr(VOLUME_DUST))
        volume = float((dusted / step).to_integral_value(ROUND_DOWN) * step)
        if volume < spec.volume_min - VOLUME_DUST:
            close.fail(
                Outcome.REJECTED if close.attempts else Outcome.NOT_SENT,
                f"volume={wanted!r} cannot be closed: {spec.name} trades at least "
                f"{spec.volume_min!r} lots in steps of {spec.volume_step!r}",
            )
            return None
        return volume

    async def _send(self, close: UnfinishedClose, position: Position, volume: float) -> _Next:
        if not self._policy.sends_orders:
            close.fail(Outcome.NOT_SENT, "observing only: the engine runs with mode='observe'")
            return _Next.FINISHED
        assert close.side is not None
        order = CloseOrder(
            ticket=position.ticket,
            symbol=position.symbol,
            side=close.side,
            volume=volume,
            tag=close.tag,
            price=close.request.close_price,
            attempt=close.attempt_count + 1,
        )
        sent_us = self._clock.wall_us()
        try:
            self._permit.check()  # nothing may be awaited between this and the request
        except LeaseLost:
            if self._has_lapsed:
                raise
            # It ran out during the read: it may be renewed, and the read is made anew.
            self._has_lapsed = True
            return _Next.AGAIN_NOW
        self._has_lapsed = self._has_turn = False
        if self._pace is not None:
            self._pace.leaves()
        answer = await self._broker.send_close(order)
        close.attempts.append(
            Attempt(
                number=close.attempt_count + 1,
                sent_us=sent_us,
                answered_us=self._clock.wall_us(),
                verdict=answer.verdict,
                code=answer.code,
                text=answer.text,
                volume_asked=volume,
                volume=answer.volume,
                price=answer.price,
                order=answer.order,
                deal=answer.deal,
                details=answer.details,
            )
        )
        return await self._follow_answer(close, position, volume)

    async def _follow_answer(
        self, close: UnfinishedClose, position: Position, volume: float
    ) -> _Next:
        answer = close.attempts[-1]
        verdict = answer.verdict
        if verdict is Verdict.NOT_SENT and not self._is_permitted():
            return _Next.AGAIN_NOW  # the broker asked, too; see ChecksBeforeSending
        if verdict in (Verdict.DONE, Verdict.PARTIAL):
            done = answer.volume if answer.volume > 0 or verdict is Verdict.PARTIAL else volume
            self._note_executed(close, done, position)
            return _Next.FINISHED if close.is_satisfied else _Next.AGAIN_NOW
        if verdict in _SETTLE:
            return self._follow_settlement(
                close, position, await self._settler.settle(close, position)
            )
        if verdict is Verdict.RETRY_NOW:
            return _Next.AGAIN_NOW
        if verdict is Verdict.MARKET_CLOSED and self._policy.waits_for_session:
            close.market_closed = True
            return _Next.FINISHED
        if verdict in (Verdict.BACK_OFF, Verdict.MARKET_CLOSED):
            return _Next.AGAIN_LATER
        if verdict is Verdict.MEND and answer.code not in close.mended:
            close.mended.add(answer.code)
            return _Next.AGAIN_NOW
        close.out_of_order = verdict is Verdict.OLDEST_FIRST
        reached = verdict is not Verdict.NOT_SENT or close.attempt_count > 1
        close.fail(
            Outcome.REJECTED if reached else Outcome.NOT_SENT, f"{answer.code} {answer.text}"
        )
        return _Next.FINISHED

    def _is_permitted(self) -> bool:
        try:
            self._permit.check()
        except LeaseLost:
            return False
        return True

    def _note_executed(self, close: UnfinishedClose, volume: float, position: Position) -> None:
        # What was executed may be invisible for as long as a request may act.
        until = self._clock.monotonic() + self._policy.settle_window_s
        close.note_executed(volume, position.volume, until)

    def _follow_settlement(
        self, close: UnfinishedClose, position: Position, settled: Settlement
    ) -> _Next:
        if settled.fate is Fate.EXECUTED:
            self._note_executed(close, settled.volume, position)
            return _Next.FINISHED if close.is_satisfied else _Next.AGAIN_NOW
        if settled.fate is Fate.GONE:
            close.gone = True
            return _Next.FINISHED
        if settled.fate is Fate.NOT_EXECUTED:
            return _Next.AGAIN_LATER
        answer = close.attempts[-1]
        close.fail(
            Outcome.UNKNOWN,
            f"request {answer.number} was answered {answer.code} {answer.text}; {settled.reason}",
        )
        return _Next.FINISHED
