"""All faults that are put in."""

from __future__ import annotations

from tests.mutants.closing_faults import CLOSING_FAULTS
from tests.mutants.mutant import Mutant
from tests.mutants.recording_faults import RECORDING_FAULTS

MUTANTS: tuple[Mutant, ...] = (*CLOSING_FAULTS, *RECORDING_FAULTS)
"""Every fault, each with a name of its own."""


def named(name: str) -> Mutant:
    """Return the mutant of that name.

    Raises:
        ValueError: there is none.
    """
    for mutant in MUTANTS:
        if mutant.name == name:
            return mutant
    raise ValueError(
        f"only={name!r} names no mutant; take one of {', '.join(m.name for m in MUTANTS)}"
    )
