"""What the package's Python part adds to the binding: trades at the market in one call."""

from __future__ import annotations

from typing import Any, Protocol

from engine.simulated.api_table import Struct
from engine.simulated.numbers import Action, OrderType, Retcode

_RETRIED = (Retcode.REQUOTE, Retcode.PRICE_OFF)
_TRIES = 10
_DEVIATION = 10


class TradingTerminal(Protocol):
    """The functions that the conveniences are made of."""

    def order_send(self, request: object = None) -> Struct | None:
        """Send a trade request."""
        ...

    def positions_get(self, **keywords: Any) -> tuple[Struct, ...] | None:
        """Return open positions."""
        ...

    def symbol_info_tick(self, symbol: str) -> Struct | None:
        """Return a symbol's current tick."""
        ...


def trade(
    terminal: TradingTerminal,
    order_type: int,
    symbol: str,
    volume: float,
    price: float | None = None,
    comment: str | None = None,
    ticket: int | None = None,
) -> Struct | None:
    """Send a market order; a requote or a missing price is tried again at the fresh price.

    Args:
        terminal: Where.
        order_type: ``ORDER_TYPE_BUY`` or ``ORDER_TYPE_SELL``.
        symbol: What.
        volume: Lots.
        price: The price to ask for at first; ``None`` for the market's.
        comment: The order's comment.
        ticket: The position to close, if it is one.

    Returns:
        The last answer, ``None`` after an error that ``last_error()`` tells.
    """
    request: dict[str, object] = {
        "action": int(Action.DEAL),
        "symbol": symbol,
        "volume": volume,
        "type": int(order_type),
        "deviation": _DEVIATION,
    }
    if comment is not None:
        request["comment"] = comment
    if ticket is not None:
        request["position"] = ticket
    answer: Struct | None = None
    for _ in range(_TRIES):
        if price is None:
            tick = terminal.symbol_info_tick(symbol)
            if tick is None:
                return None
            price = tick.ask if order_type == OrderType.BUY else tick.bid
        answer = terminal.order_send(request | {"price": price})
        if answer is None or answer.retcode not in _RETRIED:
            break
        price = None
    return answer


def close(
    terminal: TradingTerminal,
    symbol: str,
    *,
    comment: str | None = None,
    ticket: int | None = None,
) -> bool | str | None:
    """Close one position, or every position of a symbol.

    Returns:
        ``True`` when all were closed, ``"Partially"`` when some were, ``False`` when none was,
        ``None`` after an error that ``last_error()`` tells.
    """
    if ticket is not None:
        positions = terminal.positions_get(ticket=ticket)
    else:
        positions = terminal.positions_get(symbol=symbol)
    if positions is None:
        return None
    closed = 0
    for position in positions:
        opposite = OrderType.SELL if position.type == OrderType.BUY else OrderType.BUY
        answer = trade(terminal, opposite, symbol, position.volume, None, comment, position.ticket)
        if answer is None:
            return None
        closed += answer.retcode == Retcode.DONE
    if closed and closed < len(positions):
        return "Partially"
    return closed > 0
