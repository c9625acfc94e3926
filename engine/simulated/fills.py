"""Executions: what a fill does to positions, money and history, on hedging and on netting."""

from __future__ import annotations

from typing import NamedTuple

from engine.simulated.book import AccountBook, OpenPosition
from engine.simulated.conversion import to_money
from engine.simulated.market import Market, Quotes
from engine.simulated.numbers import Entry, OrderState, OrderType, Reason
from engine.simulated.valuation import Valuation

# Looked up once: an enumeration's members cost a descriptor call at every access.
_IN, _OUT = Entry.IN, Entry.OUT


class Origin(NamedTuple):
    """Where an execution comes from: its order, and what the order carries over."""

    order: int
    reason: int = Reason.EXPERT
    magic: int = 0
    comment: str = ""
    sl: float = 0.0
    tp: float = 0.0


class Fills:
    """Writes executions into one account's book."""

    __slots__ = ("_book", "_market", "_valuation")

    def __init__(self, market: Market, book: AccountBook, valuation: Valuation) -> None:
        """Join the book with what gives its entries a value."""
        self._market = market
        self._book = book
        self._valuation = valuation

    def _commission(self, slot: int, volume: float) -> float:
        per_lot = self._market.specs[slot].commission_per_lot
        if not per_lot:
            return 0.0
        return -to_money(per_lot * volume, self._book.account.currency_digits)

    def open(self, slot: int, sign: int, volume: float, prices: Quotes, origin: Origin) -> int:
        """Open a position at the market and return the deal's ticket."""
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        time_ms = prices.tick_ms(slot)
        position = OpenPosition(
            ticket=origin.order,
            identifier=origin.order,
            slot=slot,
            symbol=self._market.specs[slot].name,
            sign=sign,
            volume=volume,
            price_open=price,
            sl=origin.sl,
            tp=origin.tp,
            margin_per_lot=self._valuation.margin_per_lot(slot, sign, price, prices),
            magic=origin.magic,
            comment=origin.comment,
            reason=origin.reason,
            opened_ms=time_ms,
            updated_ms=time_ms,
        )
        self._book.add_position(position)
        return self._book.record_deal(
            origin.order,
            position,
            sign,
            _IN,
            volume,
            price,
            time_ms,
            0.0,
            self._commission(slot, volume),
            0.0,
            origin.reason,
            origin.magic,
            origin.comment,
        )

    def close(self, position: OpenPosition, volume: float, prices: Quotes, origin: Origin) -> int:
        """Take ``volume`` lots out of a position at the market and return the deal's ticket."""
        slot = position.slot
        price = prices.bid(slot) if position.sign > 0 else prices.ask(slot)
        profit = self._valuation.profit(
            slot, position.sign, volume, position.price_open, price, prices
        )
        time_ms = prices.tick_ms(slot)
        swap = self._book.take_volume(position, volume, time_ms)
        return self._book.record_deal(
            origin.order,
            position,
            -position.sign,
            _OUT,
            volume,
            price,
            time_ms,
            profit,
            self._commission(slot, volume),
            swap,
            origin.reason,
            origin.magic,
            origin.comment,
        )

    def close_at_once(
        self, position: OpenPosition, prices: Quotes, reason: Reason, comment: str
    ) -> None:
        """Close a whole position for a reason of the broker's or the owner's own."""
        book = self._book
        order = book.new_ticket()
        volume, slot = position.volume, position.slot
        price = prices.bid(slot) if position.sign > 0 else prices.ask(slot)
        time_ms = prices.tick_ms(slot)
        self.close(
            position,
            volume,
            prices,
            Origin(order, reason=reason, magic=position.magic, comment=comment),
        )
        book.record_order(
            order,
            OrderType.SELL if position.sign > 0 else OrderType.BUY,
            OrderState.FILLED,
            position.identifier,
            volume,
            0.0,
            price,
            price,
            time_ms,
            time_ms,
            reason,
            position.magic,
            position.symbol,
            comment,
        )

    def trade_net(self, slot: int, sign: int, volume: float, prices: Quotes, origin: Origin) -> int:
        """Trade into the symbol's net position and return the deal's ticket.

        A trade beyond an opposite position reverses it: one INOUT deal, the identifier stays,
        the ticket becomes the order's.
        """
        position = self._book.position_of(slot)
        if position is None:
            return self.open(slot, sign, volume, prices, origin)
        if position.sign == sign:
            return self._enlarge(position, volume, prices, origin)
        if volume <= position.volume:
            return self.close(position, volume, prices, origin)
        return self._reverse(position, volume, prices, origin)

    def _enlarge(
        self, position: OpenPosition, volume: float, prices: Quotes, origin: Origin
    ) -> int:
        slot, sign = position.slot, position.sign
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        added = self._valuation.margin_per_lot(slot, sign, price, prices)
        before, together = position.volume, round(position.volume + volume, 8)
        # Not rounded to the symbol's digits: an average rounded would change the open profit.
        position.price_open = (position.price_open * before + price * volume) / together
        position.margin_per_lot = (position.margin_per_lot * before + added * volume) / together
        position.volume = together
        position.updated_ms = prices.tick_ms(slot)
        position.sl = origin.sl or position.sl
        position.tp = origin.tp or position.tp
        return self._book.record_deal(
            origin.order,
            position,
            sign,
            _IN,
            volume,
            price,
            position.updated_ms,
            0.0,
            self._commission(slot, volume),
            0.0,
            origin.reason,
            origin.magic,
            origin.comment,
        )

    def _reverse(
        self, position: OpenPosition, volume: float, prices: Quotes, origin: Origin
    ) -> int:
        slot, sign = position.slot, -position.sign
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        profit = self._valuation.profit(
            slot, position.sign, position.volume, position.price_open, price, prices
        )
        swap, position.swap = position.swap, 0.0
        self._book.rename(position, origin.order)
        position.sign = sign
        position.volume = round(volume - position.volume, 8)
        position.price_open = price
        position.margin_per_lot = self._valuation.margin_per_lot(slot, sign, price, prices)
        position.sl, position.tp = origin.sl, origin.tp
        position.magic, position.comment = origin.magic, origin.comment
        position.reason = origin.reason
        position.updated_ms = prices.tick_ms(slot)
        return self._book.record_deal(
            origin.order,
            position,
            sign,
            Entry.INOUT,
            volume,
            price,
            position.updated_ms,
            profit,
            self._commission(slot, volume),
            swap,
            origin.reason,
            origin.magic,
            origin.comment,
        )

    def close_by(
        self, position: OpenPosition, other: OpenPosition, prices: Quotes, origin: Origin
    ) -> tuple[int, float]:
        """Close two opposite positions against each other, as far as the smaller one goes.

        The first deal leaves ``position`` at the price at which ``other`` was opened and carries
        the whole profit; the second leaves ``other`` at its own opening price.

        Returns:
            Ticket of the first deal, and the volume.
        """
        volume = min(position.volume, other.volume)
        price = other.price_open
        profit = self._valuation.profit(
            position.slot, position.sign, volume, position.price_open, price, prices
        )
        time_ms = prices.tick_ms(position.slot)
        commission = self._commission(position.slot, volume)
        tickets = []
        for leg, result in ((position, profit), (other, 0.0)):
            swap = self._book.take_volume(leg, volume, time_ms)
            tickets.append(
                self._book.record_deal(
                    origin.order,
                    leg,
                    -leg.sign,
                    Entry.OUT_BY,
                    volume,
                    price,
                    time_ms,
                    result,
                    commission,
                    swap,
                    origin.reason,
                    origin.magic,
                    origin.comment,
                )
            )
        return tickets[0], volume
