"""The venue's manners: checked as data, drawn from the seed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.simulated.served import VenueBehaviour

MANNERS = VenueBehaviour(
    latency_ms=20,
    execution_delay_ms=(10, 400),
    rate_late=0.2,
    rate_lost_answers=0.2,
    rate_duplicated=0.3,
    rate_partial=0.3,
    seed=7,
)


def test_a_request_meets_the_same_fate_in_every_run() -> None:
    fates = [MANNERS.fate(1, number) for number in range(1, 50)]
    assert fates == [VenueBehaviour(**MANNERS.to_data()).fate(1, number) for number in range(1, 50)]
    assert fates != [MANNERS.fate(2, number) for number in range(1, 50)]


def test_rates_are_kept() -> None:
    fates = [MANNERS.fate(1, number) for number in range(2_000)]
    assert sum(f.answer_first is not None for f in fates) == pytest.approx(400, abs=80)
    assert sum(f.is_lost for f in fates) == pytest.approx(400, abs=80)
    assert sum(f.cuts for f in fates) == pytest.approx(200, abs=60)
    assert sum(f.repeated_after_s is not None for f in fates) == pytest.approx(600, abs=90)
    assert sum(f.share < 1 for f in fates) == pytest.approx(600, abs=90)
    assert not any(f.is_lost and f.answer_first is not None for f in fates)
    assert {f.answer_first for f in fates} == {None, 10008, 10012}


def test_delays_stay_within_their_bounds() -> None:
    on_time = [f for n in range(500) if (f := MANNERS.fate(1, n)).answer_first is None]
    assert 0.01 <= min(f.delay_s for f in on_time) < 0.03
    assert 0.38 < max(f.delay_s for f in on_time) <= 0.4


def test_a_calm_venue_does_nothing_to_anybody() -> None:
    fate = VenueBehaviour().fate(1, 1)
    assert (fate.delay_s, fate.repeated_after_s, fate.answer_first) == (0.0, None, None)
    assert (fate.is_lost, fate.cuts, fate.share) == (False, False, 1.0)


def test_changing_one_rate_leaves_the_other_draws_alone() -> None:
    more = VenueBehaviour(**{**MANNERS.to_data(), "rate_partial": 0.9})
    for number in range(100):
        one, other = MANNERS.fate(1, number), more.fate(1, number)
        assert (one.delay_s, one.is_lost, one.cuts) == (other.delay_s, other.is_lost, other.cuts)


def test_data_goes_both_ways() -> None:
    assert VenueBehaviour.from_data(json.loads(json.dumps(MANNERS.to_data()))) == MANNERS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latency_ms", -1),
        ("late_ms", float("nan")),
        ("execution_delay_ms", (5, 1)),
        ("execution_delay_ms", (1,)),
        ("execution_delay_ms", (-1, 1)),
        ("rate_late", 1.1),
        ("rate_lost_answers", -0.1),
        ("share_cut", True),
        ("rate_duplicated", "often"),
        ("rate_partial", float("inf")),
        ("seed", 1.5),
    ],
)
def test_a_wrong_value_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}="):
        VenueBehaviour(**{field: value})


def test_no_request_can_be_late_and_lost() -> None:
    with pytest.raises(ValueError, match="above 1 together"):
        VenueBehaviour(rate_late=0.6, rate_lost_answers=0.5)


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ValueError, match="'rate_of_chaos' is no field"):
        VenueBehaviour.from_data({"rate_of_chaos": 1})
