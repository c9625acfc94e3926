"""Pending orders: placed, changed, removed, expired, triggered by the price stream."""

from __future__ import annotations

from engine.simulated import judging
from engine.simulated.book import AccountBook, StandingOrder
from engine.simulated.fills import Fills, Origin
from engine.simulated.market import Market, Quotes
from engine.simulated.numbers import OrderState, OrderTime, OrderType, Retcode
from engine.simulated.requests import Request
from engine.simulated.valuation import Valuation

_DAY_MS = 86_400_000
_STOP_LIMITS = (OrderType.BUY_STOP_LIMIT, OrderType.SELL_STOP_LIMIT)
_LIMITS = (OrderType.BUY_LIMIT, OrderType.SELL_LIMIT)


class PendingDesk:
    """Keeps one account's pending orders and executes them."""

    __slots__ = ("_book", "_fills", "_market", "_valuation")

    def __init__(
        self, market: Market, book: AccountBook, valuation: Valuation, fills: Fills
    ) -> None:
        """Join what an order is judged by and what it changes."""
        self._market = market
        self._book = book
        self._valuation = valuation
        self._fills = fills

    def judge_placing(
        self, request: Request, slot: int, prices: Quotes, now_ms: int
    ) -> Retcode | None:
        """Judge a new pending order; its margin is asked for only when it triggers."""
        book, spec = self._book, self._market.specs[slot]
        buys = judging.is_buy(request.type)
        refusal = (
            judging.judge_order_type(spec, request.type, pending=True)
            or judging.judge_volume(spec, request.volume)
            or judging.judge_filling(spec, request.type_filling, pending=True)
            or judging.judge_direction(spec, buys=buys)
            or self._judge_levels(request, request.type, slot, prices, now_ms)
        )
        if refusal is not None:
            return refusal
        limit = book.account.limit_orders
        if limit and len(book.pending) >= limit:
            return Retcode.LIMIT_ORDERS
        if spec.volume_limit:
            together = request.volume + judging.volume_one_way(book, slot, buys=buys)
            if together > spec.volume_limit + spec.volume_step / 2:
                return Retcode.LIMIT_VOLUME
        return None

    def _judge_levels(
        self, request: Request, order_type: int, slot: int, prices: Quotes, now_ms: int
    ) -> Retcode | None:
        spec = self._market.specs[slot]
        entry = request.stoplimit if order_type in _STOP_LIMITS else request.price
        return (
            judging.judge_pending_price(
                spec,
                order_type,
                request.price,
                request.stoplimit,
                prices.bid(slot),
                prices.ask(slot),
            )
            or judging.judge_stops(
                spec,
                buys=judging.is_buy(order_type),
                sl=request.sl,
                tp=request.tp,
                reference=entry,
            )
            or judging.judge_expiration(request.type_time, request.expiration, now_ms)
        )

    def judge_change(self, request: Request, prices: Quotes, now_ms: int) -> Retcode | None:
        """Judge new levels for a standing order."""
        order = self._book.pending.get(request.order)
        if order is None:
            return Retcode.INVALID
        before = (order.price, order.stoplimit, order.sl, order.tp)
        after = (request.price, self._stoplimit(request, order.type), request.sl, request.tp)
        if (before, order.type_time, order.expiration) == (
            after,
            request.type_time,
            request.expiration,
        ):
            return Retcode.NO_CHANGES
        spec = self._market.specs[order.slot]
        return judging.judge_order_freeze(spec, order, prices) or self._judge_levels(
            request, order.type, order.slot, prices, now_ms
        )

    def judge_removal(self, request: Request, prices: Quotes) -> Retcode | None:
        """Judge the removal of a standing order."""
        order = self._book.pending.get(request.order)
        if order is None:
            return Retcode.INVALID
        return judging.judge_order_freeze(self._market.specs[order.slot], order, prices)

    @staticmethod
    def _stoplimit(request: Request, order_type: int) -> float:
        return request.stoplimit if order_type in _STOP_LIMITS else 0.0

    def place(self, request: Request, slot: int, now_ms: int) -> int:
        """Enter an order that was judged acceptable and return its ticket."""
        spec = self._market.specs[slot]
        ticket = self._book.new_ticket()
        self._book.pending[ticket] = StandingOrder(
            ticket=ticket,
            slot=slot,
            symbol=spec.name,
            type=request.type,
            volume=round((spec.steps(request.volume) or 1) * spec.volume_step, 8),
            price=request.price,
            stoplimit=self._stoplimit(request, request.type),
            sl=request.sl,
            tp=request.tp,
            magic=request.magic,
            comment=request.comment,
            filling=request.type_filling,
            type_time=request.type_time,
            expiration=request.expiration,
            placed_ms=now_ms,
        )
        self._book.revision += 1
        return ticket

    def change(self, request: Request) -> None:
        """Give a standing order the levels of a request that was judged acceptable."""
        order = self._book.pending[request.order]
        order.price, order.stoplimit = request.price, self._stoplimit(request, order.type)
        order.sl, order.tp = request.sl, request.tp
        order.type_time, order.expiration = request.type_time, request.expiration
        self._book.revision += 1

    def remove(self, request: Request, now_ms: int) -> None:
        """Cancel a standing order."""
        self._book.drop_pending(self._book.pending[request.order], OrderState.CANCELED, now_ms)

    def on_tick(self, slot: int, prices: Quotes) -> None:
        """Expire and trigger the orders of a symbol that has just ticked."""
        for order in [o for o in self._book.pending.values() if o.slot == slot]:
            if self._is_expired(order, prices.time_ms):
                self._book.drop_pending(order, OrderState.EXPIRED, prices.time_ms)
            elif self._is_reached(order, prices):
                if order.type in _STOP_LIMITS:
                    self._turn_into_limit(order)
                    if not self._is_reached(order, prices):
                        continue
                self._trigger(order, prices)

    @staticmethod
    def _is_expired(order: StandingOrder, now_ms: int) -> bool:
        match order.type_time:
            case OrderTime.DAY:
                return now_ms // _DAY_MS > order.placed_ms // _DAY_MS
            case OrderTime.SPECIFIED:
                return now_ms >= order.expiration * 1000
            case OrderTime.SPECIFIED_DAY:
                return now_ms // _DAY_MS > order.expiration * 1000 // _DAY_MS
        return False

    @staticmethod
    def _is_reached(order: StandingOrder, prices: Quotes) -> bool:
        buys = judging.is_buy(order.type)
        market = prices.ask(order.slot) if buys else prices.bid(order.slot)
        if buys == (order.type in _LIMITS):
            return market <= order.price
        return market >= order.price

    def _turn_into_limit(self, order: StandingOrder) -> None:
        buys = judging.is_buy(order.type)
        order.type = OrderType.BUY_LIMIT if buys else OrderType.SELL_LIMIT
        order.price, order.stoplimit = order.stoplimit, 0.0
        self._book.revision += 1

    def _trigger(self, order: StandingOrder, prices: Quotes) -> None:
        book, slot = self._book, order.slot
        sign = 1 if judging.is_buy(order.type) else -1
        opening = order.volume
        if not book.account.is_hedging:
            net = book.position_of(slot)
            if net is not None and net.sign != sign:
                opening = round(order.volume - net.volume, 8)
        if opening > 0:
            del book.pending[order.ticket]  # it must not count against the volume limit itself
            refusal = judging.judge_opening(
                book, self._valuation, self._market.specs[slot], slot, sign, opening, prices
            )
            book.pending[order.ticket] = order
            if refusal is not None:
                book.drop_pending(order, OrderState.REJECTED, prices.time_ms)
                return
        del book.pending[order.ticket]
        origin = Origin(order.ticket, order.reason, order.magic, order.comment, order.sl, order.tp)
        price = prices.ask(slot) if sign > 0 else prices.bid(slot)
        if book.account.is_hedging:
            self._fills.open(slot, sign, order.volume, prices, origin)
        else:
            self._fills.trade_net(slot, sign, order.volume, prices, origin)
        book.record_order(
            order.ticket,
            order.type,
            OrderState.FILLED,
            book.deals[-1].position_id,
            order.volume,
            0.0,
            order.price,
            price,
            order.placed_ms,
            prices.tick_ms(slot),
            order.reason,
            order.magic,
            order.symbol,
            order.comment,
            filling=order.filling,
            type_time=order.type_time,
            expiration=order.expiration,
            sl=order.sl,
            tp=order.tp,
        )
