"""How a venue treats what arrives: stated as data, drawn anew for every request from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from random import Random
from typing import Any, ClassVar

_PLACED = 10008
_TIMEOUT = 10012
_SMALLEST_PART = 0.1


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one request."""

    delay_s: float
    """From its arrival to its execution, or, when it is late, from its answer to that."""
    repeated_after_s: float | None
    """From its execution to that of its duplicate; ``None``: it is delivered once."""
    answer_first: int | None
    """The return code that is answered before the execution; ``None``: answered after it."""
    is_lost: bool
    """Whether the answer is never sent."""
    cuts: bool
    """Whether a lost answer cuts the connection; else the client hears nothing."""
    share: float
    """The part of a market order's volume that is there to be had."""


@dataclass(frozen=True, slots=True)
class VenueBehaviour:
    """The venue's manners, in wall time. Rates are the shares of the requests that it befalls.

    Every request's fate depends on the seed, the account and the request's number in that
    account alone. A request is never both late and lost; it can be duplicated or filled in part
    besides.

    Raises:
        ValueError: A field has a value that it cannot have; the message names both.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    latency_ms: float = 0.0
    """From a request's arrival to its answer, at least; market time moves on as much."""
    execution_delay_ms: tuple[float, float] = (0.0, 0.0)
    """From a request's arrival to its execution, least and most, though its client may be dead."""
    rate_late: float = 0.0
    """Answered 10012 (timed out) or 10008 (placed), equally likely, and executed after that."""
    late_ms: float = 1_000.0
    """From such an answer to the execution, at most."""
    rate_lost_answers: float = 0.0
    """Executed, and never answered."""
    share_cut: float = 0.5
    """Of the lost answers, those that cut the connection; the others leave the client hanging."""
    rate_duplicated: float = 0.0
    """Delivered twice, as a network might, and answered twice."""
    rate_partial: float = 0.0
    """Filled in part only (10010)."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field, as behaviours come from files."""
        low_high = tuple(self.execution_delay_ms)
        if len(low_high) != 2 or not all(map(_is_duration, low_high)) or low_high[0] > low_high[1]:
            raise ValueError(
                f"execution_delay_ms={self.execution_delay_ms!r} must be two numbers of "
                "milliseconds, 0 or above, the lower first"
            )
        object.__setattr__(self, "execution_delay_ms", low_high)
        for name in ("latency_ms", "late_ms"):
            if not _is_duration(getattr(self, name)):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} must be milliseconds, finite, 0 or above"
                )
        for name in (
            "rate_late",
            "rate_lost_answers",
            "share_cut",
            "rate_duplicated",
            "rate_partial",
        ):
            value = getattr(self, name)
            if not (_is_duration(value) and value <= 1):
                raise ValueError(f"{name}={value!r} must be a number from 0 to 1")
        if self.rate_late + self.rate_lost_answers > 1:
            raise ValueError(
                f"rate_late={self.rate_late!r} and rate_lost_answers={self.rate_lost_answers!r} "
                "are above 1 together; no request is both"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"seed={self.seed!r} of a behaviour must be an integer")

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> VenueBehaviour:
        """Build a behaviour from plain data, its keys the fields.

        Raises:
            ValueError: A key is no field, or a value is wrong; the message names it.
        """
        known = [field.name for field in fields(cls)]
        for key in data:
            if key not in known:
                raise ValueError(
                    f"{key!r} is no field of a venue's behaviour; it has {', '.join(known)}"
                )
        return cls(**data)

    def to_data(self) -> dict[str, Any]:
        """Return all fields as plain data, ready for JSON."""
        data = asdict(self)
        data["execution_delay_ms"] = list(self.execution_delay_ms)
        return data

    def fate(self, login: int, number: int) -> Fate:
        """Draw what happens to an account's request, counted from 1."""
        # Every draw is made whatever the rates are: raising one rate leaves the others' alone.
        random = Random(f"{self.seed}/{login}/{number}")
        low, high = self.execution_delay_ms
        delay_ms = low + (high - low) * random.random()
        repeated_ms = low + (high - low) * random.random()
        which = random.random()
        is_late = which < self.rate_late
        is_lost = not is_late and which < self.rate_late + self.rate_lost_answers
        late_ms = self.late_ms * random.random()
        first = _TIMEOUT if random.random() < 0.5 else _PLACED
        cuts = random.random() < self.share_cut
        is_repeated = random.random() < self.rate_duplicated
        is_partial = random.random() < self.rate_partial
        part = _SMALLEST_PART + (1 - 2 * _SMALLEST_PART) * random.random()
        return Fate(
            delay_s=(late_ms if is_late else delay_ms) / 1000,
            repeated_after_s=repeated_ms / 1000 if is_repeated else None,
            answer_first=first if is_late else None,
            is_lost=is_lost,
            cuts=is_lost and cuts,
            share=part if is_partial else 1.0,
        )


def _is_duration(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )
