"""In which order positions are closed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import takewhile

from engine.brokers.port import Position
from engine.models import CloseRequest
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
        return oldest_first(positions)
    if order is ClosingOrder.LARGEST_LOSS:
        return sorted(positions, key=lambda p: (p.profit + p.swap, p.ticket))
    if order is ClosingOrder.LARGEST_EXPOSURE:
        return sorted(positions, key=lambda p: (-exposure(p), p.ticket))
    return list(positions)


def oldest_first(positions: Iterable[Position]) -> list[Position]:
    """Sort positions by their age, as FIFO brokers want them closed."""
    return sorted(positions, key=lambda p: (p.opened_ms, p.ticket))


def older_than(identifier: int, of_symbol: Sequence[Position]) -> list[Position]:
    """Return those of a symbol's positions, oldest first, that stand before one."""
    return list(takewhile(lambda position: position.identifier != identifier, of_symbol))


class ClosingQueue:
    """The requests of one call, in the order in which they are worked.

    Taken from their source one by one, so that the first order need not wait for the last
    request to be made.

    Args:
        requests: any number.
        concludes: whether these are closes that nobody waits for any longer: each ends with what
            earlier tries of it have executed, and nothing more is sent.
    """

    def __init__(self, requests: Iterable[CloseRequest], *, concludes: bool = False) -> None:
        """Number the requests from 0 as they were given."""
        self.concludes = concludes
        self._source = enumerate(requests)
        self._drawn: deque[tuple[int, CloseRequest]] = deque()

    def take(self) -> tuple[int, CloseRequest] | None:
        """Take the next request with its number; ``None`` when all are taken."""
        return self._drawn.popleft() if self._drawn else next(self._source, None)

    def holds_any(self, tickets: Collection[int]) -> bool:
        """Whether a position of these tickets is still to be worked."""
        self._draw()
        return any(request.ticket in tickets for _, request in self._drawn)

    def put_back(
        self, number: int, request: CloseRequest, oldest_first: Sequence[Position]
    ) -> None:
        """Put a request back, and bring it and the rest of its symbol into the given order.

        The requests of other symbols keep their places.
        """
        self._draw()
        self._drawn.appendleft((number, request))
        rank = {p.ticket: n for n, p in enumerate(oldest_first)}
        rank.setdefault(request.ticket, len(rank))
        places = [n for n, (_, r) in enumerate(self._drawn) if r.ticket in rank]
        entries = sorted((self._drawn[n] for n in places), key=lambda e: rank[e[1].ticket])
        for place, entry in zip(places, entries, strict=True):
            self._drawn[place] = entry

    def _draw(self) -> None:
        self._drawn.extend(self._source)
