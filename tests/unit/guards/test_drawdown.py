"""The drawdown guard: lines, and inputs that are no inputs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.guards.drawdown import DrawdownGuard
from engine.models import Severity


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        (1000.0, None),
        (901.0, None),
        (900.0, Severity.WARNING),
        (801.0, Severity.WARNING),
        (800.0, Severity.CRITICAL),
        (0.0, Severity.CRITICAL),
        (1200.0, None),
    ],
)
async def test_lines(equity: float, expected: Severity | None) -> None:
    alert = await DrawdownGuard(0.10, 0.20).check_drawdown(equity, 1000.0, "ann")
    assert (alert and alert.type) == expected


async def test_an_alert_says_what_it_saw() -> None:
    alert = await DrawdownGuard().check_drawdown(750.0, 1000.0, "ann")
    assert alert is not None
    assert (alert.user_id, alert.equity, alert.peak) == ("ann", 750.0, 1000.0)
    assert (alert.drawdown, alert.threshold) == (0.25, 0.20)
    assert alert.reason == "drawdown 25.00% has reached critical (20%)"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.01, True, "1", None])
@pytest.mark.parametrize("field", ["equity", "peak"])
async def test_bad_input_is_refused_and_leaves_no_trace(field: str, bad: object) -> None:
    guard = DrawdownGuard()
    reading: dict[str, object] = {"equity": 700.0, "peak": 1000.0, field: bad}
    with pytest.raises(ValueError, match=f"{field}="):
        await guard.check_drawdown(user_id="ann", **reading)  # type: ignore[arg-type]
    alert = await guard.check_drawdown(700.0, 1000.0, "ann")
    assert alert is not None, "the guard has not gone blind"
    assert await guard.check_drawdown(1000.0, 1000.0, "ann") is None


async def test_an_account_that_never_had_anything_has_nothing_to_lose() -> None:
    assert await DrawdownGuard().check_drawdown(0.0, 0.0, "ann") is None


@pytest.mark.parametrize(("warning", "critical"), [(0.2, 0.1), (0.2, 0.2), (0.0, 0.1), (0.1, 1.1)])
def test_thresholds_that_make_no_sense_are_refused(warning: float, critical: float) -> None:
    with pytest.raises(ValueError, match=r"warning|critical"):
        DrawdownGuard(warning, critical)


@given(
    equity=st.floats(0, 1e12),
    peak=st.floats(0.01, 1e12),
    less=st.floats(0, 1),
)
async def test_less_equity_never_calms_the_guard(equity: float, peak: float, less: float) -> None:
    order = {None: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
    guard = DrawdownGuard()
    before = await guard.check_drawdown(equity, peak, "ann")
    after = await guard.check_drawdown(equity * less, peak, "ann")
    assert order[after.type if after else None] >= order[before.type if before else None]
