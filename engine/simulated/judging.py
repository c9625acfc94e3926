"""Whether a broker takes a request, and if not, with which return code it refuses.

Every function returns a :class:`Retcode` to refuse and ``None`` to accept. Comparisons are
written so that a NaN is refused.
"""

from __future__ import annotations

from engine.simulated.book import AccountBook, OpenPosition, StandingOrder
from engine.simulated.market import Quotes
from engine.simulated.numbers import (
    Execution,
    OrderMask,
    OrderTime,
    OrderType,
    Retcode,
    TradeMode,
)
from engine.simulated.requests import Request
from engine.simulated.sessions import is_open
from engine.simulated.symbols import SymbolSettings
from engine.simulated.valuation import Valuation

_HAIR = 1e-3
"""Share of a point by which binary fractions may make a distance look shorter than it is."""

_MARKET_BIT = int(OrderMask.MARKET)
_BIT_OF_TYPE: dict[int, int] = {
    OrderType.BUY: _MARKET_BIT,
    OrderType.SELL: _MARKET_BIT,
    OrderType.BUY_LIMIT: int(OrderMask.LIMIT),
    OrderType.SELL_LIMIT: int(OrderMask.LIMIT),
    OrderType.BUY_STOP: int(OrderMask.STOP),
    OrderType.SELL_STOP: int(OrderMask.STOP),
    OrderType.BUY_STOP_LIMIT: int(OrderMask.STOP_LIMIT),
    OrderType.SELL_STOP_LIMIT: int(OrderMask.STOP_LIMIT),
}


def is_buy(order_type: int) -> bool:
    """Tell whether an order of this type buys."""
    return order_type % 2 == 0


def judge_access(
    book: AccountBook, spec: SymbolSettings, now_ms: int, *, needs_session: bool = True
) -> Retcode | None:
    """Judge whether the account, the terminal and the symbol can trade at all just now."""
    account = book.account
    if not account.trade_allowed or spec.trade_mode is TradeMode.DISABLED:
        return Retcode.TRADE_DISABLED
    if not account.expert_allowed:
        return Retcode.SERVER_DISABLES_AT
    if not account.auto_trading:
        return Retcode.CLIENT_DISABLES_AT
    if needs_session and spec.sessions is not None and not is_open(spec.sessions, now_ms):
        return Retcode.MARKET_CLOSED
    return None


def judge_volume(spec: SymbolSettings, volume: float) -> Retcode | None:
    """Judge a volume against the symbol's minimum, maximum and step."""
    half = spec.volume_step / 2
    if not spec.volume_min - half < volume < spec.volume_max + half or spec.steps(volume) is None:
        return Retcode.INVALID_VOLUME
    return None


def judge_filling(spec: SymbolSettings, filling: int, *, pending: bool) -> Retcode | None:
    """Judge a filling policy by execution mode and mask."""
    allowed = spec.pending_fillings if pending else spec.market_fillings
    return None if filling in allowed else Retcode.INVALID_FILL


def judge_asked_price(
    spec: SymbolSettings, request: Request, market_price: float
) -> Retcode | None:
    """Judge the price a market order asks for; it counts on request and instant execution.

    A market that moved by more than ``deviation`` points in either direction is a requote
    (instant) or a changed price (request).
    """
    if spec.execution not in (Execution.REQUEST, Execution.INSTANT):
        return None
    if not 0 < request.price < float("inf"):
        return Retcode.INVALID_PRICE
    if abs(request.price - market_price) > (request.deviation + _HAIR) * spec.point:
        instant = spec.execution is Execution.INSTANT
        return Retcode.REQUOTE if instant else Retcode.PRICE_CHANGED
    return None


def judge_stops(
    spec: SymbolSettings, *, buys: bool, sl: float, tp: float, reference: float
) -> Retcode | None:
    """Judge SL and TP (0: none) by side and distance from ``reference``, the closing price."""
    distance = (spec.stops_level - _HAIR) * spec.point
    sign = 1 if buys else -1
    for stop, side, bit in ((sl, -sign, OrderMask.SL), (tp, sign, OrderMask.TP)):
        if stop == 0:
            continue
        gap = (stop - reference) * side
        if bit not in spec.orders or not (0 < stop < float("inf") and gap > 0 and gap >= distance):
            return Retcode.INVALID_STOPS
    return None


def judge_freeze(spec: SymbolSettings, price: float, *levels: float) -> Retcode | None:
    """Judge whether a price stands within the freeze distance of a level (0: none)."""
    if spec.freeze_level:
        distance = (spec.freeze_level + _HAIR) * spec.point
        if any(level and abs(price - level) <= distance for level in levels):
            return Retcode.FROZEN
    return None


def judge_closing(
    book: AccountBook,
    spec: SymbolSettings,
    request: Request,
    position: OpenPosition | None,
    prices: Quotes,
) -> Retcode | None:
    """Judge a market order that names a position of a hedging account."""
    if position is None:
        known = book.knows_position(request.position)
        return Retcode.POSITION_CLOSED if known else Retcode.INVALID
    slot = position.slot
    if position.symbol != request.symbol or is_buy(request.type) == (position.sign > 0):
        return Retcode.INVALID
    if request.volume > position.volume + spec.volume_step / 2:
        return Retcode.INVALID_CLOSE_VOLUME
    if book.account.fifo and book.position_of(slot) is not position:
        return Retcode.FIFO_CLOSE
    closing = prices.bid(slot) if position.sign > 0 else prices.ask(slot)
    return judge_freeze(spec, closing, position.sl, position.tp)


