"""The terminal that a venue holds for an account: it can trade while no client is connected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.simulated.api_table import Struct
from engine.simulated.dealing import Answer
from engine.simulated.gate import Structs
from engine.simulated.numbers import Reason
from engine.simulated.requests import Request
from engine.simulated.structs import order_struct, position_struct
from engine.simulated.terminal import SimulatedTerminal


class BookedTerminal(SimulatedTerminal):
    """A simulated terminal that executes what has arrived, whatever became of its client."""

    __slots__ = ("_share",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Open the account as :class:`SimulatedTerminal` does."""
        super().__init__(*args, **kwargs)
        self._share = 1.0

    def _handle(self, request: Request, share: float = 1.0) -> Answer:
        return super()._handle(request, share * self._share)

    @contextmanager
    def _connected_anyway(self) -> Iterator[None]:
        """Take the terminal as connected, and leave its connection as it was found.

        A fault in between may have taken it down; that stays.
        """
        was_connected, self._connected = self._connected, True
        try:
            yield
        finally:
            self._connected = self._connected and was_connected

    def execute(self, request: dict[str, Any], share: float) -> tuple[Struct | None, int, str]:
        """Carry a request out that has arrived earlier.

        Args:
            request: As it was sent.
            share: The part of a market order's volume that is there to be had.

        Returns:
            The result, and code and text of ``last_error()``.
        """
        self._share = share
        try:
            with self._connected_anyway():
                value = self.order_send(request)
            return (value, *self._error)
        finally:
            self._share = 1.0

    def trade_by_operator(self, request: dict[str, Any]) -> Struct:
        """Carry a request of the venue's own out: without faults, latency or partial fills.

        Raises:
            ValueError: The account refuses it; the message says why.
        """
        kept, share = self._error, self._share
        self._share = 1.0
        with self._connected_anyway(), self.without_faults(), self.without_latency():
            value = self.order_send(request)
        (code, text), self._error, self._share = self._error, kept, share
        if value is None:
            raise ValueError(f"the simulated broker refused {request}: ({code}, {text!r})")
        if value.retcode != self.TRADE_RETCODE_DONE:
            raise ValueError(
                f"the simulated broker refused {request}: ({value.retcode}, {value.comment!r}); "
                "fewer positions or less leverage may fit"
            )
        return value

    def open_by_operator(self, symbol: str, side_sign: int, lots: float) -> int:
        """Open a position at the market, and return its ticket.

        Raises:
            ValueError: The account refuses it.
        """
        deals = len(self.book.deals)
        self.trade_by_operator(
            {
                "action": self.TRADE_ACTION_DEAL,
                "symbol": symbol,
                "volume": lots,
                "type": self.ORDER_TYPE_BUY if side_sign > 0 else self.ORDER_TYPE_SELL,
                "type_filling": self.ORDER_FILLING_IOC,
            }
        )
        identifier: int = self.book.deals[deals].position_id
        for position in self.book.positions.values():
            if position.identifier == identifier:
                return position.ticket
        return identifier

    def place_by_operator(self, symbol: str, lots: float) -> int:
        """Place a purchase at half the market's price, which is not reached; return its ticket.

        Raises:
            ValueError: The account refuses it.
        """
        slot = self._venue.market.slot(symbol)
        if slot is None:
            raise ValueError(f"symbol={symbol!r} is not traded here")
        digits = self._venue.market.specs[slot].digits
        value = self.trade_by_operator(
            {
                "action": self.TRADE_ACTION_PENDING,
                "symbol": symbol,
                "volume": lots,
                "type": self.ORDER_TYPE_BUY_LIMIT,
                "price": round(self._venue.cursor.bid(slot) / 2, digits),
                "type_filling": self.ORDER_FILLING_RETURN,
            }
        )
        return int(value.order)

    def close_by_hand(self, ticket: int) -> None:
        """Close a position as the account's owner would.

        Raises:
            ValueError: No position with this ticket is open.
        """
        if ticket not in self.book.positions:
            raise ValueError(f"ticket={ticket!r} is no open position of this account")
        self._venue.close_in_between(ticket, Reason.CLIENT)

    def open_positions(self) -> Structs:
        """Return the positions that really are open; no fault hides one, and no read counts."""
        listed = self.book.positions.values()
        return tuple(position_struct(position, self._venue) for position in listed)

    def waiting_orders(self) -> Structs:
        """Return the pending orders that really are there."""
        prices = self._venue.cursor
        return tuple(order_struct(order, prices) for order in self.book.pending.values())
