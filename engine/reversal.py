"""Reversals: an order on a netting account that met less than it asked for opens the opposite."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from engine.brokers.port import Broker, Position, Side
from engine.collecting import CloseLedger
from engine.errors import BrokerError, MarketClosed
from engine.models import CloseRequest
from engine.patience import Patience
from engine.unfinished import UnfinishedClose

_log = logging.getLogger(__name__)

MOST_UNDOINGS = 3
"""Tries to close what an order of ours has opened on a netting account."""


def report_reversal(ledger: CloseLedger, close: UnfinishedClose, opened: Position) -> None:
    """Log and record that ``opened`` stands on the other side of what was to be closed."""
    _log.error(
        "reversal on %s: the close of position %s has met position %s open on the other side "
        "(%s, %s lots); closing it",
        close.request.user_id,
        close.position,
        opened.identifier,
        opened.side.value,
        opened.volume,
    )
    ledger.reversal_found(close.position, opened, close.request)


def undoing_key(key: str, number: int) -> str:
    """Name the key under which the ``number``-th reversal of a close under ``key`` is closed."""
    return f"{key}/reversal-{number}"


async def undo_reversal(
    broker: Broker,
    close: UnfinishedClose,
    ledger: CloseLedger,
    close_opened: Callable[[CloseRequest], Awaitable[bool]],
    *,
    patience: Patience,
    within_s: float,
) -> None:
    """Close what our own order has opened on a netting account.

    A stop that fires, or an order by hand, between our read and our order makes that happen;
    no client can exclude it. It is looked for until the deals prove that there was none.

    Args:
        broker: of a netting account.
        close: whose requests are done with.
        ledger: gets each reversal.
        close_opened: closes one position and tells whether all of it was closed.
        patience: how often to look.
        within_s: how long deals and positions may lag.
    """
    request = close.request
    for number in range(1, MOST_UNDOINGS + 1):
        opened = await find_reversal(broker, close, patience, within_s)
        if opened is None:
            return
        report_reversal(ledger, close, opened)
        undo = CloseRequest(
            position_id=opened.position_id,
            ticket=opened.ticket,
            user_id=request.user_id,
            close_reason=f"reversal of position {close.position}",
            idempotency_key=undoing_key(request.idempotency_key, number),
            initiator=request.initiator,
            trigger_id=request.trigger_id,
        )
        try:
            if await close_opened(undo):
                return
        except MarketClosed as waiting:
            _log.critical("reversal on %s cannot be closed now: %s", request.user_id, waiting)
            return
    _log.critical(
        "reversal on %s: what the close of position %s has opened is still open after %d tries",
        request.user_id,
        close.position,
        MOST_UNDOINGS,
    )


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
    symbol, side = _closed_side(close)
    if position.symbol != symbol or side is None or position.side is side:
        return False
    if position.comment == close.tag:
        return True
    return any(d.comment == close.tag for d in await broker.deals_of(position.identifier))


def _closed_side(close: UnfinishedClose) -> tuple[str, Side | None]:
    """Return symbol and side of what was to be closed, from its deals if it was never seen."""
    if close.side is not None:
        return close.symbol, close.side
    for deal in close.book.entries:
        return deal.symbol, deal.side
    return "", None
