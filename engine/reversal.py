"""Reversals: an order on a netting account that met less than it asked for opens the opposite."""

from __future__ import annotations

from engine.brokers.port import Broker, Position
from engine.errors import BrokerError
from engine.patience import Patience
from engine.unfinished import UnfinishedClose


async def find_reversal(
    broker: Broker, close: UnfinishedClose, patience: Patience, within_s: float
) -> Position | None:
    """Find the position that our own order has opened or turned around.

    Args:
        broker: of a netting account.
        close: whose requests are done with; its deals are read anew.
        patience: how often to look.
        within_s: how long deals and positions may lag; no request may still act.

    Returns:
        The position, or ``None`` as soon as deals under our tag account for all that was
        executed, or when none has shown up in time.
    """

    async def look() -> tuple[Position | None] | None:
        try:
            close.saw_deals(await broker.deals_of(close.identifier))
            if close.failure is None and close.executed > 0 and close.deals_cover_executed:
                return (None,)
            for position in await broker.positions():
                if await _is_ours(broker, close, position):
                    return (position,)
        except BrokerError:
            return None  # what cannot be read is looked for again
        return None

    found = await patience.until(look, within_s)
    return None if found is None else found[0]


async def _is_ours(broker: Broker, close: UnfinishedClose, position: Position) -> bool:
    """Whether an order of ``close`` has made ``position`` what it is."""
    if position.symbol != close.symbol or close.side is None:
        return False
    if position.side is close.side:
        return False
    if position.comment == close.tag:
        return True
    return any(d.comment == close.tag for d in await broker.deals_of(position.identifier))
