"""The life before this one, if it did not end cleanly: its requests may act, unrecorded.

What it asked for is waited for; what came of it is read from the broker afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from engine.brokers.port import Deal
from engine.clock import Clock
from engine.idempotency import IdempotencyMap
from engine.identity import close_tag, is_close_tag
from engine.policy import ClosingPolicy

_CLOCKS_DIFFER_US = 60_000_000


@dataclass(frozen=True, slots=True)
class ExecutedOrders:
    """What an account's deals tell of this engine's orders, whichever life sent them."""

    tags: frozenset[str] = frozenset()
    """Their close tags."""
    positions: tuple[int, ...] = ()
    """Identifiers of the positions that they may have been for, ascending."""

    @classmethod
    def of(cls, deals: Iterable[Deal]) -> ExecutedOrders:
        """Take from an account's deals what matters."""
        deals = tuple(deals)
        return cls(
            frozenset(deal.comment for deal in deals if is_close_tag(deal.comment)),
            tuple(sorted({deal.identifier for deal in deals if deal.identifier})),
        )

    @classmethod
    def unrecorded(cls, deals: Iterable[Deal], recorded: frozenset[str]) -> ExecutedOrders:
        """Take from an account's deals what concerns orders whose tags are not ``recorded``."""
        deals = tuple(deals)
        tags = cls.of(deals).tags - recorded
        # On a netting account an order may have met another position of its symbol.
        symbols = {deal.symbol for deal in deals if deal.comment in tags}
        return cls(tags, cls.of(deal for deal in deals if deal.symbol in symbols).positions)


class Predecessor:
    """What an account's life has to know of one before it that died, if one did.

    Args:
        clock: measures and dates.
        policy: how long requests may act, and deals lag.
        before_first_order: awaited once, after the wait; see :class:`engine.closing.AccountCloser`.
    """

    def __init__(
        self,
        clock: Clock,
        policy: ClosingPolicy,
        before_first_order: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Assume none, until :meth:`wait_for` says otherwise."""
        self._clock = clock
        self._policy = policy
        self._before_first_order = before_first_order
        self._acts_until = -math.inf
        self._began_us = 0
        self._unrecorded: ExecutedOrders | None = None
        self.died = False
        """Whether a life before this one did not end cleanly."""

    def wait_for(self, wait_s: float | None) -> None:
        """Expect that its last request acts for ``wait_s`` from now; one settle window if None."""
        wait_s = self._policy.settle_window_s if wait_s is None else wait_s
        self._acts_until = self._clock.monotonic() + wait_s
        self._began_us = self._clock.wall_us()
        self.died = True

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be waited for, or learnt, before the next order."""
        return self._clock.monotonic() >= self._acts_until and self._before_first_order is None

    async def settled(self) -> None:
        """Wait until it cannot act any more, and learn what it recorded late."""
        if (wait_s := self._acts_until - self._clock.monotonic()) > 0.0:
            await self._clock.sleep(wait_s)
        if self._before_first_order is not None:
            await self._before_first_order()
            self._before_first_order = None

    def may_have_begun(self, accepted_us: int) -> bool:
        """Whether it may have lived, and begun it, when something was accepted.

        Wall clocks of two machines are compared, so a minute is allowed for.
        """
        return self.died and accepted_us <= self._began_us + _CLOCKS_DIFFER_US

    async def executed_orders(
        self,
        accepted_us: int,
        read_deals: Callable[[], Awaitable[Iterable[Deal]]],
        memory: IdempotencyMap,
    ) -> ExecutedOrders:
        """Tell which executed orders a mandate may have to take up from lives that died over it.

        A mandate of their time may be one that they had begun: all that is executed counts. A later
        one may be told again, after its acceptance died with them: what is executed and on no
        record counts, however late it comes. That is read once.

        Args:
            accepted_us: when the mandate was accepted, wall clock.
            read_deals: reads all deals of the account; :meth:`settled` has been awaited.
            memory: knows what is on record.

        Raises:
            BrokerError: the deals cannot be read.
        """
        if not self.died:
            return ExecutedOrders()
        is_of_its_time = self.may_have_begun(accepted_us)
        if self._unrecorded is None or is_of_its_time:
            is_complete = self._shows_all()
            deals = await read_deals()
            unrecorded = ExecutedOrders.unrecorded(deals, _tags_on_record(memory))
            if is_complete:
                self._unrecorded = unrecorded
            return ExecutedOrders.of(deals) if is_of_its_time else unrecorded
        if self._unrecorded.tags:
            tags = self._unrecorded.tags - _tags_on_record(memory)
            self._unrecorded = replace(self._unrecorded, tags=tags)
        return self._unrecorded

    async def is_over(
        self, read_deals: Callable[[], Awaitable[Iterable[Deal]]], memory: IdempotencyMap
    ) -> bool:
        """Whether nothing that it sent may act any more, and all that it closed is on record.

        A life that ends before this is so leaves to the next one what it was left itself.

        Args:
            read_deals: reads all deals of the account.
            memory: knows what is on record.

        Raises:
            BrokerError: the deals cannot be read.
        """
        if not self.died:
            return True
        if not self._shows_all():
            return False
        await self.settled()
        deals = await read_deals()
        return not ExecutedOrders.unrecorded(deals, _tags_on_record(memory)).tags

    def _shows_all(self) -> bool:
        """Whether all that it sent is executed or never will be, and deals have had their time."""
        return self._clock.monotonic() >= self._acts_until + self._policy.deal_lag_s


def _tags_on_record(memory: IdempotencyMap) -> frozenset[str]:
    return frozenset(close_tag(UUID(name)) for name in memory.close_ids() if name)
