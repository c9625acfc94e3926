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
