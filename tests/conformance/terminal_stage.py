"""A stage on a terminal: what the adapter does not do, opening, is asked of the terminal itself."""

from __future__ import annotations

from typing import Any

from engine.brokers import Broker, Side
from engine.brokers.terminal_calls import TerminalCalls

DONE = 10009
_DEAL, _PENDING = 1, 5
_BUY, _SELL, _BUY_LIMIT = 0, 1, 2


class TerminalStage:
    """An account in a terminal with the MetaTrader5 surface."""

    def __init__(
        self, broker: Broker, calls: TerminalCalls, *, symbol: str, hedging: bool, filling: int = 0
    ) -> None:
        self.broker = broker
        self.symbol = symbol
        self.lots = 0.2
        self.hedging = hedging
        self._calls = calls
        self._filling = filling

    async def open_position(self, side: Side, lots: float) -> int:
        quote = await self.broker.quote(self.symbol)
        long = side is Side.LONG
        result = await self._send(
            action=_DEAL,
            volume=lots,
            type=_BUY if long else _SELL,
            price=quote.ask if long else quote.bid,
        )
        (order,) = (
            deal.identifier
            for deal in await self.broker.deals_between(0, 2**42)
            if deal.ticket == result.deal
        )
        return order

    async def place_pending(self) -> int:
        quote = await self.broker.quote(self.symbol)
        digits = (await self.broker.symbol(self.symbol)).digits
        result = await self._send(
            action=_PENDING, volume=0.1, type=_BUY_LIMIT, price=round(quote.bid / 2, digits)
        )
        ticket: int = result.order
        return ticket

    async def _send(self, **fields: Any) -> Any:
        request = {"symbol": self.symbol, "type_filling": self._filling, **fields}
        reply = await self._calls("order_send", request)
        assert reply.value is not None, reply.error
        assert reply.value.retcode == DONE, reply.value
        return reply.value
