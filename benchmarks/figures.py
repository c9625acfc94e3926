"""A figure of a benchmark: measured values against reference values from the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Values and what they are held against, in one unit; the ratio is of the medians."""

    name: str
    unit: str
    values: Sequence[float]
    reference_name: str
    reference: Sequence[float]
    goal: str
    is_met_by: float
    """The ratio that meets the goal, at most."""
    note: str = ""

    @property
    def ratio(self) -> float:
        """Median of the values over the median of the reference."""
        return median(self.values) / median(self.reference)

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.is_met_by

    def lines(self) -> list[str]:
        """Return the figure as text."""
        met = "met" if self.is_met else "NOT met"
        return [
            self.name,
            f"  measured   {_spread(self.values)} {self.unit}",
            f"  reference  {_spread(self.reference)} {self.unit}  ({self.reference_name})",
            f"  ratio      {self.ratio:.2f}  (goal {self.goal}: {met})",
            *([f"  {self.note}"] if self.note else []),
        ]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} (of {len(values)}: {min(values):.1f} to {max(values):.1f})"
