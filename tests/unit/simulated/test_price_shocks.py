"""Gaps and wide spreads put into a path."""

from __future__ import annotations

import pytest

from engine.simulated.price_shocks import with_gap, with_wide_spread
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
