"""One account's closes: serial, idempotent, isolated from each other.

The account is the unit of serialisation: at any time at most one of its requests is under way at
the broker. What is known to be executed is collected later (:mod:`engine.collecting`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

from engine.brokers.deadlines import DeadlineBroker
from engine.brokers.port import FAR_FUTURE_MS, Broker, Position
from engine.clock import Clock, to_datetime
from engine.collecting import CloseLedger, Collector, NoLedger
from engine.concluding import refused
from engine.errors import BrokerError, MarketClosed
from engine.finding import Finder, Found
from engine.idempotency import IdempotencyMap
from engine.lease import LeaseLost, NoLease, Permit
from engine.models import CloseRequest, CloseResult, EarlierAnswer, PositionRef
from engine.ordering import ClosingQueue, older_than, oldest_first
from engine.outcomes import Outcome
from engine.pace import Pace
from engine.patience import Patience
from engine.policy import ClosingPolicy
from engine.postponing import OlderFirst, Postponements
from engine.predecessor import ExecutedOrders, Predecessor
from engine.reversal import report_reversal, undo_reversal
from engine.sending import Sender
from engine.unfinished import UnfinishedClose

_log = logging.getLogger(__name__)


class AccountCloser:
    """Closes positions of one account; not tied to a process or a framework.

    Args:
        user_id: the account.
        broker: its broker.
        clock: measures and dates.
        random: jitter of waits.
        policy: the limits.
        ledger: gets every final result.
        memory: the answers so far.
        permit: asked before every request; by default nothing else can act on the account.
        pace: spaces requests; by default they go as fast as the broker answers.
        before_first_order: awaited once, before the first read and after the wait for a life
            before: the place to :meth:`remember` what that one recorded late. What it raises ends
            the close; the next one awaits it again.
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
        permit: Permit | None = None,
        pace: Pace | None = None,
        before_first_order: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take charge of ``user_id``'s account at ``broker``."""
        self.user_id = user_id
        self.policy = policy = policy or ClosingPolicy()
        bounded = DeadlineBroker(
            broker, read_s=policy.read_deadline_s, send_s=policy.send_deadline_s
        )
        self.broker: Broker = bounded
        self.memory = memory if memory is not None else IdempotencyMap()
        self._clock = clock
        self._ledger = ledger = ledger or NoLedger()
        permit = permit or NoLease()
        bounded.use_check(permit.check)
        longest_s = policy.longest_backoff_s
        self._patience = patience = Patience(
            clock, random, first_s=policy.settle_first_s, longest_s=longest_s
        )
        retries = Patience(clock, random, first_s=policy.first_backoff_s, longest_s=longest_s)
        self._finder = Finder(bounded, self.memory, clock=clock, patience=patience, policy=policy)
        self.sightings = self._finder.sightings
        self._collector = Collector(
            bounded,
            self._finder.account,
            self.memory,
            ledger,
            clock=clock,
            patience=patience,
            policy=policy,
            permit=permit,
        )
        self._sender = Sender(
            bounded,
            clock,
            retries,
            policy,
            permit=permit,
            pace=pace,
            turned=lambda close, position: report_reversal(ledger, close, position),
        )
        self._postponements = Postponements(bounded, clock, policy)
        self._turn = asyncio.Lock()
        self._predecessor = Predecessor(clock, policy, before_first_order)
        self._undoing: list[asyncio.Future[CloseResult]] = []
        self._seen_through: set[asyncio.Task[None]] = set()

    def wait_for_predecessor(self, wait_s: float | None = None) -> None:
        """Send and read nothing for a while: the life before this one did not end cleanly.

        Its last request may still act at the venue; what it did is seen by reading afterwards.

        Args:
            wait_s: seconds from now; one settle window if ``None``.
        """
        self._predecessor.wait_for(wait_s)
        self._finder.has_predecessor = True

    def may_continue(self, accepted_us: int) -> bool:
        """Whether a life that died over it may have begun what was accepted then."""
        return self._predecessor.may_have_begun(accepted_us)

    def remember(self, answers: Iterable[EarlierAnswer]) -> None:
        """Take up final answers of earlier lives, in the order of their records.

        May be called again with more, or with the same; what is known stays as it is.
        """
        self.memory.take_up(answers)

    async def close(self, request: CloseRequest) -> CloseResult:
        """Close one position, or return the answer that its key already has.

        Raises:
            IdempotencyConflict: the key was used for another ticket or volume.
            ValueError: the position_id names another position already.
            MarketClosed: nothing is final; try the same key again (if the policy waits).
            LeaseLost: this life may not send any more; nothing is final.
        """
        self._finder.begin_call()
        begun = await self._begin(request, ClosingQueue(()))
        await self._collect_deferred()
        return await begun

    async def close_each(
        self, requests: Iterable[CloseRequest] | ClosingQueue
    ) -> list[CloseResult | MarketClosed]:
        """Close several positions one after another; one's failure never stops another's.

        Deals are read once orders are out. A request that conflicts with an earlier one is a
        failed result of its own. On a FIFO account the order of a symbol's requests changes to
        oldest first once the broker demands it.

        Returns:
            For each request, as given, its result; :class:`MarketClosed` where none is final.

        Raises:
            LeaseLost: this life may not send any more; results that are proven were recorded.
        """
        self._finder.begin_call()
        queue = requests if isinstance(requests, ClosingQueue) else ClosingQueue(requests)
        begun: dict[int, asyncio.Future[CloseResult] | CloseResult | MarketClosed] = {}
        while (entry := queue.take()) is not None:
            number, request = entry
            try:
                begun[number] = await self._begin(request, queue)
            except MarketClosed as waiting:
                begun[number] = waiting
            except OlderFirst as order:
                queue.put_back(number, request, order.oldest_first)
            except LeaseLost:
                await self._collect_deferred()
                raise
            except Exception as error:  # noqa: BLE001  # one position's failure stops no other
                begun[number] = refused(request, str(error), to_datetime(self._clock.wall_us()))
        await self._collect_deferred()
        ended = [begun[number] for number in sorted(begun)]
        return [await end if isinstance(end, asyncio.Future) else end for end in ended]

    async def executed_orders(self, accepted_us: int) -> ExecutedOrders:
        """Tell which executed orders a mandate may have to take up from lives that died over it.

        Nothing is read where none died; see :meth:`engine.predecessor.Predecessor.executed_orders`.
        """
        if self._predecessor.died:
            await self._settled()
        return await self._predecessor.executed_orders(
            accepted_us, self._finder.all_deals, self.memory
        )

    async def owes_nothing(self) -> bool:
        """Whether no life before left anything behind; :meth:`Predecessor.is_over` says more."""
        read_deals = partial(self.broker.deals_between, 0, FAR_FUTURE_MS)
        return await self._predecessor.is_over(read_deals, self.memory)

    async def _settled(self) -> None:
        if not self._predecessor.is_settled:
            async with self._turn:
                await self._predecessor.settled()

    async def open_positions(self) -> list[Position]:
        """Read all open positions, in closing order, after any wait for a predecessor.

        Raises:
            BrokerError: the broker did not answer within its retries.
        """
        await self._settled()
        self._finder.begin_call()
        return await self._finder.open_positions()

    async def in_order(self, refs: Sequence[PositionRef]) -> list[PositionRef]:
        """Bring named positions into closing order; those that are not open come last."""
        with suppress(BrokerError):  # each close reads for itself and reports its own trouble
            rank = {p.ticket: n for n, p in enumerate(await self.open_positions())}
            return sorted(refs, key=lambda ref: rank.get(ref.ticket, len(rank)))
        return list(refs)

    async def _begin(
        self, request: CloseRequest, rest: ClosingQueue
    ) -> asyncio.Future[CloseResult]:
        """Send what has to be sent; the returned future holds the result once deals are read.

        A caller that is cancelled stops waiting and no more: a request that has left cannot be
        called back, so its close is seen through, and its key keeps the answer.
        """
        work = asyncio.create_task(self._take_turn(request, rest))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._see_through(work)
            raise

    async def _take_turn(
        self, request: CloseRequest, rest: ClosingQueue
    ) -> asyncio.Future[CloseResult]:
        async with self._turn:
            await self._predecessor.settled()
            known = self.memory.claim(request)
            return await self._exchange(request, rest) if known is None else _answer(known)

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
        undoing, self._undoing = self._undoing, []
        await asyncio.gather(*undoing)

    async def _exchange(
        self, request: CloseRequest, rest: ClosingQueue
    ) -> asyncio.Future[CloseResult]:
        await self._sender.ready()
        found = await self._finder.look_up(request)
        # By its number too: while its deals are late, a new name of it is bound to nothing.
        names = (found.close.position, str(found.close.identifier))
        if self.memory.is_busy(*names):
            # Another key's close of this position is executed, its deals not yet read.
            await self._collector.collect_deferred()
            await self.memory.quiet(*names)
            await self._sender.ready()
            found = await self._finder.look_up(request)
        known = self.memory.claim(request) or self._answer_of_another_key(found)
        if known is not None:
            return _answer(known)
        return await self._close_found(found, rest)

    def _answer_of_another_key(self, found: Found) -> CloseResult | None:
        """Return the full success that answers every key, unless the position is open anew."""
        close, position = found.close, found.position
        full = self.memory.full_success(str(close.identifier))  # not by a name: see the finder
        # What its own order has closed is this key's own to tell, but as no second end.
        close.has_heir = full is not None and close.executed > 0 and position is None
        if full is None or close.has_heir:
            return None
        if position is None or close.is_stale(position, self._clock.monotonic()):
            return self._collector.share(close.request, full)
        told = "position %s of %s is open (%s lots) although it was closed in full"
        _log.error(told, close.position, self.user_id, position.volume)
        self.memory.reopened(close.position)
        return None

    async def _close_found(self, found: Found, rest: ClosingQueue) -> asyncio.Future[CloseResult]:
        close = found.close
        future = self.memory.start(close.request)
        self._postponements.take_up(close)
        try:
            if close.failure is None:
                await self._work(found, rest)
            if close.nets and not rest.concludes and self._may_have_reversed(close):
                await undo_reversal(
                    self.broker,
                    close,
                    self._ledger,
                    self._close_opened,
                    patience=self._patience,
                    within_s=self.policy.deal_lag_s if close.attempt_count else 0.0,
                )
            self._postponements.finished(close)
            await self._collector.take(close)
        except asyncio.CancelledError:
            self.memory.abandon(close.request)
            raise
        except Exception as error:  # nobody is to wait for this answer for ever
            self.memory.fail(close.request, error)
            raise
        return future

    def _may_have_reversed(self, close: UnfinishedClose) -> bool:
        """Whether an order of ours, or of the life before, may have met an empty account."""
        return close.may_have_executed or (self._predecessor.died and close.gone)

    async def _close_opened(self, undo: CloseRequest) -> bool:
        await self._sender.ready()
        found = await self._finder.look_up(undo)
        self._undoing.append(await self._close_found(found, ClosingQueue(())))
        return found.close.is_satisfied

    async def _work(self, found: Found, rest: ClosingQueue) -> None:
        """Do what the close needs; raise if it is not to be final."""
        close, position = found.close, found.position
        try:
            if rest.concludes and position is not None:
                return close.give_up_waiting(position)
            if close.earlier_count and position is not None:
                closed = await self._postponements.still_closed(close, position)
                if closed is not None:
                    raise closed
            await self._sender.work(close, position)
            if close.market_closed:
                closed = await self._postponements.market_is_closed(close)
                if closed is not None:
                    raise closed
            if close.out_of_order:
                await self._find_older(close, rest)
        except (LeaseLost, MarketClosed, OlderFirst):
            raise
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
        finally:
            self._finder.remember_left(close)

    async def _find_older(self, close: UnfinishedClose, rest: ClosingQueue) -> None:
        """Name the positions that a FIFO broker wants closed before this one.

        Raises:
            OlderFirst: the same call will come to one of them; this close is not final.
        """
        of_symbol = oldest_first(
            p for p in await self.broker.positions() if p.symbol == close.symbol
        )
        older = older_than(close.identifier, of_symbol)
        if rest.holds_any({p.ticket for p in older}):
            self._postponements.put_off(close)
            raise OlderFirst(tuple(of_symbol))
        if older:
            first = older[0]
            close.error = (
                f"{close.error}; position {first.position_id} (ticket {first.ticket}) of "
                f"{close.symbol} is older and must be closed first"
            )


def _answer(known: CloseResult | asyncio.Future[CloseResult]) -> asyncio.Future[CloseResult]:
    """Make one thing to await of an answer that is there and of one that is coming."""
    if isinstance(known, asyncio.Future):
        return asyncio.shield(known)
    answered: asyncio.Future[CloseResult] = asyncio.get_running_loop().create_future()
    answered.set_result(known)
    return answered
