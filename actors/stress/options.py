"""What a stress run is asked for, checked before anything starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from actors.stress.chaos_plan import ChaosPlan
from audit.opening import make_store
from engine.prices import SCENARIOS

_RANGE = re.compile(r"\s*(?P<low>\d+(?:\.\d+)?)\s*(?::\s*(?P<high>\d+(?:\.\d+)?)\s*)?")

DEFAULT_SETTLE_MS = 1_000.0
SHARE_OF_WINDOW = 0.8
"""How much of the settle window the venue takes, at most, to execute a request."""

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
    """With ``chaos`` it is ``all``, and need not be given."""
    venue: Literal["simulated", "external"] = "simulated"
    """``external``: the accounts' books are kept by a process that outlives the engine's."""
    chaos: str | None = None
    """``kills=N,seed=S[,targets=...]``; see :class:`~actors.stress.chaos_plan.ChaosPlan`."""
    settle_ms: float | None = Field(default=None, ge=50, le=60_000, allow_inf_nan=False)
    """How long a request may still act, with ``chaos``; 1000 if it is not given."""
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

    @field_validator("chaos")
    @classmethod
    def _sound_chaos(cls, text: str | None) -> str | None:
        if text is not None:
            ChaosPlan.parse(text)
        return text

    @model_validator(mode="before")
    @classmethod
    def _chaos_triggers_all(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("trigger") is not None:
            return given
        chosen = {name: value for name, value in given.items() if name != "trigger"}
        return {**chosen, "trigger": "all"} if given.get("chaos") is not None else chosen

    @model_validator(mode="after")
    def _chaos_needs_an_external_venue(self) -> StressOptions:
        if self.chaos is None:
            if self.settle_ms is not None:
                raise ValueError(
                    f"settle_ms={self.settle_ms:g} is for chaos only: add "
                    "--chaos kills=20,seed=1, or leave --settle-ms out"
                )
            return self
        if self.venue != "external":
            raise ValueError(
                f"chaos={self.chaos!r} kills the processes that hold the books of "
                f"venue={self.venue!r}: add --venue external"
            )
        if self.trigger != "all":
            raise ValueError(
                f"trigger={self.trigger!r} does not go with chaos={self.chaos!r}, which kills in "
                "the middle of a mass liquidation: leave --trigger out"
            )
        if self.latency_ms > SHARE_OF_WINDOW / 2 * self.settle_window_ms:
            raise ValueError(
                f"latency_ms={self.latency_ms:g} is too long for "
                f"settle_ms={self.settle_window_ms:g}: a request must be over within the settle "
                f"window; raise --settle-ms to {2 * self.latency_ms / SHARE_OF_WINDOW:g}"
            )
        return self

    @model_validator(mode="after")
    def _prices_and_symbol_go_together(self) -> StressOptions:
        if (self.prices is None) != (self.symbol is None):
            raise ValueError(
                f"prices={self.prices!s} and symbol={self.symbol!r} go together: "
                "--prices FILE --symbol NAME"
            )
        return self

    @property
    def chaos_plan(self) -> ChaosPlan | None:
        """The kills that are asked for, if any."""
        return None if self.chaos is None else ChaosPlan.parse(self.chaos)

    @property
    def settle_window_ms(self) -> float:
        """The settle window of a run with chaos."""
        return DEFAULT_SETTLE_MS if self.settle_ms is None else self.settle_ms

    @property
    def leverage_range(self) -> tuple[float, float]:
        """Lowest and highest exposure over deposit."""
        match = _RANGE.fullmatch(self.leverage)
        assert match is not None
        low = float(match["low"])
        return low, float(match["high"] or low)
