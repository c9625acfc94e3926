"""Finding: looking a request up at the broker, fresh, before anything is decided about it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.brokers.port import AccountState, Broker, MarginMode, Position
from engine.clock import Clock
from engine.errors import BrokerError
from engine.idempotency import IdempotencyMap
from engine.models import CloseRequest
from engine.ordering import in_closing_order
from engine.outcomes import Outcome
from engine.patience import Patience
from engine.policy import ClosingOrder, ClosingPolicy
from engine.reading import read_account, read_position
from engine.unfinished import UnfinishedClose


@dataclass(frozen=True, slots=True)
class Found:
    """What looking a request up has found: notes on a close, and the position if it is open."""

    close: UnfinishedClose
    position: Position | None


class Finder:
    """Looks requests of one account up.

    Args:
        broker: what is asked.
        memory: binds the caller's names to the broker's numbers.
        clock: says how long a read may still be stale.
        patience: asks again for an account that does not answer.
        policy: how long, and whether real money may be touched.
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
        self.has_predecessor = False
        """Whether a life before this one may have sent requests that nobody recorded."""

    def begin_call(self) -> None:
        """Let the next look-up read the account anew."""
        self._state = None

    async def account(self) -> AccountState:
        """Read the account; an answer that is late gets as long as deals do.

        Raises:
            BrokerError: the broker did not answer, or for another account.
        """
        return await read_account(self._broker, self._patience, self._policy.deal_lag_s)

    async def open_positions(self) -> list[Position]:
        """Read all open positions, in closing order.

        Raises:
            BrokerError: the broker did not answer within its retries.
        """
        account = await self.account()
        positions = await self._broker.positions()
        exposures = {p.ticket: await self._exposure(p) for p in positions}
        return in_closing_order(
            positions,
            self._policy.order,
            fifo=account.fifo,
            exposure=lambda p: exposures[p.ticket],
        )

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
            account = self._state = self._state or await self.account()
            position = await read_position(broker, request.ticket, identifier)
            if position is not None:
                identifier = position.identifier
            elif await broker.deals_of(request.ticket):
                identifier = request.ticket
            deals = await broker.deals_of(identifier)
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
