"""Volumes in whole steps."""

from __future__ import annotations

import pytest

from engine.brokers.mt5_orders import whole_steps


@pytest.mark.parametrize(
    ("volume", "step", "largest", "expected"),
    [
        (0.3 - 0.1, 0.01, 100.0, 0.2),
        (0.1 + 0.2, 0.01, 100.0, 0.3),
        (0.1 + 0.7, 0.1, 100.0, 0.8),
        (0.155, 0.1, 100.0, 0.1),
        (0.019999, 0.01, 100.0, 0.01),
        (0.009, 0.01, 100.0, 0.0),
        (7.0, 1.0, 100.0, 7.0),
        (0.07, 0.05, 100.0, 0.05),
        (1234.567891, 1e-06, 5000.0, 1234.567891),
        (250.0, 0.01, 100.0, 100.0),
        (250.0, 0.03, 100.0, 99.99),
        (250.0, 0.01, 0.0, 250.0),
        (0.123, 0.0, 100.0, 0.123),
    ],
)
def test_rounding_is_down_exact_and_bounded(
    volume: float, step: float, largest: float, expected: float
) -> None:
    assert whole_steps(volume, step, largest) == expected
