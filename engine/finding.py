"""Finding: looking a request up at the broker, fresh, before anything is decided about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from engine.brokers.port import (
    FAR_FUTURE_MS,
    AccountState,
    Broker,
    Deal,
    MarginMode,
    Position,
)
from engine.clock import Clock
from engine.errors import BrokerError
from engine.idempotency import IdempotencyMap
from engine.models import CloseRequest
from engine.ordering import in_closing_order
from engine.outcomes import Outcome
from engine.patience import Patience
from engine.policy import ClosingOrder, ClosingPolicy
from engine.reading import answered, read_position
from engine.sighting import Sighting
from engine.unfinished import UnfinishedClose

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """What looking a request up has found: notes on a close, and the position if it is open."""

    close: UnfinishedClose
    position: Position | None


async def _read_whole(
    broker: Broker, ticket: int, identifier: int
) -> tuple[Position | None, int, tuple[Deal, ...]]:
    """Read a position, its identifier and its deals."""
    position = await read_position(broker, ticket, identifier)
    if position is not None:
        identifier = position.identifier
    elif await broker.deals_of(ticket):
        identifier = ticket
    return position, identifier, await broker.deals_of(identifier)


class Finder:
    """Looks requests of one account up.

    Args:
        broker: what is asked.
        memory: binds the caller's names to the broker's numbers.
        clock: says how long a read may still be stale.
        patience: asks again for an account that does not answer.
        policy: how long, and whether real money may be touched. What is unreadable is read again
            for one position's budget in each call: a broker that is away for longer must not
            hold up each of many positions for so long.
    """

    def __init__(
        self,
        broker: Broker,
        memory: IdempotencyMap,
        *,
        clock: Clock,
        patience: Patience,
        policy: ClosingPolicy,
    ) -> None:
        """Start with nothing seen."""
        self._broker = broker
        self._memory = memory
        self._clock = clock
        self._patience = patience
        self._policy = policy
        self._state: AccountState | None = None
        self._left: dict[str, tuple[float | None, float]] = {}
        self._reads_end = 0.0
        self.has_predecessor = False
        """Whether a life before this one may have sent requests that nobody recorded."""
        self.sightings: deque[Sighting] = deque(maxlen=1)
        """The account when all its positions were last read, if they were."""

    def begin_call(self) -> None:
        """Let the next look-up read the account anew."""
        self._state = None
        self._reads_end = self._clock.monotonic() + self._policy.position_budget_s

    async def account(self) -> AccountState:
        """Read the account; an answer that is late gets as long as deals do.

        Raises:
            BrokerError: the broker did not answer, or for another account.
        """
        return await answered(self._broker.account, self._patience, self._policy.deal_lag_s)

    async def _answered(self, read: Callable[[], Awaitable[_T]]) -> _T:
        left_s = max(0.0, self._reads_end - self._clock.monotonic())
        return await answered(read, self._patience, left_s)

    async def open_positions(self) -> list[Position]:
        """Read all open positions, in closing order.

        Raises:
            BrokerError: the broker did not answer within its retries.
        """
        account = await self._answered(self._broker.account)
        positions = await self._answered(self._broker.positions)
        self.sightings.append(Sighting(self._clock.wall_us(), account, positions))
        exposures = {p.ticket: await self._exposure(p) for p in positions}
        return in_closing_order(
            positions,
            self._policy.order,
            fifo=account.fifo,
            exposure=lambda p: exposures[p.ticket],
        )

    async def all_deals(self) -> tuple[Deal, ...]:
        """Read the account's whole history.

        Raises:
            BrokerError: the broker did not answer within its retries.
        """
        self.begin_call()
        return await self._answered(lambda: self._broker.deals_between(0, FAR_FUTURE_MS))

    async def _exposure(self, position: Position) -> float:
        if self._policy.order is not ClosingOrder.LARGEST_EXPOSURE:
            return 0.0
        spec = await self._broker.symbol(position.symbol)
        return position.volume * spec.contract_size * position.price_current

    def remember_left(self, close: UnfinishedClose) -> None:
        """Keep what can still be open of a position: reads may show more for a while."""
        if close.at_most is None:
            return
        now = self._clock.monotonic()
        self._left = {p: left for p, left in self._left.items() if left[1] > now}
        self._left[close.position] = (close.at_most, close.at_most_until)

    async def look_up(self, request: CloseRequest) -> Found:
        """Read position and deals, and bind the caller's name to the identifier.

        Raises:
            ValueError: the name is bound to another position already.
        """
        memory, broker = self._memory, self._broker
        known_as = memory.position_of(request)
        # Only a bound name stands for an identifier: one that merely looks like a number is the
        # caller's own, and could be another position's.
        identifier = memory.identifier_of(request) or request.ticket
        try:
            account = self._state
            if account is None:
                account = self._state = await self._answered(broker.account)
            position, identifier, deals = await self._answered(
                lambda: _read_whole(broker, request.ticket, identifier)
            )
        except BrokerError as error:
            return Found(self._unread(request, known_as, identifier, error), None)
        if position is not None or deals:
            memory.bind(request, str(identifier))
        close = UnfinishedClose(request, memory.position_of(request), identifier)
        close.nets = account.margin_mode is MarginMode.NETTING
        close.saw_deals(deals)
        # An earlier life may have closed a part, or all, under this very key.
        close.executed = close.book.closed_under(close.tag)
        close.at_most, close.at_most_until = self._left.get(close.position, (None, 0.0))
        if position is not None and account.is_real and not self._policy.allow_live:
            close.seen_open(position)
            close.fail(
                Outcome.NOT_SENT,
                f"account {account.login} on {account.server} holds real money and "
                "allow_live is false; set allow_live=true for it to let the engine send orders",
            )
        return Found(close, position)

    def _unread(
        self, request: CloseRequest, known_as: str, identifier: int, error: BrokerError
    ) -> UnfinishedClose:
        """Note a request that could not be looked up: nothing is sent for it."""
        if self._memory.full_success(str(identifier)) is not None:
            known_as = str(identifier)  # the answer to it is known, whatever it is called now
        close = UnfinishedClose(request, known_as, identifier)
        # What this life has not sent, the one before it may have.
        outcome = Outcome.UNKNOWN if self.has_predecessor else Outcome.NOT_SENT
        close.fail(outcome, f"the broker could not be read: {error}")
        return close
