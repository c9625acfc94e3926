"""A terminal's structs, turned into the port's plain data at once.

The structs are neither picklable nor, through a bridge, local. Numbers of MetaTrader 5's
enumerations are spelled out here rather than looked up on the terminal, where each look-up
could be a round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.brokers.port import (
    AccountState,
    ClosedBy,
    Deal,
    DealEntry,
    MarginMode,
    PendingOrder,
    Position,
    Quote,
    Side,
    SymbolSpec,
)

FILL_OR_KILL: Final = 0
IMMEDIATE_OR_CANCEL: Final = 1
RETURN: Final = 2
_MAY_FILL_OR_KILL: Final = 1  # bits of symbol_info().filling_mode, which is not the enumeration
_MAY_IMMEDIATE_OR_CANCEL: Final = 2

_EXECUTION_INSTANT: Final = 1
_EXECUTION_EXCHANGE: Final = 3
_HEDGING: Final = 2
_REAL: Final = 2
_TRADES: Final = (0, 1)  # deal types BUY and SELL; the others are balance operations
_SIDE_OF_ORDER: Final = {
    0: Side.LONG,
    1: Side.SHORT,
    2: Side.LONG,
    3: Side.SHORT,
    4: Side.LONG,
    5: Side.SHORT,
    6: Side.LONG,
    7: Side.SHORT,
}
_ENTRY: Final = {entry.value: entry for entry in DealEntry}
_CLOSED_BY: Final = {
    0: ClosedBy.HAND,  # desktop terminal
    1: ClosedBy.HAND,  # mobile
    2: ClosedBy.HAND,  # web
    3: ClosedBy.EXPERT,
    4: ClosedBy.STOP_LOSS,
    5: ClosedBy.TAKE_PROFIT,
    6: ClosedBy.STOP_OUT,
}


@dataclass(frozen=True, slots=True)
class TradedSymbol:
    """A symbol's specification, and what an order for it has to say."""

    spec: SymbolSpec
    filling: int
    """``type_filling`` by the symbol's own mask."""
    needs_price: bool
    """Whether execution is on request or instant: only there the price in the order counts."""


def read_account(info: Any) -> AccountState:
    """Turn ``account_info()`` into an account's state."""
    return AccountState(
        login=info.login,
        server=info.server,
        currency=info.currency,
        balance=info.balance,
        equity=info.equity,
        margin=info.margin,
        margin_level=info.margin_level,
        leverage=info.leverage,
        margin_mode=MarginMode.HEDGING if info.margin_mode == _HEDGING else MarginMode.NETTING,
        fifo=bool(info.fifo_close),
        is_real=info.trade_mode == _REAL,
        trade_allowed=bool(info.trade_allowed and info.trade_expert),
        currency_digits=info.currency_digits,
    )


def read_position(info: Any) -> Position:
    """Turn one struct of ``positions_get()`` into a position."""
    return Position(
        ticket=info.ticket,
        identifier=info.identifier,
        symbol=info.symbol,
        side=Side.LONG if info.type == 0 else Side.SHORT,
        volume=info.volume,
        price_open=info.price_open,
        price_current=info.price_current,
        profit=info.profit,
        swap=info.swap,
        opened_ms=info.time_msc,
        comment=info.comment,
    )


def read_deals(infos: Any) -> tuple[Deal, ...]:
    """Turn ``history_deals_get()`` into the trades among the deals, oldest first.

    Deposits, corrections and other balance operations belong to no position and are left out.
    """
    deals = [_read_deal(info) for info in infos if info.type in _TRADES]
    deals.sort(key=lambda deal: (deal.time_ms, deal.ticket))
    return tuple(deals)


def _read_deal(info: Any) -> Deal:
    return Deal(
        ticket=info.ticket,
        order=info.order,
        identifier=info.position_id,
        symbol=info.symbol,
        entry=_ENTRY[info.entry],
        side=Side.LONG if info.type == 0 else Side.SHORT,
        volume=info.volume,
        price=info.price,
        profit=info.profit,
        commission=info.commission,
        swap=info.swap,
        fee=info.fee,
        comment=info.comment,
        closed_by=_CLOSED_BY.get(info.reason, ClosedBy.OTHER),
        time_ms=info.time_msc,
    )


def read_pending_orders(infos: Any) -> tuple[PendingOrder, ...]:
    """Turn ``orders_get()`` into the orders that wait for their price.

    A market order on its way to execution stands in the same list; it is left out, because it
    cannot be cancelled.
    """
    return tuple(
        PendingOrder(
            ticket=info.ticket,
            symbol=info.symbol,
            side=_SIDE_OF_ORDER[info.type],
            volume=info.volume_current,
            price=info.price_open,
            comment=info.comment,
        )
        for info in infos
        if info.type in _SIDE_OF_ORDER and info.type not in _TRADES
    )


def read_quote(symbol: str, info: Any) -> Quote:
    """Turn ``symbol_info_tick()`` into a quote."""
    return Quote(symbol=symbol, bid=info.bid, ask=info.ask, time_ms=info.time_msc)


def read_symbol(info: Any) -> TradedSymbol:
    """Turn ``symbol_info()`` into a specification and the order's filling.

    The mask's FOK is preferred to its IOC. With neither, exchange execution takes RETURN; on
    request and instant execution the field does not count.
    """
    mask, execution = info.filling_mode, info.trade_exemode
    if mask & _MAY_FILL_OR_KILL:
        filling = FILL_OR_KILL
    elif mask & _MAY_IMMEDIATE_OR_CANCEL:
        filling = IMMEDIATE_OR_CANCEL
    else:
        filling = RETURN if execution == _EXECUTION_EXCHANGE else FILL_OR_KILL
    return TradedSymbol(
        spec=SymbolSpec(
            name=info.name,
            digits=info.digits,
            point=info.point,
            contract_size=info.trade_contract_size,
            volume_min=info.volume_min,
            volume_max=info.volume_max,
            volume_step=info.volume_step,
            currency_base=info.currency_base,
            currency_profit=info.currency_profit,
            currency_margin=info.currency_margin,
        ),
        filling=filling,
        needs_price=execution <= _EXECUTION_INSTANT,
    )
