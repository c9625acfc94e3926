"""Price paths: the terminal's own exports, and generated scenarios."""

from __future__ import annotations

from engine.prices.mt5_export import PriceFileError, read_prices
from engine.prices.path import PricePath, PriceTick
from engine.prices.scenarios import SCENARIOS, Scenario, scenario

__all__ = [
    "SCENARIOS",
    "PriceFileError",
    "PricePath",
    "PriceTick",
    "Scenario",
    "read_prices",
    "scenario",
]
