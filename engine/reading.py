"""Reading one position, whatever the broker calls it by now."""

from __future__ import annotations

from engine.brokers.port import Broker, Position


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
