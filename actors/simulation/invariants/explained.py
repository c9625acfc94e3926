"""The whole, once more, by the history checker: a serial, exactly-once explanation exists."""

from __future__ import annotations

from collections.abc import Iterator

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation
from actors.simulation.told import history_of
from audit.history import check


def has_an_explanation(run: Run) -> Iterator[Violation]:
    """What clients were told and what the book shows is one serial, exactly-once execution."""
    for found in check(history_of(run)).violations:
        yield Violation("has an explanation", f"{found.kind.value}: {found.text}", found.user_id)
