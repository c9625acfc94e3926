"""Sightings: what a whole account was seen to hold at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from engine.brokers.port import AccountState, Position


@dataclass(frozen=True, slots=True)
class Sighting:
    """One read of an account with all its open positions.

    The parts are read one after another: on a moving market they can be some milliseconds apart.
    """

    at_us: int
    """Wall clock, µs UTC, when the positions had been read."""
    account: AccountState | None
    """``None`` if the broker did not answer that read."""
    positions: tuple[Position, ...]
    """All that were open."""
