"""The figures of a run: what ``summary.json`` and ``--json`` hold."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from statistics import quantiles
from typing import Any

from actors.stress.chaos_figures import ChaosFigures

PLACEMENT = "one actor per account"


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of a set of durations; ``None`` where there are none."""

    p50: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take the percentiles of ``values``, rounded to the microsecond."""
        if not values:
            return cls(None, None, None)
        if len(values) == 1:
            (only,) = values
            return cls(round(only, 6), round(only, 6), round(only, 6))
        cuts = quantiles(values, n=100, method="inclusive")
        return cls(round(cuts[49], 6), round(cuts[98], 6), round(max(values), 6))


@dataclass(frozen=True, slots=True)
class Summary:
    """One run. Money in the accounts' currency; counts of positions unless named otherwise."""

    accounts: int
    positions: int
    triggers: int
    closed: int
    """Closed by the engine's orders, by the brokers' books."""
    failed: int
    """Close records that end in failure."""
    residual: int
    """Still open on accounts whose guards have tripped."""
    double_closes: int
    """Counted from the brokers' books, never by the engine."""
    audit_records: int
    chain_ok: bool
    total_pnl: float
    currency: str
    arming_s: float
    makespan_s: float
    ideal_s: float
    closes_per_s: float
    time_to_flat_s: Spread
    trigger_to_first_order_ms: Spread
    scenario: str
    symbol: str
    seed: int
    latency_ms: float
    leverage: str
    trigger: str
    mismatches: int
    mismatch_examples: Sequence[str]
    chain_problem: str | None
    interrupted: bool
    failed_watches: int = 0
    """Accounts whose guards stopped looking because of an error."""
    venue: str = "simulated"
    chaos: ChaosFigures | None = None
    placement: str = PLACEMENT
    versions: dict[str, str] = field(default_factory=lambda: versions())

    @property
    def is_good(self) -> bool:
        """Whether every triggered account is flat and store and book agree."""
        return (
            not self.interrupted
            and self.failed_watches == 0
            and self.failed == self.residual == self.double_closes == self.mismatches == 0
            and self.chain_ok
            and (self.chaos is None or self.chaos.is_good)
        )

    def data(self) -> dict[str, Any]:
        """Return the summary as plain JSON values; chaos adds its figures to the others."""
        fields = asdict(self)
        fields["trigger_to_first_order_ms"].pop("max")
        chaos = fields.pop("chaos")
        return fields | chaos if chaos else fields


def versions() -> dict[str, str]:
    """Name what the figures were made with."""
    packages = ("risk-engine", "ray", "duckdb", "sqlalchemy", "pydantic")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
