"""Shocks to a price path: a gap, and a spread that blows out.

What the market does belongs to the prices, which all terminals share, not to a terminal's fault
plan: shock a path first, then build a :class:`~engine.simulated.market.Market` of it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

from engine.prices.path import PricePath

_Quote = tuple[float, float]


def with_gap(path: PricePath, at_ms: int, points: float) -> PricePath:
    """Return ``path`` shifted by ``points`` (negative: down) from the tick at ``at_ms`` on.

    Raises:
        ValueError: ``points`` is not finite, or a price would not stay above 0.
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
        ValueError: The span is empty, ``points`` is negative or not finite, or a bid would not
            stay above 0.
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
    for index, time_ms in enumerate(path.times_ms):
        if time_ms < from_ms or (until_ms is not None and time_ms >= until_ms):
            continue
        bid, ask = change(bids[index], asks[index])
        bids[index], asks[index] = round(bid, path.digits), round(ask, path.digits)
        if bids[index] <= 0:
            raise ValueError(
                f"{note}: the bid at {time_ms} would be {bids[index]!r}; prices must stay above 0"
            )
    return PricePath(
        symbol=path.symbol,
        digits=path.digits,
        source=f"{path.source}; {note}",
        times_ms=path.times_ms,
        bids=bids,
        asks=asks,
    )
