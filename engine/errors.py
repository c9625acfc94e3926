"""What can go wrong, and what to do about it.

Bad arguments are plain :class:`ValueError` (see :mod:`engine.arguments`); everything else that
the engine raises by itself descends from :class:`RiskEngineError`.
"""

from __future__ import annotations


class RiskEngineError(Exception):
    """Base of every error that the engine raises on its own account."""


class IdempotencyConflict(RiskEngineError):
    """The same idempotency key came back with another ticket or volume.

    Nothing was sent. Use a new key for a new request, or repeat the old request unchanged.
    """


class MarketClosed(RiskEngineError):
    """The position's market is closed: nothing is final, and the key may be tried again.

    Attributes:
        symbol: whose market it is.
        position_id: the position as the caller names it.
        ticket: what the caller says the broker calls it.
        opens_in_s: seconds until the market opens, ``None`` where the broker does not tell.
    """

    def __init__(
        self, symbol: str, position_id: str, ticket: int, opens_in_s: float | None
    ) -> None:
        """Name the position that waits."""
        super().__init__(symbol, position_id, ticket, opens_in_s)  # so that it can be pickled
        self.symbol = symbol
        self.position_id = position_id
        self.ticket = ticket
        self.opens_in_s = opens_in_s

    def __str__(self) -> str:
        """Say what is closed, and until when if that is known."""
        until = "" if self.opens_in_s is None else f" for another {self.opens_in_s:.0f} s"
        return (
            f"the market of {self.symbol} is closed{until}: position {self.position_id} "
            f"(ticket {self.ticket}) is still open; try the same key again"
        )


class UnknownAccount(RiskEngineError, LookupError):
    """The user account is not attached to this engine. Attach it first."""


class BrokerError(RiskEngineError):
    """Base of what a :class:`engine.brokers.port.Broker` raises while *reading*.

    Sending never raises: whatever happens to an order is an
    :class:`engine.brokers.port.Answer`.
    """


class BrokerUnavailable(BrokerError):
    """The broker did not answer a read; nothing is known, so nothing may be concluded."""


class SymbolUnavailable(BrokerError):
    """The broker does not know the symbol, or has no price for it."""


class WrongAccount(BrokerError):
    """The terminal is logged in to another account than the one that was asked for."""
