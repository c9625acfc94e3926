from __future__ import annotations

import sys

import pytest

from engine.clock import SystemClock
from engine.clock_quality import (
    SYNCHRONISED,
    UNKNOWN,
    UNSYNCHRONISED,
    ClockQuality,
    Timex,
    quality_of,
    system_quality,
)
from tests.unit.audit.samples import ManualClock


def _kernel(state: int, status: int = 0, maxerror: int = 0) -> ClockQuality:
    def adjtimex(timex: Timex) -> int:
        assert timex.modes == 0  # only asked, never set
        timex.status, timex.maxerror = status, maxerror
        return state

    return system_quality(adjtimex)


def test_a_clock_that_is_kept_has_a_bound() -> None:
    assert _kernel(0, 0x2001, 750) == ClockQuality(SYNCHRONISED, 750)
    assert _kernel(4, 0, 1) == ClockQuality(SYNCHRONISED, 1)


@pytest.mark.parametrize(("state", "status"), [(5, 0), (0, 0x40), (5, 0x40)])
def test_a_clock_that_nobody_keeps_has_none(state: int, status: int) -> None:
    assert _kernel(state, status, 16_000_000) == ClockQuality(UNSYNCHRONISED)


def test_a_kernel_that_refuses_knows_nothing() -> None:
    assert _kernel(-1) == ClockQuality(UNKNOWN)


def test_the_layout_is_the_kernels() -> None:
    if not sys.platform.startswith("linux"):
        assert system_quality() == ClockQuality(UNKNOWN)
        return
    quality = system_quality()
    assert quality.source in (SYNCHRONISED, UNSYNCHRONISED)
    # The kernel lets the bound grow to 16 s, and then calls the clock unsynchronised.
    assert quality.error_bound_us is None or 0 <= quality.error_bound_us <= 16_000_000


def test_the_systems_clock_asks_the_system_and_another_does_not_guess() -> None:
    assert quality_of(SystemClock()).source == system_quality().source
    assert quality_of(ManualClock()) == ClockQuality(UNKNOWN)


def test_a_clock_of_ones_own_may_say_how_good_it_is() -> None:
    class Kept(ManualClock):
        def quality(self) -> ClockQuality:
            return ClockQuality("PTP grandmaster", 1)

    assert quality_of(Kept()).facts() == {"source": "PTP grandmaster", "error_bound_us": 1}
