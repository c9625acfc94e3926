"""Reading: through a broker's silences, and one position, whatever it is called by now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.brokers.port import Broker, Position
from engine.errors import BrokerError, WrongAccount
from engine.patience import Patience

_T = TypeVar("_T")


async def answered(read: Callable[[], Awaitable[_T]], patience: Patience, within_s: float) -> _T:
    """Read, and read again while the broker does not answer: terminals restart, bridges break.

    Args:
        read: the read.
        patience: how long to wait between two tries.
        within_s: for how many seconds to try again.

    Raises:
        WrongAccount: at once; no second try would be another account's.
        BrokerError: there was no answer in time; the last one's trouble.
    """
    trouble: list[BrokerError] = []

    async def look() -> tuple[_T] | None:
        try:
            return (await read(),)
        except WrongAccount:
            raise
        except BrokerError as error:
            trouble[:] = [error]
            return None

    found = await patience.until(look, within_s)
    if found is None:
        raise trouble[0]
    return found[0]


async def read_position(broker: Broker, ticket: int, identifier: int) -> Position | None:
    """Read the position with this ticket, or else the one with this identifier.

    A position's ticket can change over its life (a net position that is turned around gets a
    new one); its identifier cannot.

    Raises:
        BrokerError: the broker did not answer.
    """
    found = await broker.positions(ticket=ticket)
    if found:
        return found[0]
    for position in await broker.positions():
        if position.identifier == identifier:
            return position
    return None
