"""What a stress run is asked for, checked before anything starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from audit.opening import make_store
from engine.prices import SCENARIOS

_RANGE = re.compile(r"\s*(?P<low>\d+(?:\.\d+)?)\s*(?::\s*(?P<high>\d+(?:\.\d+)?)\s*)?")

LEVERAGE_LIMIT = 400.0
"""Exposure over deposit that the simulated broker's margin (1:500) still lets an account open."""


class StressOptions(BaseModel):
    """One run of ``risk-engine stress``.

    Raises:
        pydantic.ValidationError: naming each field and its value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: int = Field(default=10, ge=1, le=10_000)
    positions: int = Field(default=10, ge=1, le=10_000)
    """For each account."""
    scenario: str = "snb-2015"
    prices: Path | None = None
    """A terminal's export; takes the place of the scenario."""
    symbol: str | None = None
    """Of the price file."""
    latency_ms: float = Field(default=0.0, ge=0, le=60_000, allow_inf_nan=False)
    seed: int = Field(default=1, ge=0, le=2**63 - 1)
    leverage: str = "5:30"
    """Exposure over deposit: one number for all, or ``low:high`` to draw each account's from."""
    trigger: Literal["guards", "all"] = "guards"
    audit: str | None = None
    out: Path | None = None
    speed: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Market time over wall time; 0 is as fast as the machine can."""

    @field_validator("scenario")
    @classmethod
    def _known_scenario(cls, name: str) -> str:
        if name not in SCENARIOS:
            raise ValueError(f"scenario={name!r} is unknown; there are {', '.join(SCENARIOS)}")
        return name

    @field_validator("leverage")
    @classmethod
    def _leverage_range(cls, text: str) -> str:
        match = _RANGE.fullmatch(text)
        if match is None:
            raise ValueError(f"leverage={text!r} must be a number such as 20, or a range 5:30")
        low = float(match["low"])
        high = float(match["high"] or low)
        if not 0 < low <= high <= LEVERAGE_LIMIT:
            raise ValueError(
                f"leverage={text!r} must lie above 0 and at most {LEVERAGE_LIMIT:g}, "
                "low before high"
            )
        return text

    @field_validator("audit")
    @classmethod
    def _known_store(cls, url: str | None) -> str | None:
        if url is not None:
            make_store(url)
        return url

    @model_validator(mode="after")
    def _prices_and_symbol_go_together(self) -> StressOptions:
        if (self.prices is None) != (self.symbol is None):
            raise ValueError(
                f"prices={self.prices!s} and symbol={self.symbol!r} go together: "
                "--prices FILE --symbol NAME"
            )
        return self

    @property
    def leverage_range(self) -> tuple[float, float]:
        """Lowest and highest exposure over deposit."""
        match = _RANGE.fullmatch(self.leverage)
        assert match is not None
        low = float(match["low"])
        return low, float(match["high"] or low)