def judge_direction(spec: SymbolSettings, *, buys: bool) -> Retcode | None:
    """Judge whether the symbol lets a position of this direction be opened."""
    if spec.trade_mode is TradeMode.CLOSE_ONLY:
        return Retcode.CLOSE_ONLY
    if spec.trade_mode is TradeMode.LONG_ONLY and not buys:
        return Retcode.LONG_ONLY
    if spec.trade_mode is TradeMode.SHORT_ONLY and buys:
        return Retcode.SHORT_ONLY
    return None


def volume_one_way(book: AccountBook, slot: int, *, buys: bool) -> float:
    """Sum the lots of a symbol that are open or pending in one direction."""
    opened = sum(
        p.volume for p in book.positions.values() if p.slot == slot and (p.sign > 0) == buys
    )
    waiting = sum(
        o.volume for o in book.pending.values() if o.slot == slot and is_buy(o.type) == buys
    )
    return opened + waiting


def judge_opening(
    book: AccountBook,
    valuation: Valuation,
    spec: SymbolSettings,
    slot: int,
    sign: int,
    volume: float,
    prices: Quotes,
) -> Retcode | None:
    """Judge whether ``volume`` lots can be opened: direction, hedging, limits, money."""
    account = book.account
    buys = sign > 0
    refusal = judge_direction(spec, buys=buys)
    if refusal is not None:
        return refusal
    positions = book.positions.values()
    if (
        account.is_hedging
        and not account.hedge_allowed
        and any(p.slot == slot and p.sign != sign for p in positions)
    ):
        return Retcode.HEDGE_PROHIBITED
    adds_position = account.is_hedging or book.position_of(slot) is None
    if account.limit_positions and adds_position and len(positions) >= account.limit_positions:
        return Retcode.LIMIT_POSITIONS
    if spec.volume_limit:
        together = volume_one_way(book, slot, buys=buys) + volume
        if together > spec.volume_limit + spec.volume_step / 2:
            return Retcode.LIMIT_VOLUME
    after = margin_after(book, valuation, slot, sign, volume, prices)
    if after > valuation.standing(book, prices).equity:
        return Retcode.NO_MONEY
    return None


def margin_after(
    book: AccountBook, valuation: Valuation, slot: int, sign: int, volume: float, prices: Quotes
) -> float:
    """Return the account's margin if ``volume`` lots were opened now.

    On a netting account an opposite position of the symbol goes first; ``volume`` is what is
    left of the order.
    """
    price = prices.ask(slot) if sign > 0 else prices.bid(slot)
    per_lot = valuation.margin_per_lot(slot, sign, price, prices)
    legs = [
        (p.slot, p.sign, p.volume, p.margin_per_lot)
        for p in book.positions.values()
        if book.account.is_hedging or p.slot != slot or p.sign == sign
    ]
    legs.append((slot, sign, volume, per_lot))
    return valuation.margin_of(legs)


def judge_pending_price(
    spec: SymbolSettings, order_type: int, price: float, stoplimit: float, bid: float, ask: float
) -> Retcode | None:
    """Judge where a pending order stands: limits on the better side, stops on the worse."""
    buys = is_buy(order_type)
    market = ask if buys else bid
    is_limit = order_type in (OrderType.BUY_LIMIT, OrderType.SELL_LIMIT)
    side = -1 if buys == is_limit else 1
    distance = (spec.stops_level - _HAIR) * spec.point
    gap = (price - market) * side
    if not (0 < price < float("inf") and gap > 0 and gap >= distance):
        return Retcode.INVALID_PRICE
    if order_type in (OrderType.BUY_STOP_LIMIT, OrderType.SELL_STOP_LIMIT):
        better = (price - stoplimit) * (1 if buys else -1)
        if not (0 < stoplimit < float("inf") and better >= 0):
            return Retcode.INVALID_PRICE
    return None


def judge_expiration(type_time: int, expiration: int, now_ms: int) -> Retcode | None:
    """Judge how long a pending order is to stand."""
    if type_time not in tuple(OrderTime):
        return Retcode.INVALID_EXPIRATION
    dated = type_time in (OrderTime.SPECIFIED, OrderTime.SPECIFIED_DAY)
    if dated and expiration * 1000 <= now_ms:
        return Retcode.INVALID_EXPIRATION
    return None


def judge_order_type(spec: SymbolSettings, order_type: int, *, pending: bool) -> Retcode | None:
    """Judge whether an action takes orders of this type, and the symbol, too."""
    bit = _BIT_OF_TYPE.get(order_type)
    if bit is None:
        return Retcode.INVALID
    if pending == (bit == _MARKET_BIT) or not spec.order_bits & bit:
        return Retcode.INVALID_ORDER
    return None


def judge_order_freeze(
    spec: SymbolSettings, order: StandingOrder, prices: Quotes
) -> Retcode | None:
    """Judge whether a pending order stands too near to its execution to be touched."""
    market = prices.ask(order.slot) if is_buy(order.type) else prices.bid(order.slot)
    return judge_freeze(spec, market, order.price)
