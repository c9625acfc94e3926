"""Triggers and requests: what is refused, what is filled in, and input from outside."""

from __future__ import annotations

import pickle
from dataclasses import fields
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.models import (
    BulkCloseResult,
    CloseRequest,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
    Severity,
)
from engine.outcomes import Outcome


def test_a_trigger_fills_in_what_is_absent() -> None:
    first = GuardTrigger("ann", GuardType.DRAWDOWN, "fell")
    second = GuardTrigger("ann", GuardType.DRAWDOWN, "fell")
    assert first.trigger_id != second.trigger_id
    assert first.severity is Severity.CRITICAL
    assert first.positions is None
    assert first.triggered_at.tzinfo is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""),
        ("reason", " "),
        ("trigger_id", ""),
        ("guard", "moon"),
        ("severity", "meh"),
        ("triggered_at", datetime(2026, 1, 1)),  # noqa: DTZ001  # the missing zone is the point
        ("positions", [("1", 1)]),
        ("inputs", {"equity": float("nan")}),
        ("inputs", {"ticks": [{"bid": float("inf")}]}),
        ("inputs", {"symbols": {"EURUSD"}}),
    ],
)
def test_a_bad_trigger_is_refused_by_field_and_value(field: str, value: object) -> None:
    arguments = {"user_id": "ann", "guard": "drawdown", "reason": "fell", field: value}
    with pytest.raises(ValueError, match=rf"^{field}"):
        GuardTrigger(**arguments)  # type: ignore[arg-type]


def test_a_trigger_from_outside_is_checked_by_pydantic() -> None:
    read = TypeAdapter(GuardTrigger).validate_json
    trigger = read(
        '{"user_id": "ann", "guard": "margin", "reason": "level 80 %", "trigger_id": "t",'
        ' "positions": [{"position_id": "1", "ticket": 1}], "triggered_at": "2026-01-02T03:04:05Z"}'
    )
    assert trigger == GuardTrigger(
        "ann",
        GuardType.MARGIN,
        "level 80 %",
        trigger_id="t",
        positions=(PositionRef("1", 1),),
        triggered_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    with pytest.raises(ValidationError, match="ticket"):
        read(
            '{"user_id": "a", "guard": "margin", "reason": "r",'
            ' "positions": [{"position_id": "1"}]}'
        )


def test_the_fingerprint_covers_ticket_and_volume_but_not_the_reason() -> None:
    def fingerprint(**more: object) -> str:
        fields: dict[str, object] = {
            "position_id": "p",
            "ticket": 1,
            "user_id": "ann",
            "close_reason": "x",
            **more,
        }
        return CloseRequest(**fields).fingerprint  # type: ignore[arg-type]

    same = [fingerprint(), fingerprint(close_reason="y"), fingerprint(close_price=1.0)]
    assert len(set(same)) == 1
    others = [fingerprint(ticket=2), fingerprint(volume=0.1), fingerprint(volume=0.2)]
    assert len({same[0], *others}) == 4


def result(pnl: float | None, number: int = 0, *, success: bool = True) -> CloseResult:
    outcome = Outcome.DONE if success else Outcome.REJECTED
    return CloseResult(
        success,
        "1",
        1,
        1.0,
        pnl,
        "x",
        datetime(2026, 1, 1, tzinfo=UTC),
        None,
        f"c{number}",
        outcome,
    )


def test_bulk_results_add_up_exactly() -> None:
    bulk = BulkCloseResult.of(
        "x", [result(0.1, n) for n in range(10)] + [result(None, 10, success=False)]
    )
    assert (bulk.total_positions, bulk.successful_closes, bulk.failed_closes) == (11, 10, 1)
    assert bulk.total_pnl == 1.0


def test_models_are_frozen_slotted_and_picklable() -> None:
    for model in (GuardTrigger("a", GuardType.MARKET, "r"), result(1.0), PositionRef("1", 1)):
        assert pickle.loads(pickle.dumps(model)) == model
        assert not hasattr(model, "__dict__")
        with pytest.raises(AttributeError):
            setattr(model, fields(model)[0].name, "x")
