"""Reading: the account, and one position, whatever the broker calls it by now."""

from __future__ import annotations

from engine.brokers.port import AccountState, Broker, Position
from engine.errors import BrokerError, WrongAccount
from engine.patience import Patience


async def read_account(broker: Broker, patience: Patience, within_s: float) -> AccountState:
    """Read the account, again and again for ``within_s`` seconds if it does not answer.

    Raises:
        WrongAccount: another account answered.
        BrokerError: none did; the last trouble.
    """
    trouble: list[BrokerError] = []

    async def look() -> AccountState | None:
        try:
            return await broker.account()
        except WrongAccount:
            raise
        except BrokerError as error:
            trouble[:] = [error]
            return None

    account = await patience.until(look, within_s)
    if account is None:
        raise trouble[0]
    return account


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
