"""In which order positions are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.brokers.port import Position
from engine.policy import ClosingOrder


def in_closing_order(
    positions: Iterable[Position],
    order: ClosingOrder,
    *,
    fifo: bool,
    exposure: Callable[[Position], float],
) -> list[Position]:
    """Sort positions for closing; equals keep their tickets' order, so it is deterministic.

    Args:
        positions: what is open.
        order: the wish.
        fifo: whether the broker demands oldest first; then the wish is overruled.
        exposure: the position's notional size in any one unit, for ``LARGEST_EXPOSURE``.
    """
    if fifo or order is ClosingOrder.OLDEST_FIRST:
        return sorted(positions, key=lambda p: (p.opened_ms, p.ticket))
    if order is ClosingOrder.LARGEST_LOSS:
        return sorted(positions, key=lambda p: (p.profit + p.swap, p.ticket))
    if order is ClosingOrder.LARGEST_EXPOSURE:
        return sorted(positions, key=lambda p: (-exposure(p), p.ticket))
    return list(positions)
