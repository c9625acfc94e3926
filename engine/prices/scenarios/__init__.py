"""Generated scenarios, for a machine without a price file: seeded, and the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.prices.scenarios.flash_crash import FLASH_CRASH
from engine.prices.scenarios.snb_2015 import SNB_2015
from engine.prices.scenarios.story import Scenario

__all__ = ["SCENARIOS", "Scenario", "scenario"]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({s.name: s for s in (SNB_2015, FLASH_CRASH)})
"""Every scenario by its name; the first is the default of the commands."""


def scenario(name: str) -> Scenario:
    """Return the scenario called ``name``.

    Raises:
        ValueError: There is none; the message lists the names.
    """
    try:
        return SCENARIOS[name]
    except KeyError:
        names = ", ".join(SCENARIOS)
        raise ValueError(f"scenario={name!r} is unknown; choose one of: {names}") from None
