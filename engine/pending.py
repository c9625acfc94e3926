"""Pending orders: cancelled before an account is closed, so that none opens a position anew."""

from __future__ import annotations

from dataclasses import dataclass

from engine.brokers.port import Broker, PendingOrder
from engine.errors import BrokerError
from engine.lease import Permit
from engine.outcomes import Verdict
from engine.pace import Pace, Priority
from engine.patience import Patience

_HOPELESS = frozenset({Verdict.OPERATOR})
"""Answers that the same request gets again: only a person can change what they rest on."""


@dataclass(frozen=True, slots=True)
class PendingReport:
    """What became of an account's pending orders.

    An order that was there and is gone counts as cancelled; it may have been filled in between.
    Positions are closed afterwards in any case.
    """

    cancelled: tuple[PendingOrder, ...] = ()
    left: tuple[tuple[PendingOrder, str], ...] = ()
    """Orders that are still there, each with the reason."""
    unread: str | None = None
    """Why nobody knows which orders there are, if the last read failed."""


async def cancel_pending(
    broker: Broker,
    permit: Permit,
    patience: Patience,
    *,
    within_s: float,
    pace: Pace | None = None,
) -> PendingReport:
    """Cancel every pending order of an account; read, cancel, and read again until none is left.

    Whatever the broker answers ends up in the report. Wrap the broker in a
    :class:`engine.brokers.deadlines.DeadlineBroker`, as an account's closer does.

    Args:
        broker: the account's.
        permit: asked before every request.
        patience: how long to wait between two rounds.
        within_s: how many seconds of rounds; the one under way is brought to its end.
        pace: spaces the requests.

    Raises:
        LeaseLost: this life may not send any more.
    """
    seen: dict[int, PendingOrder] = {}
    there: dict[int, PendingOrder] = {}
    said: dict[int, str] = {}
    hopeless: set[int] = set()
    trouble: list[str | None] = [None]

    async def round_of_requests() -> bool | None:
        if not await read_anew():
            return None
        for ticket in [ticket for ticket in there if ticket not in hopeless]:
            if pace is not None:
                await pace.turn(Priority.CANCEL)
            await permit.secured()
            permit.check()  # nothing may be awaited between this and the request
            answer = await broker.cancel_order(ticket)
            said[ticket] = f"{answer.code} {answer.text}"
            if answer.verdict in _HOPELESS:
                hopeless.add(ticket)
        # An answer is no proof: only a read that no longer shows an order is.
        if not await read_anew():
            return None
        return True if there.keys() <= hopeless else None

    async def read_anew() -> bool:
        try:
            orders = await broker.pending_orders()
        except BrokerError as error:
            trouble[0] = f"the pending orders could not be read: {error}"
            return False
        trouble[0] = None
        there.clear()
        there.update((order.ticket, order) for order in orders)
        seen.update(there)
        return True

    await patience.until(round_of_requests, within_s)
    return PendingReport(
        cancelled=tuple(order for ticket, order in seen.items() if ticket not in there),
        left=tuple(
            (order, said.get(ticket, "no request was sent in time"))
            for ticket, order in there.items()
        ),
        unread=trouble[0],
    )
