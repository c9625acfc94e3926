from __future__ import annotations

import json
from typing import Any

import pytest

from actors.stress.summary import Spread
from tests.unit.stress.samples import summary


def test_a_run_without_fault_is_good() -> None:
    assert summary().is_good


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failed", 1),
        ("residual", 1),
        ("double_closes", 1),
        ("mismatches", 1),
        ("chain_ok", False),
        ("interrupted", True),
    ],
)
def test_one_fault_of_any_kind_makes_a_run_bad(name: str, value: Any) -> None:
    assert not summary(**{name: value}).is_good


def test_faults_of_the_same_number_do_not_cancel_out() -> None:
    assert not summary(failed=1, residual=1, double_closes=1, mismatches=1).is_good


def test_a_spread_has_no_figures_without_values() -> None:
    assert Spread.of([]) == Spread(None, None, None)


def test_a_spread_of_one_value_is_that_value() -> None:
    assert Spread.of([0.25]) == Spread(0.25, 0.25, 0.25)


def test_a_spread_has_median_99th_percentile_and_largest() -> None:
    assert Spread.of([float(n) for n in range(101)]) == Spread(50.0, 99.0, 100.0)


def test_the_figures_are_plain_json() -> None:
    data = summary().data()
    assert json.loads(json.dumps(data)) == data
    assert set(data["time_to_flat_s"]) == {"p50", "p99", "max"}
    assert set(data["trigger_to_first_order_ms"]) == {"p50", "p99"}
    assert data["versions"]["ray"]
