"""When a figure meets its goal, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.figures import Figure


def figure(
    values: Sequence[float],
    reference: Sequence[float],
    *,
    is_met_by: float = 1.1,
    or_within: float | None = None,
    is_paired: bool = False,
) -> Figure:
    return Figure(
        name="closing",
        unit="ms",
        values=values,
        reference_name="not closing",
        reference=reference,
        goal="<= 1.1",
        is_met_by=is_met_by,
        or_within=or_within,
        is_paired=is_paired,
    )


@pytest.mark.parametrize(
    ("value", "or_within", "is_met"),
    [
        (110.0, None, True),
        (111.0, None, False),
        (111.0, 11.0, True),
        (111.0, 10.9, False),
        (109.0, 1.0, True),  # either is enough
        (90.0, 0.0, True),
    ],
)
def test_the_goal_is_met_by_the_ratio_or_within_the_difference(
    value: float, or_within: float | None, is_met: bool
) -> None:
    assert figure([value], [100.0], or_within=or_within).is_met is is_met


def test_without_pairs_the_medians_are_compared() -> None:
    one = figure([300.0, 110.0, 100.0], [50.0, 100.0])
    assert one.ratio == pytest.approx(110 / 75)
    assert one.difference == pytest.approx(35)


def test_with_pairs_a_machine_that_slows_down_in_between_shifts_nothing() -> None:
    values, reference = [105.0, 210.0, 430.0], [100.0, 200.0, 400.0]
    paired = figure(values, reference, is_paired=True)
    assert paired.ratio == pytest.approx(1.05)
    assert paired.difference == pytest.approx(10)
    # Beside references of other moments the same values are other pairs.
    shifted = figure(values, [200.0, 400.0, 100.0], is_paired=True)
    assert shifted.ratio == pytest.approx(0.525)
    assert shifted.difference == pytest.approx(-95)


def test_pairs_that_lack_a_half_are_refused() -> None:
    with pytest.raises(ValueError, match=r"closing: 2 values and 1 references make no pairs"):
        figure([1.0, 2.0], [1.0], is_paired=True)


def test_the_text_shows_ratio_difference_and_whether_the_goal_is_met() -> None:
    assert figure([120.0], [100.0], or_within=10.0).lines() == [
        "closing",
        "  measured   120.0 (of 1: 120.0 to 120.0) ms",
        "  reference  100.0 (of 1: 100.0 to 100.0) ms  (not closing)",
        "  ratio      1.20, difference +20.0 ms  (goal <= 1.1: NOT met)",
    ]
    assert figure([100.0], [100.0]).lines()[-1] == "  ratio      1.00  (goal <= 1.1: met)"
