"""What an operator can have a venue do, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from engine.brokers.port import Side

if TYPE_CHECKING:
    from engine.simulated.served.server import VenueServer


def operate(venue: VenueServer, operation: str, arguments: dict[str, Any]) -> Any:
    """Carry one operation out, and return its result as plain data.

    Raises:
        ValueError: There is no such operation or account, or it is refused.
    """
    known = OPERATIONS.get(operation)
    if known is None:
        names = ", ".join(OPERATIONS)
        raise ValueError(f"operation={operation!r} is unknown; there are {names}")
    try:
        signature(known).bind(venue, **arguments)
    except TypeError as error:
        raise ValueError(f"{operation}: the arguments do not fit: {error}") from error
    return known(venue, **arguments)


def _counts(venue: VenueServer) -> list[dict[str, Any]]:
    return [desk.counts().to_data() for desk in venue.desks.values()]


def _in_flight(venue: VenueServer) -> list[dict[str, int]]:
    waiting = (entry for desk in venue.desks.values() for entry in desk.ledger.in_flight())
    return [asdict(entry) for entry in waiting]


def _book(venue: VenueServer, *, login: int) -> dict[str, Any]:
    return venue.desk(login).book()


def _hang(
    venue: VenueServer, *, login: int, seconds: float | None = None, holds_orders: bool = False
) -> None:
    venue.desk(login).hang(seconds, holds_orders=holds_orders)


def _release(venue: VenueServer, *, login: int) -> None:
    venue.desk(login).release()


def _go_down(venue: VenueServer) -> None:
    venue.go_down()


def _come_up(venue: VenueServer) -> None:
    venue.come_up()


def _open_position(venue: VenueServer, *, login: int, side: str, lots: float) -> int:
    return venue.desk(login).open_position(Side(side), lots)


def _place_pending(venue: VenueServer, *, login: int, lots: float = 0.1) -> int:
    return venue.desk(login).place_pending(lots)


def _close_by_hand(venue: VenueServer, *, login: int, ticket: int) -> None:
    venue.desk(login).close_by_hand(ticket)


OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "counts": _counts,
        "in_flight": _in_flight,
        "book": _book,
        "hang": _hang,
        "release": _release,
        "go_down": _go_down,
        "come_up": _come_up,
        "open_position": _open_position,
        "place_pending": _place_pending,
        "close_by_hand": _close_by_hand,
    }
)
"""Every operation, called as ``operation(venue, **arguments)``."""
