"""Volumes that are sent: whole steps, never more than what was asked for."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.brokers.mt5_orders import whole_steps

STEPS = st.sampled_from([0.001, 0.01, 0.1, 0.05, 0.25, 1.0, 5.0])
LARGEST = 1e9


def exactly(number: float) -> Fraction:
    return Fraction(repr(number))


@given(volume=st.floats(0.0, 100_000.0, allow_subnormal=False), step=STEPS)
def test_a_rounded_volume_is_whole_steps_and_not_above_what_was_asked(
    volume: float, step: float
) -> None:
    rounded = whole_steps(volume, step, LARGEST)
    steps = exactly(rounded) / exactly(step)
    assert steps.denominator == 1
    assert 0 <= exactly(rounded) <= exactly(volume) + exactly(step) / 1_000_000
    assert exactly(volume) - exactly(rounded) < exactly(step)


@given(count=st.integers(0, 100_000), parts=st.integers(0, 100_000), step=STEPS)
def test_binary_dust_of_a_subtraction_is_no_step(count: int, parts: int, step: float) -> None:
    taken = min(parts, count)
    left = float(exactly(step) * count) - float(exactly(step) * taken)
    assert exactly(whole_steps(left, step, LARGEST)) == exactly(step) * (count - taken)


@given(volume=st.floats(0.0, 1_000.0), step=STEPS, most=st.integers(1, 100))
def test_the_largest_volume_is_never_exceeded(volume: float, step: float, most: int) -> None:
    largest = float(exactly(step) * most)
    assert whole_steps(volume, step, largest) <= largest
