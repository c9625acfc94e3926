"""A figure of a benchmark: measured values against reference values from the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Values and what they are held against, in one unit.

    Raises:
        ValueError: pairs are to be compared, and there are more values of one kind than of the
            other.
    """

    name: str
    unit: str
    values: Sequence[float]
    reference_name: str
    reference: Sequence[float]
    goal: str
    is_met_by: float
    """The ratio that meets the goal, at most."""
    or_within: float | None = None
    """The difference, in the unit, that meets the goal whatever the ratio; none does if unset."""
    is_paired: bool = False
    """Whether each value was measured beside the reference of the same place: then ratio and
    difference are medians over the pairs, and a machine that slows down in between shifts
    neither. Else they are of the two medians."""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse pairs that lack a half."""
        if self.is_paired and len(self.values) != len(self.reference):
            raise ValueError(
                f"{self.name}: {len(self.values)} values and {len(self.reference)} references "
                "make no pairs; measure as many of one as of the other"
            )

    @property
    def ratio(self) -> float:
        """The values over the reference."""
        if self.is_paired:
            return median(value / other for value, other in self._pairs())
        return median(self.values) / median(self.reference)

    @property
    def difference(self) -> float:
        """How far the values lie above the reference, in the unit."""
        if self.is_paired:
            return median(value - other for value, other in self._pairs())
        return median(self.values) - median(self.reference)

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        if self.or_within is not None and self.difference <= self.or_within:
            return True
        return self.ratio <= self.is_met_by

    def lines(self) -> list[str]:
        """Return the figure as text."""
        met = "met" if self.is_met else "NOT met"
        apart = "" if self.or_within is None else f", difference {self.difference:+.1f} {self.unit}"
        return [
            self.name,
            f"  measured   {_spread(self.values)} {self.unit}",
            f"  reference  {_spread(self.reference)} {self.unit}  ({self.reference_name})",
            f"  ratio      {self.ratio:.2f}{apart}  (goal {self.goal}: {met})",
            *([f"  {self.note}"] if self.note else []),
        ]

    def _pairs(self) -> list[tuple[float, float]]:
        return list(zip(self.values, self.reference, strict=True))


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} (of {len(values)}: {min(values):.1f} to {max(values):.1f})"
