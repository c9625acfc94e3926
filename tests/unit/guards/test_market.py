"""The market guard: gaps, spreads, and inputs that are no inputs."""

from __future__ import annotations

import math

import pytest

from engine.guards.market import MarketGuard, MarketReason


@pytest.mark.parametrize(
    ("bid", "ask", "previous", "expected"),
    [
        (1.0999, 1.1001, 1.1000, (False, None)),
        (1.0999, 1.1001, None, (False, None)),
        (0.9699, 0.9701, 1.0, (True, MarketReason.GAP)),
        (0.97, 0.97, 1.0, (True, MarketReason.GAP)),
        (48.5, 48.5, 50.0, (True, MarketReason.GAP)),
        (0.9949, 1.0051, 1.0, (True, MarketReason.LIQUIDITY)),
        (0.9951, 1.0049, 1.0, (False, None)),
        (1.0669, 1.0671, 1.1000, (True, MarketReason.GAP)),
        (1.1339, 1.1341, 1.1000, (True, MarketReason.GAP)),
        (1.0944, 1.1056, 1.1000, (True, MarketReason.LIQUIDITY)),
        (0.0, 1.1000, 1.1000, (True, MarketReason.LIQUIDITY)),
        (1.1000, 0.0, 1.1000, (True, MarketReason.LIQUIDITY)),
        (1.0000, 1.0200, 1.1000, (True, MarketReason.GAP)),
    ],
)
async def test_verdicts(
    bid: float, ask: float, previous: float | None, expected: tuple[bool, MarketReason | None]
) -> None:
    guard = MarketGuard(gap=0.03, spread=0.01)
    assert await guard.should_close_position("EURUSD", bid, ask, previous) == expected


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, True, "1"])
@pytest.mark.parametrize("field", ["bid", "ask", "previous_price"])
async def test_bad_input_is_refused_and_leaves_no_trace(field: str, bad: object) -> None:
    guard = MarketGuard()
    quote: dict[str, object] = {"bid": 1.0, "ask": 1.0, "previous_price": 1.0, field: bad}
    with pytest.raises(ValueError, match=field):
        await guard.should_close_position("EURUSD", **quote)  # type: ignore[arg-type]
    assert await guard.should_close_position("EURUSD", 1.0, 1.0, 1.0) == (False, None)
    assert (await guard.should_close_position("EURUSD", 0.9, 0.9, 1.0))[0]


async def test_a_crossed_quote_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ask=1\.0.*bid=1\.1"):
        await MarketGuard().should_close_position("EURUSD", 1.1, 1.0)


@pytest.mark.parametrize("thresholds", [{"gap": 0.0}, {"gap": 1.5}, {"spread": math.nan}])
def test_thresholds_that_make_no_sense_are_refused(thresholds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"gap|spread"):
        MarketGuard(**thresholds)
