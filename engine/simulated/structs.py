"""The terminal's result structs, filled from the simulated account and market."""

from __future__ import annotations

from typing import Any

from engine.simulated.api_table import (
    STRUCT_FIELDS,
    AccountInfo,
    Struct,
    SymbolInfo,
    TerminalInfo,
    Tick,
    TradeOrder,
    TradePosition,
)
from engine.simulated.book import OpenPosition, StandingOrder
from engine.simulated.conversion import rate
from engine.simulated.market import Quotes
from engine.simulated.numbers import OrderState
from engine.simulated.venue import Venue

_BID_AND_ASK = 2 | 4
_TEXT_FIELDS = (
    "basis category currency_base currency_profit currency_margin bank description exchange "
    "formula isin name page path"
)
_SYMBOL_DEFAULTS: dict[str, Any] = {
    name: "" if name in _TEXT_FIELDS.split() else 0 for name in STRUCT_FIELDS["SymbolInfo"]
}
_SYMBOL_DEFAULTS.update({"custom": False, "select": True, "visible": True, "spread_float": True})
_WHOLE_FIELDS = (
    "chart_mode session_deals session_buy_orders session_sell_orders volume volumehigh volumelow "
    "time digits spread ticks_bookdepth trade_calc_mode trade_mode start_time expiration_time "
    "trade_stops_level trade_freeze_level trade_exemode swap_mode swap_rollover3days "
    "expiration_mode filling_mode order_mode order_gtc_mode option_mode option_right"
)
for _name, _value in _SYMBOL_DEFAULTS.items():
    if _value == 0 and not isinstance(_value, bool) and _name not in _WHOLE_FIELDS.split():
        _SYMBOL_DEFAULTS[_name] = 0.0
_SYMBOL_DEFAULTS["margin_hedged_use_leg"] = False
_ALL_EXPIRATIONS = 15


def tick_struct(quotes: Quotes, slot: int) -> Struct:
    """Return a symbol's current tick."""
    time_ms = quotes.tick_ms(slot)
    return Tick(
        (
            time_ms // 1000,
            quotes.bid(slot),
            quotes.ask(slot),
            0.0,
            0,
            time_ms,
            _BID_AND_ASK,
            0.0,
        )
    )


def position_struct(position: OpenPosition, venue: Venue) -> Struct:
    """Return a position at the current prices."""
    slot, sign = position.slot, position.sign
    prices = venue.cursor
    # fmt: off
    return TradePosition(
        (position.ticket, position.opened_ms // 1000, position.opened_ms,
         position.updated_ms // 1000, position.updated_ms, 0 if sign > 0 else 1, position.magic,
         position.identifier, int(position.reason), position.volume, position.price_open,
         position.sl, position.tp, prices.bid(slot) if sign > 0 else prices.ask(slot),
         position.swap, venue.valuation.open_profit(position, prices), position.symbol,
         position.comment, "")
    )
    # fmt: on


def order_struct(order: StandingOrder, prices: Quotes) -> Struct:
    """Return a pending order at the current prices."""
    market = prices.ask(order.slot) if order.type % 2 == 0 else prices.bid(order.slot)
    # fmt: off
    return TradeOrder(
        (order.ticket, order.placed_ms // 1000, order.placed_ms, 0, 0, order.expiration,
         int(order.type), order.type_time, order.filling, int(OrderState.PLACED), order.magic, 0,
         0, int(order.reason), order.volume, order.volume, order.price, order.sl, order.tp, market,
         order.stoplimit, order.symbol, order.comment, "")
    )
    # fmt: on


def account_struct(venue: Venue) -> Struct:
    """Return the account at the current prices."""
    account = venue.account
    now = venue.standing()
    # fmt: off
    return AccountInfo(
        (account.login, int(account.kind), account.leverage, account.limit_orders,
         int(account.stop_out_mode), account.trade_allowed, account.expert_allowed,
         int(account.margin_mode), account.currency_digits, account.fifo, now.balance, now.credit,
         now.profit, now.equity, now.margin, round(now.margin_free, account.currency_digits),
         now.margin_level, account.margin_call, account.stop_out, 0.0, 0.0, 0.0, 0.0, 0.0,
         account.name, account.server, account.currency, account.company)
    )
    # fmt: on


def symbol_struct(venue: Venue, slot: int, *, selected: bool) -> Struct:
    """Return a symbol's specification with its current prices."""
    spec = venue.market.specs[slot]
    quotes = venue.cursor
    route = venue.market.conversions(venue.account.currency).profit[slot]
    tick = spec.point * spec.contract_size
    hedged = spec.contract_size if spec.margin_hedged is None else spec.margin_hedged
    bid, ask = quotes.bid(slot), quotes.ask(slot)
    values = _SYMBOL_DEFAULTS | {
        "select": selected,
        "visible": selected,
        "time": quotes.tick_ms(slot) // 1000,
        "digits": spec.digits,
        "spread": round((ask - bid) / spec.point),
        "trade_calc_mode": int(spec.calc_mode),
        "trade_mode": int(spec.trade_mode),
        "trade_stops_level": spec.stops_level,
        "trade_freeze_level": spec.freeze_level,
        "trade_exemode": int(spec.execution),
        "swap_mode": int(spec.swap_mode),
        "swap_rollover3days": spec.swap_rollover3days,
        "expiration_mode": _ALL_EXPIRATIONS,
        "filling_mode": int(spec.filling),
        "order_mode": int(spec.orders),
        "bid": bid,
        "ask": ask,
        "point": spec.point,
        "trade_tick_value": tick * rate(route, quotes, sold=True),
        "trade_tick_value_profit": tick * rate(route, quotes, sold=True),
        "trade_tick_value_loss": tick * rate(route, quotes, sold=False),
        "trade_tick_size": spec.point,
        "trade_contract_size": spec.contract_size,
        "volume_min": spec.volume_min,
        "volume_max": spec.volume_max,
        "volume_step": spec.volume_step,
        "volume_limit": spec.volume_limit,
        "swap_long": spec.swap_long,
        "swap_short": spec.swap_short,
        "margin_initial": spec.margin_initial,
        "margin_hedged": hedged,
        "currency_base": spec.currency_base,
        "currency_profit": spec.currency_profit,
        "currency_margin": spec.currency_margin,
        "description": spec.description,
        "name": spec.name,
        "path": f"Simulated\\{spec.name}",
    }
    return SymbolInfo(tuple(values.values()))


def terminal_struct(venue: Venue, *, latency_ms: float) -> Struct:
    """Return the terminal's own state: connected, trading by programs as the account says."""
    account = venue.account
    values: dict[str, Any] = dict.fromkeys(STRUCT_FIELDS["TerminalInfo"], False)
    values.update(
        connected=True,
        trade_allowed=account.auto_trading,
        tradeapi_disabled=not account.api_trading,
        build=6231,
        maxbars=0,
        codepage=0,
        ping_last=round(latency_ms * 1000),
        community_balance=0.0,
        retransmission=0.0,
        company=account.company,
        name="Simulated terminal",
        language="English",
        path="",
        data_path="",
        commondata_path="",
    )
    return TerminalInfo(tuple(values.values()))
