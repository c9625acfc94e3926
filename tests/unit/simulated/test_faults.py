"""Fault plans as data: what a plan may say, and the errors when it says something else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.simulated import Fault, FaultKind, FaultPlan
from engine.simulated.fault_injection import FaultInjector

PLAN: list[dict[str, Any]] = [
    {"kind": "timeout_after_execution", "ticket": 7, "times": 2},
    {"kind": "ipc_error_without_execution", "call": "positions_get", "code": -10005, "nth": 3},
    {"kind": "requote", "rate": 0.25, "symbol": "EURUSD"},
    {"kind": "late_deals", "reads": 2, "delay_ms": 300.0},
    {"kind": "partial_fill", "fraction": 0.3},
    {"kind": "market_closed", "until_ms": 5_000},
    {"kind": "hang", "call": "*", "seconds": 60.0},
]


def test_a_plan_survives_a_file() -> None:
    plan = FaultPlan.from_data(json.loads(json.dumps(PLAN)), seed=4)
    assert plan.to_data() == PLAN
    assert FaultPlan.from_data(plan.to_data(), seed=4) == plan
    assert plan.faults[2] == Fault(FaultKind.REQUOTE, rate=0.25, symbol="EURUSD")


def test_every_kind_can_be_stated() -> None:
    for kind in FaultKind:
        fault = Fault(kind, code=-1 if "ipc" in kind else 10006, reads=1)
        assert Fault(**fault.to_data()) == fault


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "nonsense"}, r"faults\[1\]: kind='nonsense' is no kind.*requote"),
        ({}, r"faults\[1\]: kind is missing"),
        ("hang", r"faults\[1\]='hang' must be a mapping"),
        ({"kind": "hang", "sceonds": 1}, r"faults\[1\]: 'sceonds' is no field.*seconds"),
        ({"kind": "hang", "ticket": "7"}, r"ticket='7' must be an integer"),
        ({"kind": "hang", "nth": 0}, "nth=0 must be 1 or above"),
        ({"kind": "hang", "times": True}, "times=True must be an integer"),
        ({"kind": "hang", "rate": 1.5}, "rate=1.5 must be a finite number, from 0 to 1.0"),
        ({"kind": "hang", "seconds": float("inf")}, "seconds=inf"),
        ({"kind": "hang", "symbol": 5}, "symbol=5 must be a name"),
        ({"kind": "hang", "call": "order_sned"}, "call='order_sned' is no function that can fail"),
        ({"kind": "hang", "call": "last_error"}, "call='last_error' is no function that can fail"),
        ({"kind": "requote", "call": "positions_get"}, "requote happens at 'order_send' only"),
        ({"kind": "partial_fill", "fraction": 0}, "fraction=0 must be above 0"),
        ({"kind": "retcode"}, "code=None: retcode needs the code"),
        ({"kind": "ipc_error_after_execution", "code": 10006}, "code=10006 is no error"),
        ({"kind": "placed_then_executed"}, "reads=None, delay_ms=None: placed_then_executed needs"),
        ({"kind": "lingering_position"}, "lingering_position needs"),
        ({"kind": "late_deals", "delay_ms": -1}, "delay_ms=-1"),
    ],
)
def test_a_wrong_entry_is_named(entry: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultPlan.from_data([{"kind": "hang"}, entry])


def test_wall_time_needs_a_wall_clock() -> None:
    plan = FaultPlan((Fault(FaultKind.LATE_DEALS, delay_ms=300.0),))
    with pytest.raises(ValueError, match=r"delay_ms=300.0 of late_deals.*wall_ms="):
        FaultInjector(plan, 0)
    FaultInjector(plan, 0, lambda: 0.0)


def fired(fault: Fault, calls: int = 6, seed: int = 0, **named: Any) -> list[int]:
    """At which of some calls a fault fires, counted from 1."""
    injector = FaultInjector(FaultPlan((fault,)), seed)
    call = {"ticket": None, "symbol": None, "now_ms": 0} | named
    return [n for n in range(1, calls + 1) if injector.fire("order_send", **call)[0] is fault]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [1]),
        ({"times": 3}, [1, 2, 3]),
        ({"nth": 4}, [4]),
        ({"nth": 4, "times": 2}, [4, 5]),
        ({"rate": 1.0}, [1, 2, 3, 4, 5, 6]),
        ({"rate": 1.0, "times": 2}, [1, 2]),
    ],
)
def test_when_a_fault_fires(fields: dict[str, Any], expected: list[int]) -> None:
    assert fired(Fault(FaultKind.REQUOTE, **fields)) == expected


def test_whom_a_fault_meets() -> None:
    fault = Fault(FaultKind.REQUOTE, ticket=7, symbol="EURUSD", times=9)
    assert fired(fault, 1, ticket=7, symbol="EURUSD") == [1]
    assert fired(fault, 1, ticket=8, symbol="EURUSD") == []
    assert fired(fault, 1, ticket=7, symbol="GBPUSD") == []
    assert fired(Fault(FaultKind.HANG, call="login"), 1) == []


def test_a_rate_is_drawn_from_the_seeds() -> None:
    fault = Fault(FaultKind.REQUOTE, rate=0.3)
    first = fired(fault, 1_000)
    assert fired(fault, 1_000) == first
    assert fired(fault, 1_000, seed=1) != first
    assert 240 < len(first) < 360


def test_until_ends_by_market_time() -> None:
    fault = Fault(FaultKind.MARKET_CLOSED, until_ms=100)
    assert fired(fault, 3, now_ms=99) == [1, 2, 3]
    assert fired(fault, 3, now_ms=100) == []


def test_one_answer_a_call_and_any_number_of_companions() -> None:
    frozen, requote = Fault(FaultKind.FROZEN), Fault(FaultKind.REQUOTE)
    late, hang = Fault(FaultKind.LATE_DEALS, reads=1), Fault(FaultKind.HANG)
    injector = FaultInjector(FaultPlan((frozen, late, requote, hang)), 0)
    assert injector.fire("order_send", None, None, 0) == (frozen, [late, hang])
    assert injector.fire("order_send", None, None, 0) == (requote, [])
    assert injector.fire("order_send", None, None, 0) == (None, [])
