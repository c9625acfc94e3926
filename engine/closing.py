"""One account's closes: serial, idempotent, isolated from each other.

The account is the unit of serialisation: at any time at most one of its requests is under way at
the broker. What is known to be executed is collected later (:mod:`engine.collecting`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from engine.brokers.deadlines import DeadlineBroker
from engine.brokers.port import AccountState, Broker, MarginMode, Position
from engine.clock import Clock, to_datetime
from engine.collecting import CloseLedger, Collector
from engine.concluding import refused
from engine.errors import BrokerError, IdempotencyConflict, WrongAccount
from engine.idempotency import IdempotencyMap
from engine.models import CloseEvidence, CloseRequest, CloseResult, PositionRef
from engine.ordering import in_closing_order
from engine.outcomes import Outcome
from engine.patience import Patience
from engine.policy import ClosingOrder, ClosingPolicy
from engine.reading import read_position
from engine.reversal import find_reversal
from engine.sending import Sender
from engine.unfinished import UnfinishedClose

_log = logging.getLogger(__name__)

MOST_UNDOINGS = 3
"""Tries to close what an order of ours has opened on a netting account."""


class NoLedger:
    """Keeps nothing: for an embedding that records results in its own way."""

    def close_finished(self, result: CloseResult, evidence: CloseEvidence) -> None:
        """Drop the result; the caller has it."""


class AccountCloser:
    """Closes positions of one account.

    Not tied to a process or a framework: broker, clock, randomness and ledger are passed in.
    """

    def __init__(
        self,
        user_id: str,
        broker: Broker,
        *,
        clock: Clock,
        random: Random,
        policy: ClosingPolicy | None = None,
        ledger: CloseLedger | None = None,
        memory: IdempotencyMap | None = None,
    ) -> None:
        """Take charge of ``user_id``'s account at ``broker``."""
        self.user_id = user_id
        self.policy = policy or ClosingPolicy()
        self.broker: Broker = DeadlineBroker(
            broker, read_s=self.policy.read_deadline_s, send_s=self.policy.send_deadline_s
        )
        self.memory = memory if memory is not None else IdempotencyMap()
        self._clock = clock
        self._patience = Patience(
            clock,
            random,
            first_s=self.policy.settle_first_s,
            longest_s=self.policy.longest_backoff_s,
        )
        retries = Patience(
            clock,
            random,
            first_s=self.policy.first_backoff_s,
            longest_s=self.policy.longest_backoff_s,
        )
        self._collector = Collector(
            self.broker,
            self._account,
            self.memory,
            ledger or NoLedger(),
            clock=clock,
            patience=self._patience,
            policy=self.policy,
        )
        self._sender = Sender(self.broker, clock, retries, self.policy)
        self._turn = asyncio.Lock()
        self._left: dict[str, tuple[float | None, float]] = {}
        self._quiet_until: float | None = None
        self._state: AccountState | None = None
        self._seen_through: set[asyncio.Task[None]] = set()

    def wait_for_predecessor(self) -> None:
        """Send nothing for one settle window: the life before this one did not end cleanly.

        Its last request may still act at the venue; what it did is seen by reading afterwards.
        """
        self._quiet_until = self._clock.monotonic() + self.policy.settle_window_s

    async def close(self, request: CloseRequest) -> CloseResult:
        """Close one position, or return the answer that its key already has.

        Raises:
            IdempotencyConflict: the key was used for another ticket or volume.
            ValueError: the position_id names another position already.
        """
        self._state = None
        begun = await self._begin(request)
        await self._collect_deferred()
        return await begun

    async def close_each(self, requests: Iterable[CloseRequest]) -> list[CloseResult]:
        """Close several positions one after another; one's failure never stops another's.

        Deals are read once orders are out. A request that conflicts with an earlier one is a
        failed result of its own.
        """
        self._state = None
        begun: list[tuple[CloseRequest, asyncio.Future[CloseResult] | Exception]] = []
        for request in requests:
            try:
                begun.append((request, await self._begin(request)))
            except (IdempotencyConflict, ValueError) as error:
                begun.append((request, error))
        await self._collect_deferred()
        return [
            refused(request, str(outcome), to_datetime(self._clock.wall_us()))
            if isinstance(outcome, Exception)
            else await outcome
            for request, outcome in begun
        ]

    async def open_positions(self) -> list[Position]:
        """Read all open positions, in closing order.

        Raises:
            BrokerError: the broker did not answer within its retries.
        """
        account = await self._account()
        positions = await self.broker.positions()
        exposures = {p.ticket: await self._exposure(p) for p in positions}
        return in_closing_order(
            positions,
            self.policy.order,
            fifo=account.fifo,
            exposure=lambda p: exposures[p.ticket],
        )

    async def in_order(self, refs: Sequence[PositionRef]) -> list[PositionRef]:
        """Bring named positions into closing order; those that are not open come last."""
        if len(refs) < 2:
            return list(refs)
        with suppress(BrokerError):  # each close reads for itself and reports its own trouble
            rank = {p.ticket: n for n, p in enumerate(await self.open_positions())}
            return sorted(refs, key=lambda ref: rank.get(ref.ticket, len(rank)))
        return list(refs)

    async def _exposure(self, position: Position) -> float:
        if self.policy.order is not ClosingOrder.LARGEST_EXPOSURE:
            return 0.0
        spec = await self.broker.symbol(position.symbol)
        return position.volume * spec.contract_size * position.price_current

    async def _account(self) -> AccountState:
        """Read the account; an answer that is late gets as long as deals do."""
        trouble: list[BrokerError] = []

        async def look() -> AccountState | None:
            try:
                return await self.broker.account()
            except WrongAccount:
                raise
            except BrokerError as error:
                trouble[:] = [error]
                return None

        account = await self._patience.until(look, self.policy.deal_lag_s)
        if account is None:
            raise trouble[0]
        return account

    async def _begin(self, request: CloseRequest) -> asyncio.Future[CloseResult]:
        """Send what has to be sent; the returned future holds the result once deals are read.

        A caller that is cancelled stops waiting and no more: a request that has left cannot be
        called back, so its close is seen through, and its key keeps the answer.
        """
        work = asyncio.create_task(self._take_turn(request))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._see_through(work)
            raise

    async def _take_turn(self, request: CloseRequest) -> asyncio.Future[CloseResult]:
        async with self._turn:
            await self._predecessor_settled()
            known = self.memory.claim(request)
            return await self._exchange(request) if known is None else _answer(known)

    def _see_through(self, work: asyncio.Task[asyncio.Future[CloseResult]]) -> None:
        async def finish() -> None:
            await asyncio.wait({work})
            if not work.cancelled() and (error := work.exception()) is not None:
                _log.error("a close of %s that nobody waits for failed: %s", self.user_id, error)
            await self._collect_deferred()

        task = asyncio.create_task(finish())
        self._seen_through.add(task)
        task.add_done_callback(self._seen_through.discard)

    async def _collect_deferred(self) -> None:
        async with self._turn:
            await self._collector.collect_deferred()

    async def _predecessor_settled(self) -> None:
        if self._quiet_until is not None:
            await self._clock.sleep(max(0.0, self._quiet_until - self._clock.monotonic()))
            self._quiet_until = None

    async def _exchange(self, request: CloseRequest) -> asyncio.Future[CloseResult]:
        found = await self._look_up(request)
        if self.memory.is_busy(found.close.position):
            # Another key's close of this position is executed, its deals not yet read.
            await self._collector.collect_deferred()
            await self.memory.quiet(found.close.position)
            found = await self._look_up(request)
        known = self.memory.claim(request) or self._answer_of_another_key(found)
        if known is not None:
            return _answer(known)
        return await self._close_found(found)

    def _answer_of_another_key(self, found: _Found) -> CloseResult | None:
        """Return the full success that answers every key, unless the position is open anew."""
        close, position = found.close, found.position
        full = self.memory.full_success(close.position)
        if full is None or position is None or close.is_stale(position, self._clock.monotonic()):
            return full
        _log.error(
            "position %s of %s is open (%s lots) although it was closed in full",
            close.position,
            self.user_id,
            position.volume,
        )
        self.memory.reopened(close.position)
        return None

    async def _close_found(self, found: _Found) -> asyncio.Future[CloseResult]:
        close = found.close
        future = self.memory.start(close.request)
        try:
            if close.failure is None:
                await self._work(found)
            if close.nets and close.may_have_executed:
                await self._undo_reversal(close)
            await self._collector.take(close)
        except asyncio.CancelledError:
            self.memory.abandon(close.request)
            raise
        return future

    async def _look_up(self, request: CloseRequest) -> _Found:
        """Read position and deals fresh, and bind the caller's name to the identifier."""
        known_as = self.memory.position_of(request)
        # Only a bound name stands for an identifier: one that merely looks like a number is the
        # caller's own, and could be another position's.
        identifier = self.memory.identifier_of(request) or request.ticket
        try:
            account = self._state = self._state or await self._account()
            position = await read_position(self.broker, request.ticket, identifier)
            if position is not None:
                identifier = position.identifier
            elif await self.broker.deals_of(request.ticket):
                identifier = request.ticket
            deals = await self.broker.deals_of(identifier)
        except BrokerError as error:
            close = UnfinishedClose(request, known_as, identifier)
            close.fail(Outcome.NOT_SENT, f"the broker could not be read: {error}")
            return _Found(close, None)
        if position is not None or deals:
            self.memory.bind(request, str(identifier))
        close = UnfinishedClose(request, self.memory.position_of(request), identifier)
        close.nets = account.margin_mode is MarginMode.NETTING
        close.saw_deals(deals)
        # An earlier life may have closed a part under this very key.
        close.executed = close.book.closed_under(close.tag)
        close.at_most, close.at_most_until = self._left.get(close.position, (None, 0.0))
        if position is not None and account.is_real and not self.policy.allow_live:
            close.seen_open(position)
            close.fail(
                Outcome.NOT_SENT,
                f"account {account.login} on {account.server} holds real money and "
                "allow_live is false; set allow_live=true for it to let the engine send orders",
            )
        return _Found(close, position)

    async def _work(self, found: _Found) -> None:
        close = found.close
        try:
            await self._sender.work(close, found.position)
        except BrokerError as error:
            if close.failure is None and not close.is_satisfied:
                close.fail(
                    Outcome.UNKNOWN if close.attempts else Outcome.NOT_SENT,
                    f"the broker could not be read: {error}",
                )
        except Exception as error:  # noqa: BLE001  # isolation, see below; the result says it
            # One position's failure, even a bug of ours or of a broker's, never stops another's.
            _log.exception("close of position %s of %s failed", close.position, self.user_id)
            close.fail(
                Outcome.UNKNOWN if close.attempts else Outcome.NOT_SENT,
                f"{type(error).__name__}: {error}",
            )
        if close.at_most is not None:
            now = self._clock.monotonic()
            self._left = {p: left for p, left in self._left.items() if left[1] > now}
            self._left[close.position] = (close.at_most, close.at_most_until)

    async def _undo_reversal(self, close: UnfinishedClose) -> None:
        """Close what our own order has opened on a netting account.

        A stop that fires, or an order by hand, between our read and our order makes that happen;
        no client can exclude it. It is looked for until the deals prove that there was none.
        """
        for number in range(1, MOST_UNDOINGS + 1):
            opened = await find_reversal(self.broker, close, self._patience, self.policy.deal_lag_s)
            if opened is None:
                return
            _log.error(
                "reversal on %s: the close of position %s has left position %s open "
                "(%s, %s lots); closing it",
                self.user_id,
                close.position,
                opened.identifier,
                opened.side.value,
                opened.volume,
            )
            undo = CloseRequest(
                position_id=opened.position_id,
                ticket=opened.ticket,
                user_id=self.user_id,
                close_reason=f"reversal of position {close.position}",
                idempotency_key=f"{close.request.idempotency_key}/reversal-{number}",
                initiator=close.request.initiator,
                trigger_id=close.request.trigger_id,
            )
            found = await self._look_up(undo)
            await self._close_found(found)
            if found.close.is_satisfied:
                return
        _log.critical(
            "reversal on %s: what the close of position %s has opened is still open after %d tries",
            self.user_id,
            close.position,
            MOST_UNDOINGS,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """What looking a request up has found."""

    close: UnfinishedClose
    position: Position | None


def _answer(known: CloseResult | asyncio.Future[CloseResult]) -> asyncio.Future[CloseResult]:
    """Make one thing to await of an answer that is there and of one that is coming."""
    if isinstance(known, asyncio.Future):
        return asyncio.shield(known)
    answered: asyncio.Future[CloseResult] = asyncio.get_running_loop().create_future()
    answered.set_result(known)
    return answered
