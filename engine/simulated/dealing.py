"""The broker's dealing: judges a trade request, carries it out, and answers.

:class:`Dealing` takes market orders, stops and close-by; pending orders are in
:mod:`engine.simulated.pending`.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.simulated import judging
from engine.simulated.book import AccountBook, OpenPosition
from engine.simulated.fills import Fills, Origin
from engine.simulated.market import Market, Quotes
from engine.simulated.numbers import (
    Action,
    OrderMask,
    OrderState,
    OrderType,
    Reason,
    Retcode,
)
from engine.simulated.pending import PendingDesk
from engine.simulated.requests import Request
from engine.simulated.symbols import SymbolSettings
from engine.simulated.valuation import Valuation

# Looked up once: an enumeration's members cost a descriptor call at every access.
_DEAL, _REMOVE, _EXPERT = Action.DEAL, Action.REMOVE, Reason.EXPERT
_DONE, _DONE_PARTIAL = Retcode.DONE, Retcode.DONE_PARTIAL
_FILLED, _PARTIAL = OrderState.FILLED, OrderState.PARTIAL


class Answer(NamedTuple):
    """The trade server's answer to one request."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    bid: float = 0.0
    ask: float = 0.0


class Dealing:
    """Handles the requests of one account."""

    __slots__ = ("_book", "_fills", "_market", "_pending", "_valuation")

    def __init__(
        self, market: Market, book: AccountBook, valuation: Valuation, fills: Fills
    ) -> None:
        """Join what a request is judged by and what it changes."""
        self._market = market
        self._book = book
        self._valuation = valuation
        self._fills = fills
        self._pending = PendingDesk(market, book, valuation, fills)

    @property
    def pending(self) -> PendingDesk:
        """The desk of the same account's pending orders."""
        return self._pending

    def slot_of(self, request: Request) -> int | None:
        """Find the symbol that a request is about, by name, position or order.

        Returns:
            Its slot, ``None`` when the request names nothing that exists.
        """
        if request.action == _DEAL:
            return self._market.slot(request.symbol)
        book = self._book
        if request.action in (Action.MODIFY, Action.REMOVE):
            order = book.pending.get(request.order)
            return None if order is None else order.slot
        if request.action in (Action.SLTP, Action.CLOSE_BY) and not request.symbol:
            position = book.positions.get(request.position)
            return None if position is None else position.slot
        return self._market.slot(request.symbol)

    def judge(self, request: Request, slot: int, prices: Quotes, now_ms: int) -> Retcode | None:
        """Judge a request without carrying it out; ``None`` means that it would be taken."""
        spec = self._market.specs[slot]
        refusal = judging.judge_access(
            self._book, spec, now_ms, needs_session=request.action != _REMOVE
        )
        if refusal is not None:
            return refusal
        if request.action == _DEAL:
            return self._judge_deal(request, slot, spec, prices)
        match request.action:
            case Action.SLTP:
                return self._judge_stops(request, slot, spec, prices)
            case Action.CLOSE_BY:
                return self._judge_close_by(request, spec, prices)
            case Action.PENDING:
                return self._pending.judge_placing(request, slot, prices, now_ms)
            case Action.MODIFY:
                return self._pending.judge_change(request, prices, now_ms)
            case Action.REMOVE:
                return self._pending.judge_removal(request, prices)
        return Retcode.INVALID

    def carry_out(
        self, request: Request, slot: int, prices: Quotes, now_ms: int, share: float = 1.0
    ) -> Answer:
        """Carry out a request that was judged acceptable.

        Args:
            request: What is asked.
            slot: The symbol.
            prices: The moment of execution.
            now_ms: The broker's time.
            share: The part of a market order's volume that is there to be had.
        """
        if request.action == _DEAL:
            return self._deal(request, slot, prices, now_ms, share)
        match request.action:
            case Action.SLTP:
                position = self._position_meant(request, slot)
                if position is not None:
                    position.sl, position.tp = request.sl, request.tp
                    position.updated_ms = now_ms
                    self._book.revision += 1
                return Answer(Retcode.DONE)
            case Action.CLOSE_BY:
                return self._close_by(request, slot, prices, now_ms)
            case Action.PENDING:
                order = self._pending.place(request, slot, now_ms)
                return Answer(Retcode.DONE, 0, order, request.volume, request.price)
            case Action.MODIFY:
                self._pending.change(request)
            case Action.REMOVE:
                self._pending.remove(request, now_ms)
        return Answer(Retcode.DONE, 0, request.order)

    def _judge_deal(
        self, request: Request, slot: int, spec: SymbolSettings, prices: Quotes
    ) -> Retcode | None:
        book = self._book
        buys = judging.is_buy(request.type)
        market_price = prices.ask(slot) if buys else prices.bid(slot)
        refusal = (
            judging.judge_order_type(spec, request.type, pending=False)
            or judging.judge_volume(spec, request.volume)
            or judging.judge_filling(spec, request.type_filling, pending=False)
            or judging.judge_asked_price(spec, request, market_price)
        )
        if refusal is not None:
            return refusal
        volume = request.volume
        if book.account.is_hedging:
            if request.position:
                return judging.judge_closing(
                    book, spec, request, book.positions.get(request.position), prices
                )
        else:
            net = book.position_of(slot)
            if net is not None and (net.sign > 0) != buys:
                closing = prices.bid(slot) if net.sign > 0 else prices.ask(slot)
                refusal = judging.judge_freeze(spec, closing, net.sl, net.tp)
                volume = round(volume - net.volume, 8)
                if refusal is not None or volume <= 0:
                    return refusal
        reference = prices.bid(slot) if buys else prices.ask(slot)
        return judging.judge_stops(
            spec, buys=buys, sl=request.sl, tp=request.tp, reference=reference
        ) or judging.judge_opening(
            book, self._valuation, spec, slot, 1 if buys else -1, volume, prices
        )

    def _deal(
        self, request: Request, slot: int, prices: Quotes, now_ms: int, share: float
    ) -> Answer:
        book, spec = self._book, self._market.specs[slot]
        wanted = spec.steps(request.volume) or 1
        steps = max(1, int(wanted * share)) if share < 1 else wanted
        volume = round(steps * spec.volume_step, 8)
        sign = 1 if judging.is_buy(request.type) else -1
        order = book.new_ticket()
        origin = Origin(order, _EXPERT, request.magic, request.comment, request.sl, request.tp)
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        if not book.account.is_hedging:
            deal = self._fills.trade_net(slot, sign, volume, prices, origin)
            position = book.position_of(slot)
            identifier = book.deals[-1].position_id if position is None else position.identifier
        elif request.position:
            position = book.positions[request.position]
            identifier = position.identifier
            deal = self._fills.close(position, volume, prices, origin)
        else:
            deal = self._fills.open(slot, sign, volume, prices, origin)
            identifier = order
        part = steps < wanted
        book.record_order(
            order,
            request.type,
            _PARTIAL if part else _FILLED,
            identifier,
            request.volume,
            round(request.volume - volume, 8) if part else 0.0,
            request.price,
            price,
            now_ms,
            prices.tick_ms(slot),
            _EXPERT,
            request.magic,
            request.symbol,
            request.comment,
            filling=request.type_filling,
            type_time=request.type_time,
            sl=request.sl,
            tp=request.tp,
        )
        return Answer(
            _DONE_PARTIAL if part else _DONE,
            deal,
            order,
            volume,
            price,
            prices.bid(slot),
            prices.ask(slot),
        )

    def _position_meant(self, request: Request, slot: int) -> OpenPosition | None:
        if self._book.account.is_hedging or request.position:
            return self._book.positions.get(request.position)
        return self._book.position_of(slot)

    def _judge_stops(
        self, request: Request, slot: int, spec: SymbolSettings, prices: Quotes
    ) -> Retcode | None:
        position = self._position_meant(request, slot)
        if position is None:
            known = self._book.knows_position(request.position)
            return Retcode.POSITION_CLOSED if known else Retcode.INVALID
        if position.slot != slot:
            return Retcode.INVALID
        if (position.sl, position.tp) == (request.sl, request.tp):
            return Retcode.NO_CHANGES
        buys = position.sign > 0
        closing = prices.bid(slot) if buys else prices.ask(slot)
        return judging.judge_freeze(spec, closing, position.sl, position.tp) or judging.judge_stops(
            spec, buys=buys, sl=request.sl, tp=request.tp, reference=closing
        )

    def _judge_close_by(
        self, request: Request, spec: SymbolSettings, prices: Quotes
    ) -> Retcode | None:
        book = self._book
        if OrderMask.CLOSE_BY not in spec.orders or not book.account.is_hedging:
            return Retcode.INVALID_ORDER
        legs = []
        for ticket in (request.position, request.position_by):
            position = book.positions.get(ticket)
            if position is None:
                return Retcode.POSITION_CLOSED if book.knows_position(ticket) else Retcode.INVALID
            legs.append(position)
        one, other = legs
        if one.slot != other.slot or one.sign == other.sign:
            return Retcode.INVALID
        for leg in legs:
            closing = prices.bid(leg.slot) if leg.sign > 0 else prices.ask(leg.slot)
            refusal = judging.judge_freeze(spec, closing, leg.sl, leg.tp)
            if refusal is not None:
                return refusal
        return None

    def _close_by(self, request: Request, slot: int, prices: Quotes, now_ms: int) -> Answer:
        book = self._book
        position = book.positions[request.position]
        other = book.positions[request.position_by]
        order = book.new_ticket()
        price = other.price_open
        deal, volume = self._fills.close_by(
            position, other, prices, Origin(order, Reason.EXPERT, request.magic, request.comment)
        )
        book.record_order(
            order,
            OrderType.CLOSE_BY,
            OrderState.FILLED,
            position.identifier,
            volume,
            0.0,
            0.0,
            price,
            now_ms,
            prices.tick_ms(slot),
            Reason.EXPERT,
            request.magic,
            position.symbol,
            request.comment,
            position_by=other.identifier,
        )
        return Answer(Retcode.DONE, deal, order, volume, price, prices.bid(slot), prices.ask(slot))
