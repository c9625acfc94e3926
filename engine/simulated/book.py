"""The account book: money, open positions, pending orders, and the history of both.

The book knows nothing of prices: whoever writes into it says at what price and with what result.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.simulated.account import AccountSettings
from engine.simulated.api_table import Struct, TradeDeal, TradeOrder
from engine.simulated.numbers import Entry, OrderState, Reason

_BALANCE_DEAL = 2
_CREDIT_DEAL = 3


@dataclass(slots=True)
class OpenPosition:
    """One open position; the book's own, so change it only through the book's writers."""

    ticket: int
    identifier: int
    slot: int
    symbol: str
    sign: int
    """+1 for a long position, -1 for a short one."""
    volume: float
    price_open: float
    sl: float
    tp: float
    margin_per_lot: float
    """In the account's currency, at the rates of the opening, not rounded."""
    magic: int
    comment: str
    reason: int
    opened_ms: int
    updated_ms: int
    swap: float = 0.0

    @property
    def has_stops(self) -> bool:
        """Whether a stop loss or a take profit is set."""
        return self.sl > 0 or self.tp > 0


@dataclass(slots=True)
class StandingOrder:
    """One pending order."""

    ticket: int
    slot: int
    symbol: str
    type: int
    volume: float
    price: float
    stoplimit: float
    sl: float
    tp: float
    magic: int
    comment: str
    filling: int
    type_time: int
    expiration: int
    """Seconds since 1970 in the broker's time; 0 for never."""
    placed_ms: int
    reason: int = Reason.EXPERT


