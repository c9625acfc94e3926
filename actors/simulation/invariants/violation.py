"""What a check says when a promise was broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from actors.simulation.facts import Run


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    promise: str
    """Name of the check."""
    text: str
    user_id: str = ""
    at_us: int | None = None
    """When it was broken, µs since the simulation's beginning, if it has a moment."""

    def __str__(self) -> str:
        """Say it in one line."""
        at = "" if self.at_us is None else f" at {self.at_us / 1e6:.4f} s"
        return f"{self.promise}: {self.user_id or 'engine'}{at}: {self.text}"


Check = Callable[[Run], Iterator[Violation]]
"""Looks at a run that is over and yields what was broken."""
