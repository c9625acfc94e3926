"""A snapshot of an account: everything that a flat certificate or a report needs, in one read."""

from __future__ import annotations

from dataclasses import dataclass

from engine.brokers.port import AccountState, Broker, PendingOrder, Position, Quote


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account as its broker showed it, as plain data.

    The parts are read one after another: on a moving market they can be some milliseconds apart.
    """

    account: AccountState
    positions: tuple[Position, ...]
    pending_orders: tuple[PendingOrder, ...]
    quotes: tuple[Quote, ...]
    """Of every symbol with a position or a pending order, by name."""


async def take_snapshot(broker: Broker) -> AccountSnapshot:
    """Read account, positions, pending orders and the quotes that they depend on.

    Raises:
        BrokerError: the broker did not answer one of the reads.
    """
    account = await broker.account()
    positions = await broker.positions()
    pending = await broker.pending_orders()
    symbols = sorted({p.symbol for p in positions} | {o.symbol for o in pending})
    quotes = tuple([await broker.quote(symbol) for symbol in symbols])
    return AccountSnapshot(account, positions, pending, quotes)
