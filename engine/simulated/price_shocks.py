"""Shocks to a price path: a gap, and a spread that blows out.

What the market does belongs to the prices, which all terminals share, not to a terminal's fault
plan: shock a path first, then build a :class:`~engine.simulated.market.Market` of it. Shocks are
data as faults are: a :class:`PriceShock` says what happens when, and a scenario file can hold a
list of them. There is no chance in a shock; prices that are random have their own seed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from engine.prices.path import PricePath

_Quote = tuple[float, float]


class ShockKind(StrEnum):
    """What happens to the prices."""

    GAP = "gap"
    """They are shifted by ``points`` (negative: down) from ``at_ms`` on."""
    WIDE_SPREAD = "wide_spread"
    """``points`` more lie between bid and ask from ``at_ms`` on, for ``duration_ms``."""


@dataclass(frozen=True, slots=True)
class PriceShock:
    """One shock to a price path.

    Raises:
        ValueError: A field has a value that it cannot have; the message names both.
    """

    kind: ShockKind
    at_ms: int
    """Market time from which the prices change, as the path counts it."""
    points: float
    """How far: in points of the symbol, ``10 ** -digits`` each."""
    duration_ms: int | None = None
    """For how long, in market time; a wide spread needs it, a gap stays."""

    def __post_init__(self) -> None:
        """Check every field, as shocks come from files."""
        try:
            kind = ShockKind(self.kind)
        except ValueError:
            kinds = ", ".join(ShockKind)
            raise ValueError(
                f"kind={self.kind!r} is no kind of price shock; take one of {kinds}"
            ) from None
        object.__setattr__(self, "kind", kind)
        if isinstance(self.at_ms, bool) or not isinstance(self.at_ms, int):
            raise ValueError(f"at_ms={self.at_ms!r} must be an integer: market time in ms")
        if isinstance(self.points, bool) or not isinstance(self.points, (int, float)):
            raise ValueError(f"points={self.points!r} must be a number")
        _require_finite(self.points)
        if kind is ShockKind.GAP:
            if self.duration_ms is not None:
                raise ValueError(
                    f"duration_ms={self.duration_ms!r} does not belong to gap, which stays; "
                    f"remove it, or add a gap back"
                )
            return
        if self.points < 0:
            raise ValueError(
                f"points={self.points!r} must be 0 or above: a spread can only be widened"
            )
        duration = self.duration_ms
        if isinstance(duration, bool) or not isinstance(duration, int) or duration <= 0:
            raise ValueError(
                f"duration_ms={duration!r} must be an integer above 0: {kind} needs it"
            )

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PriceShock:
        """Build a shock from plain data, a mapping of the fields' names to their values.

        Raises:
            ValueError: A field is unknown, missing or wrong; the message names it.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"price shock {data!r} must be a mapping of fields to values")
        known = [field.name for field in fields(cls)]
        for key in data:
            if key not in known:
                raise ValueError(
                    f"{key!r} is no field of a price shock; fields are {', '.join(known)}"
                )
        for name in ("kind", "at_ms", "points"):
            if name not in data:
                raise ValueError(f"{name} is missing in price shock {dict(data)!r}")
        return cls(**data)

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data, ready for JSON."""
        data: dict[str, Any] = {"kind": self.kind.value, "at_ms": self.at_ms, "points": self.points}
        if self.duration_ms is not None:
            data["duration_ms"] = self.duration_ms
        return data


def with_shocks(path: PricePath, shocks: Iterable[PriceShock | Mapping[str, Any]]) -> PricePath:
    """Return ``path`` with every shock put into it, one after the other; they add up.

    Args:
        path: The prices; they stay as they are.
        shocks: The shocks, or the same as plain data.

    Raises:
        ValueError: A shock is wrong or meets no tick of the path, or a price would not stay
            above 0; the message gives its place.
    """
    if isinstance(shocks, (str, bytes, Mapping)) or not isinstance(shocks, Iterable):
        raise ValueError(
            f"shocks={shocks!r} must be a list of mappings, one for each shock, such as "
            f"[{{'kind': 'gap', 'at_ms': {path.times_ms[0]}, 'points': -500}}]"
        )
    for place, entry in enumerate(shocks):
        try:
            shock = entry if isinstance(entry, PriceShock) else PriceShock.from_data(entry)
            path = _with_shock(path, shock)
        except ValueError as error:
            raise ValueError(f"shocks[{place}]: {error}") from None
    return path


def _with_shock(path: PricePath, shock: PriceShock) -> PricePath:
    if shock.duration_ms is None:
        return with_gap(path, shock.at_ms, shock.points)
    return with_wide_spread(path, shock.at_ms, shock.at_ms + shock.duration_ms, shock.points)


def with_gap(path: PricePath, at_ms: int, points: float) -> PricePath:
    """Return ``path`` shifted by ``points`` (negative: down) from the tick at ``at_ms`` on.

    Raises:
        ValueError: ``points`` is not finite, no tick is changed, or a price would not stay
            above 0.
    """
    _require_finite(points)
    shift = points * 10.0**-path.digits

    def gapped(bid: float, ask: float) -> _Quote:
        return bid + shift, ask + shift

    return _changed(path, at_ms, None, gapped, f"gap of {points:g} points at {at_ms}")


def with_wide_spread(path: PricePath, from_ms: int, until_ms: int, points: float) -> PricePath:
    """Return ``path`` with ``points`` more between bid and ask, half on each side.

    Args:
        path: The prices.
        from_ms: Time of the first tick that is changed.
        until_ms: Time of the first tick that no longer is.
        points: What the spread grows by.

    Raises:
        ValueError: The span is empty or holds no tick, ``points`` is negative or not finite, or
            a bid would not stay above 0.
    """
    _require_finite(points)
    if points < 0:
        raise ValueError(f"points={points!r} must be 0 or above: a spread can only be widened")
    if from_ms >= until_ms:
        raise ValueError(f"from_ms={from_ms!r} must be before until_ms={until_ms!r}")
    half = points * 10.0**-path.digits / 2

    def widened(bid: float, ask: float) -> _Quote:
        return bid - half, ask + half

    note = f"spread of {points:g} points more from {from_ms} until {until_ms}"
    return _changed(path, from_ms, until_ms, widened, note)


def _require_finite(points: float) -> None:
    if not math.isfinite(points):
        raise ValueError(f"points={points!r} must be finite")


def _changed(
    path: PricePath,
    from_ms: int,
    until_ms: int | None,
    change: Callable[[float, float], _Quote],
    note: str,
) -> PricePath:
    bids, asks = array("d", path.bids), array("d", path.asks)
    meets_a_tick = False
    for index, time_ms in enumerate(path.times_ms):
        if time_ms < from_ms or (until_ms is not None and time_ms >= until_ms):
            continue
        meets_a_tick = True
        bid, ask = change(bids[index], asks[index])
        bids[index], asks[index] = round(bid, path.digits), round(ask, path.digits)
        if bids[index] <= 0:
            raise ValueError(
                f"{note}: the bid at {time_ms} would be {bids[index]!r}; prices must stay above 0"
            )
    if not meets_a_tick:
        raise ValueError(
            f"{note}: no tick is there; the path of {path.symbol} goes from {path.times_ms[0]} "
            f"to {path.times_ms[-1]}"
        )
    return PricePath(
        symbol=path.symbol,
        digits=path.digits,
        source=f"{path.source}; {note}",
        times_ms=path.times_ms,
        bids=bids,
        asks=asks,
    )
