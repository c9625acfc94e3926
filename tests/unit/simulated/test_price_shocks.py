"""Gaps and wide spreads put into a path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.simulated.price_shocks import (
    PriceShock,
    ShockKind,
    with_gap,
    with_shocks,
    with_wide_spread,
)
from tests.unit.simulated.arranging import Quote, opened, path, terminal

QUIET = path("EURUSD", [(1.1, 1.1002)] * 4)


def quotes(shocked: object) -> list[Quote]:
    return list(zip(shocked.bids, shocked.asks, strict=True))  # type: ignore[attr-defined]


def test_a_gap_stays() -> None:
    shocked = with_gap(QUIET, 2_000, -500)
    assert quotes(shocked) == [(1.1, 1.1002)] * 2 + [(1.095, 1.0952)] * 2
    assert shocked.source == "test; gap of -500 points at 2000"
    assert quotes(QUIET) == [(1.1, 1.1002)] * 4


def test_a_wide_spread_passes() -> None:
    shocked = with_wide_spread(QUIET, 1_000, 3_000, 400)
    assert quotes(shocked) == [(1.1, 1.1002), *[(1.098, 1.1022)] * 2, (1.1, 1.1002)]


def test_a_stop_is_filled_beyond_the_gap() -> None:
    mt5 = terminal(with_gap(QUIET, 2_000, -500))
    ticket = opened(mt5, sl=1.099)
    while mt5.advance():
        pass
    deal = mt5.book.deals_by_position[ticket][-1]
    assert (deal.reason, deal.price) == (mt5.DEAL_REASON_SL, 1.095)


@pytest.mark.parametrize("points", [float("nan"), float("inf")])
def test_points_must_be_finite(points: float) -> None:
    with pytest.raises(ValueError, match="points="):
        with_gap(QUIET, 0, points)


def test_bad_spans_and_prices_are_refused() -> None:
    with pytest.raises(ValueError, match="from_ms=5 must be before until_ms=5"):
        with_wide_spread(QUIET, 5, 5, 10)
    with pytest.raises(ValueError, match="points=-1"):
        with_wide_spread(QUIET, 0, 5, -1)
    with pytest.raises(ValueError, match="the bid at 0 would be"):
        with_gap(QUIET, 0, -200_000)
    with pytest.raises(ValueError, match=r"gap of 5 points at 3001: no tick is there.*0 to 3000"):
        with_gap(QUIET, 3_001, 5)
    with pytest.raises(ValueError, match="no tick is there; the path of EURUSD"):
        with_wide_spread(QUIET, 1_001, 2_000, 5)


GAP = {"kind": "gap", "at_ms": 2_000, "points": -500}
SPREAD = {"kind": "wide_spread", "at_ms": 1_000, "points": 400.0, "duration_ms": 2_000}


@pytest.mark.parametrize("data", [GAP, SPREAD])
def test_a_shock_survives_a_file(data: dict[str, Any]) -> None:
    shock = PriceShock.from_data(json.loads(json.dumps(data)))
    assert shock.to_data() == data
    assert PriceShock.from_data(shock.to_data()) == shock


def test_shocks_as_data_do_what_the_functions_do() -> None:
    shocked = with_shocks(QUIET, [GAP, PriceShock(ShockKind.WIDE_SPREAD, 1_000, 400.0, 2_000)])
    by_hand = with_wide_spread(with_gap(QUIET, 2_000, -500), 1_000, 3_000, 400)
    assert shocked == by_hand
    assert quotes(shocked) == [(1.1, 1.1002), (1.098, 1.1022), (1.093, 1.0972), (1.095, 1.0952)]
    assert with_shocks(QUIET, []) is QUIET


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, r"price shock 5 must be a mapping"),
        ({}, "kind is missing"),
        ({"kind": "gap", "at_ms": 0}, "points is missing"),
        (GAP | {"size": 5}, "'size' is no field of a price shock; fields are kind, at_ms, points"),
        (GAP | {"kind": "crash"}, "kind='crash' is no kind of price shock; take one of gap"),
        (GAP | {"at_ms": 1.5}, "at_ms=1.5 must be an integer"),
        (GAP | {"at_ms": True}, "at_ms=True must be an integer"),
        (GAP | {"points": "5"}, "points='5' must be a number"),
        (GAP | {"points": float("inf")}, "points=inf must be finite"),
        (GAP | {"duration_ms": 5}, "duration_ms=5 does not belong to gap"),
        (SPREAD | {"duration_ms": None}, "duration_ms=None must be an integer above 0"),
        (SPREAD | {"duration_ms": 0}, "duration_ms=0 must be an integer above 0"),
        (SPREAD | {"points": -1}, "points=-1 must be 0 or above"),
        (GAP | {"at_ms": 9_000}, "no tick is there"),
        (GAP | {"points": -200_000}, "prices must stay above 0"),
    ],
)
def test_a_wrong_shock_is_named(entry: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"shocks\[1\]: .*{message}"):
        with_shocks(QUIET, [GAP, entry])


@pytest.mark.parametrize("shocks", [None, 5, "gap", GAP])
def test_shocks_are_a_list(shocks: Any) -> None:
    with pytest.raises(ValueError, match="must be a list of mappings, one for each shock"):
        with_shocks(QUIET, shocks)
