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

HANGING = {FaultKind.HANG, FaultKind.HANG_AFTER_EXECUTION}
HIDING = {FaultKind.LATE_DEALS, FaultKind.LINGERING_POSITION}
LATER = {kind for kind in FaultKind if kind.endswith("_then_executed")}
IPC = {kind for kind in FaultKind if kind.startswith("ipc_error")}
GONE = {kind for kind in FaultKind if kind.startswith("gone_by")}
KINDS_OF: dict[str, set[FaultKind]] = {
    "code": IPC | {FaultKind.RETCODE},
    "reads": LATER | HIDING,
    "delay_ms": LATER | HIDING,
    "until_ms": {FaultKind.MARKET_CLOSED},
    "seconds": set(FaultKind) - GONE - HIDING,
    "fraction": {FaultKind.PARTIAL_FILL},
}


def sample(kind: FaultKind) -> Fault:
    """A fault with the fields that its kind cannot do without."""
    needs: dict[str, Any] = {}
    if kind in LATER | HIDING:
        needs["reads"] = 1
    if kind in HANGING:
        needs["seconds"] = 5.0
    if kind is FaultKind.RETCODE:
        needs["code"] = 10006
    return Fault(kind, **needs)


SAMPLES = [sample(kind) for kind in FaultKind]


def test_a_plan_survives_a_file() -> None:
    plan = FaultPlan.from_data(PLAN, seed=4)
    assert plan.to_data() == {"seed": 4, "faults": PLAN}
    assert FaultPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan
    assert plan.faults[2] == Fault(FaultKind.REQUOTE, rate=0.25, symbol="EURUSD")


def test_the_seed_is_the_datas_unless_another_is_given() -> None:
    assert FaultPlan.from_data([]).seed == 0
    assert FaultPlan.from_data({"faults": []}).seed == 0
    assert FaultPlan.from_data({"faults": [], "seed": 5}).seed == 5
    assert FaultPlan.from_data({"faults": [], "seed": 5}, seed=0).seed == 0


def test_every_kind_can_be_stated() -> None:
    assert {fault.kind for fault in SAMPLES} == set(FaultKind)
    for fault in SAMPLES:
        assert Fault(**fault.to_data()) == fault


EVERYWHERE = {
    "ticket": 7,
    "symbol": "EURUSD",
    "nth": 2,
    "rate": 0.5,
    "times": 3,
}
SPECIAL = {
    "code": -10000,
    "reads": 2,
    "delay_ms": 300.0,
    "until_ms": 5_000,
    "seconds": 1.0,
    "fraction": 0.25,
}


@pytest.mark.parametrize("fault", SAMPLES, ids=lambda fault: fault.kind)
def test_a_field_belongs_to_its_kinds_and_is_refused_by_the_others(fault: Fault) -> None:
    Fault(**fault.to_data() | EVERYWHERE)
    for name, value in SPECIAL.items():
        entry = fault.to_data() | {name: value}
        if fault.kind in KINDS_OF[name]:
            assert getattr(Fault(**entry), name) == value
        else:
            with pytest.raises(ValueError, match=f"{name}={value} does not belong to {fault.kind}"):
                Fault(**entry)


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
        ({"kind": "hang", "call": ["login"]}, r"call=\['login'\] must be the name of a function"),
        ({"kind": "hang"}, "seconds=0.0: hang needs how long it waits"),
        ({"kind": "hang_after_execution"}, "seconds=0.0: hang_after_execution needs how long"),
        ({"kind": "requote", "code": 10004}, "code=10004 does not belong to requote"),
        ({"kind": "restart", "code": 0}, "code=0 does not belong to restart"),
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
        FaultPlan.from_data([{"kind": "hang", "seconds": 1.0}, entry])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, r"faults=5 must be a list of mappings.*\[\{'kind': 'requote'\}\]"),
        (None, "faults=None must be a list"),
        ("requote", "faults='requote' must be a list"),
        (b"requote", "faults=b'requote' must be a list"),
        ([None], r"faults\[0\]=None must be a mapping"),
        ({"kind": "requote"}, "'kind' is no field of a fault plan; it has faults and seed"),
        ({"seed": 5}, "faults is missing"),
        ({"faults": {"kind": "requote"}}, "faults={'kind': 'requote'} must be a list"),
        ({"faults": [], "seed": "5"}, "seed='5' of a fault plan must be an integer"),
        ({"faults": [], "seed": True}, "seed=True of a fault plan"),
    ],
)
def test_a_wrong_plan_is_named(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultPlan.from_data(data)


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
    assert fired(Fault(FaultKind.HANG, call="login", seconds=1.0), 1) == []


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
    late, hang = Fault(FaultKind.LATE_DEALS, reads=1), Fault(FaultKind.HANG, seconds=1.0)
    injector = FaultInjector(FaultPlan((frozen, late, requote, hang)), 0)
    assert injector.fire("order_send", None, None, 0) == (frozen, [late, hang])
    assert injector.fire("order_send", None, None, 0) == (requote, [])
    assert injector.fire("order_send", None, None, 0) == (None, [])