class AccountBook:
    """Balance, positions, orders and deals of one account."""

    __slots__ = (
        "_next_deal",
        "_next_ticket",
        "account",
        "balance",
        "credit",
        "deals",
        "deals_by_position",
        "orders",
        "pending",
        "positions",
        "revision",
    )

    def __init__(self, account: AccountSettings, opened_ms: int) -> None:
        """Open the account and pay the deposit, and the credit if there is one, in."""
        self.account = account
        self.balance = 0.0
        self.credit = account.credit
        self.positions: dict[int, OpenPosition] = {}
        self.pending: dict[int, StandingOrder] = {}
        self.orders: list[Struct] = []
        """Finished orders, as they ended."""
        self.deals: list[Struct] = []
        self.deals_by_position: dict[int, list[Struct]] = {}
        self.revision = 0
        """Counts changes, so that readers know whether what they computed still holds."""
        self._next_ticket = account.first_ticket
        self._next_deal = account.first_ticket
        if account.deposit:
            self._money_deal(_BALANCE_DEAL, account.deposit, opened_ms)
            self.balance = account.deposit
        if account.credit:
            self._money_deal(_CREDIT_DEAL, account.credit, opened_ms)

    def _money_deal(self, kind: int, amount: float, time_ms: int) -> None:
        deal = self._next_deal
        self._next_deal += 1
        # fmt: off
        self.deals.append(
            TradeDeal(
                (deal, 0, time_ms // 1000, time_ms, kind, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, amount,
                 0.0, "", "", "")
            )
        )
        # fmt: on

    def new_ticket(self) -> int:
        """Take the next order number."""
        ticket = self._next_ticket
        self._next_ticket += 1
        return ticket

    def knows_position(self, identifier: int) -> bool:
        """Tell whether a position with this identifier is or ever was open."""
        return identifier in self.deals_by_position

    def position_of(self, slot: int) -> OpenPosition | None:
        """Return the oldest open position of a symbol: the only one on a netting account."""
        for position in self.positions.values():
            if position.slot == slot:
                return position
        return None

    def add_position(self, position: OpenPosition) -> None:
        """Enter a new position."""
        self.positions[position.ticket] = position
        self.revision += 1

    def take_volume(self, position: OpenPosition, volume: float, time_ms: int) -> float:
        """Take lots and their share of the swap out of a position, and drop it when empty.

        Returns:
            The swap that goes with the volume, rounded to the account's currency.
        """
        left = round(position.volume - volume, 8)
        self.revision += 1
        if left <= 0:
            del self.positions[position.ticket]
            position.volume = 0.0
            return position.swap
        swap = 0.0
        if position.swap:
            digits = self.account.currency_digits
            swap = round(position.swap * volume / position.volume, digits)
            position.swap = round(position.swap - swap, digits)
        position.volume = left
        position.updated_ms = time_ms
        return swap

    def rename(self, position: OpenPosition, ticket: int) -> None:
        """Give a position another ticket, as a reversal on a netting account does."""
        del self.positions[position.ticket]
        position.ticket = ticket
        self.positions[ticket] = position
        self.revision += 1

    def record_deal(
        self,
        order: int,
        position: OpenPosition,
        sign: int,
        entry: Entry,
        volume: float,
        price: float,
        time_ms: int,
        profit: float,
        commission: float,
        swap: float,
        reason: int,
        magic: int,
        comment: str,
    ) -> int:
        """Write one execution into the history and its result into the balance.

        Args:
            order: Ticket of the order that was executed.
            position: The position that the deal opened, enlarged, reduced or reversed.
            sign: Direction of the deal, +1 for a purchase.
            entry: What the deal did to the position.
            volume: Lots.
            price: Price of the execution.
            time_ms: The broker's time of it.
            profit: Realised, in the account's currency, rounded, as the next two.
            commission: Negative when the account pays.
            swap: Negative when the account pays.
            reason: Who caused it.
            magic: The request's number.
            comment: The deal's own comment.

        Returns:
            The deal's ticket.
        """
        ticket = self._next_deal
        self._next_deal = ticket + 1
        # fmt: off
        deal = TradeDeal(
            (ticket, order, time_ms // 1000, time_ms, 0 if sign > 0 else 1, int(entry), magic,
             position.identifier, int(reason), volume, price, commission, swap, profit, 0.0,
             position.symbol, comment, "")
        )
        # fmt: on
        self.deals.append(deal)
        known = self.deals_by_position.get(position.identifier)
        if known is None:
            self.deals_by_position[position.identifier] = [deal]
        else:
            known.append(deal)
        self.balance = round(
            self.balance + profit + commission + swap, self.account.currency_digits
        )
        self.revision += 1
        return ticket

    def record_order(
        self,
        ticket: int,
        order_type: int,
        state: OrderState,
        position_id: int,
        volume: float,
        volume_left: float,
        price: float,
        price_done: float,
        placed_ms: int,
        done_ms: int,
        reason: int,
        magic: int,
        symbol: str,
        comment: str,
        filling: int = 0,
        type_time: int = 0,
        expiration: int = 0,
        sl: float = 0.0,
        tp: float = 0.0,
        stoplimit: float = 0.0,
        position_by: int = 0,
    ) -> None:
        """Write a finished order into the history, its fields as ``TradeOrder`` has them."""
        # fmt: off
        self.orders.append(
            TradeOrder(
                (ticket, placed_ms // 1000, placed_ms, done_ms // 1000, done_ms, expiration,
                 int(order_type), type_time, filling, int(state), magic, position_id, position_by,
                 int(reason), volume, volume_left, price, sl, tp, price_done, stoplimit, symbol,
                 comment, "")
            )
        )
        # fmt: on

    def drop_pending(self, order: StandingOrder, state: OrderState, time_ms: int) -> None:
        """Take a pending order off and record that it ended without a deal."""
        del self.pending[order.ticket]
        self.revision += 1
        self.record_order(
            order.ticket,
            order.type,
            state,
            0,
            order.volume,
            order.volume,
            order.price,
            order.price,
            order.placed_ms,
            time_ms,
            order.reason,
            order.magic,
            order.symbol,
            order.comment,
            filling=order.filling,
            type_time=order.type_time,
            expiration=order.expiration,
            sl=order.sl,
            tp=order.tp,
            stoplimit=order.stoplimit,
        )
