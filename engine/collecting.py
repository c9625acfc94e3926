"""Collecting: the deals of executed closes are read, and their results made and recorded.

Nothing here holds up an order. Deals that are there are read for several closes in one go, once
a handful is executed or the oldest has waited a quarter of a second; deals that are late are
polled for in the background.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.brokers.port import AccountState, Broker, Position
from engine.clock import Clock, to_datetime
from engine.concluding import conclude, evidence_of
from engine.errors import BrokerError, WrongAccount
from engine.idempotency import IdempotencyMap
from engine.lease import LeaseLost, Permit
from engine.models import CloseEvidence, CloseRequest, CloseResult
from engine.outcomes import Outcome
from engine.patience import Patience
from engine.policy import ClosingPolicy
from engine.unfinished import UnfinishedClose

_log = logging.getLogger(__name__)

MOST_DEFERRED = 32
LONGEST_DEFERRED_S = 0.25


class CloseLedger(Protocol):
    """Where final results go, with what they rest on. Must not block and must not raise."""

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Take one final result; called once per position and key."""
        ...

    def close_answered(self, position: str, request: CloseRequest, answer: CloseResult) -> None:
        """Take note that a new key was given another key's full success; once for each key.

        Args:
            position: the position as the account knows it.
            request: what came under the new key.
            answer: the full success, which was taken before.
        """
        ...

    def reversal_found(self, position: str, opened: Position, request: CloseRequest) -> None:
        """Take note that a net position was turned around, by our own order or a stop.

        Args:
            position: the stable identity of the position that was to be closed.
            opened: what is open in its place; it is closed next.
            request: the close that found it.
        """
        ...


class NoLedger:
    """Keeps nothing: for an embedding that records results in its own way."""

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Drop the result; the caller has it."""

    def close_answered(self, position: str, request: CloseRequest, answer: CloseResult) -> None:
        """Drop the note; the caller has the answer."""

    def reversal_found(self, position: str, opened: Position, request: CloseRequest) -> None:
        """Drop the finding; it is logged."""


class Collector:
    """Turns executed or failed closes of one account into final results.

    Args:
        broker: where deals are read.
        check_account: reads the account; raises :class:`WrongAccount` if it is another's.
        memory: gets every result.
        ledger: gets every result with its evidence.
        clock: dates results.
        patience: polls for late deals.
        policy: how long deals may lag.
        permit: must be held to conclude what no deal proves.
    """

    def __init__(
        self,
        broker: Broker,
        check_account: Callable[[], Awaitable[AccountState]],
        memory: IdempotencyMap,
        ledger: CloseLedger,
        *,
        clock: Clock,
        patience: Patience,
        policy: ClosingPolicy,
        permit: Permit,
    ) -> None:
        """Start with nothing to collect."""
        self._broker = broker
        self._check_account = check_account
        self._memory = memory
        self._ledger = ledger
        self._clock = clock
        self._patience = patience
        self._policy = policy
        self._permit = permit
        self._deferred: deque[UnfinishedClose] = deque()
        self._deferred_since = 0.0
        self._late: set[asyncio.Task[None]] = set()

    async def take(self, close: UnfinishedClose) -> None:
        """Take a close whose requests are done with; its result comes now or later."""
        if not close.is_satisfied or close.failure is not None:
            await self._collect(close)
            return
        now = self._clock.monotonic()
        if not self._deferred:
            self._deferred_since = now
        self._deferred.append(close)
        is_old = now - self._deferred_since >= LONGEST_DEFERRED_S
        if is_old or len(self._deferred) >= MOST_DEFERRED:
            await self.collect_deferred()

    def share(self, request: CloseRequest, full: CloseResult) -> CloseResult:
        """Answer a new key with another key's full success, on record like every answer."""
        self._ledger.close_answered(self._memory.position_of(request), request, full)
        return self._memory.answered_by_another(request, full)

    async def collect_deferred(self) -> None:
        """Make the results that were put off; call it when no order is waiting to go out."""
        while self._deferred:
            # Kept until its result is made or being made: a cancelled caller loses nothing.
            close = self._deferred[0]
            try:
                await self._collect(close)
            except Exception as error:  # noqa: BLE001  # told to who waits for it; others go on
                self._memory.fail(close.request, error)
            self._deferred.popleft()

    async def _collect(self, close: UnfinishedClose) -> None:
        if await self._look_at_deals(close):
            await self._finish(close)
            return
        task = asyncio.create_task(self._finish_when_deals_show(close))
        self._late.add(task)
        task.add_done_callback(lambda done: self._end_late(close, done))

    async def _look_at_deals(self, close: UnfinishedClose) -> bool | None:
        """Read the deals once; ``True`` when they account for all that is known to be closed."""
        if not close.attempt_count and not close.gone:
            return True
        try:
            close.saw_deals(await self._broker.deals_of(close.identifier))
        except BrokerError as error:
            _log.warning(
                "deals of position %s of %s: %s", close.position, close.request.user_id, error
            )
            return None
        enough = close.deals_cover_executed
        if close.gone:
            enough = enough and close.book.is_fully_closed
        return True if enough else None

    async def _finish_when_deals_show(self, close: UnfinishedClose) -> None:
        await self._patience.until(lambda: self._look_at_deals(close), self._policy.deal_lag_s)
        await self._finish(close)

    def _end_late(self, close: UnfinishedClose, done: asyncio.Task[None]) -> None:
        self._late.discard(done)
        if done.cancelled():
            self._memory.abandon(close.request)
        elif (error := done.exception()) is not None:
            _log.error("finishing a close of %s failed", close.request.user_id, exc_info=error)
            self._memory.fail(close.request, error)

    async def _finish(self, close: UnfinishedClose) -> None:
        if not close.is_proven:
            try:
                await self._doubt_account(close)
                await self._permit.secured()
            except LeaseLost as error:
                # The life that follows may find something else; what is final is said once.
                _log.warning(
                    "the close of position %s of %s is left to the next life: %s",
                    close.position,
                    close.request.user_id,
                    error,
                )
                self._memory.fail(close.request, error)
                return
        result = conclude(close, to_datetime(self._clock.wall_us()))
        self._ledger.close_finished(result, evidence_of(close))
        self._memory.finish(close.request, result)

    async def _doubt_account(self, close: UnfinishedClose) -> None:
        """Make sure that missing evidence was sought on the right account.

        Terminals have been seen to switch accounts. Deals under our own tag are proof enough;
        whatever else is concluded must not be read off a stranger's book.
        """
        try:
            await self._check_account()
        except WrongAccount as error:
            close.fail(Outcome.UNKNOWN, f"the terminal changed accounts in mid-close: {error}")
        except BrokerError as error:
            _log.warning("account %s could not be checked: %s", close.request.user_id, error)
