from __future__ import annotations

import pytest

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.plan import ACTS_END_S, FAULTS_END_S, ActKind, make_plan
from actors.simulation.timing import LATEST_EXECUTION_S
from engine.simulated.faults import EXECUTED_LATER, FaultKind


def test_a_seed_is_one_plan_and_another_seed_another() -> None:
    assert make_plan(7) == make_plan(7)
    assert make_plan(7) != make_plan(8)


@pytest.mark.parametrize(("accounts", "positions"), [(1, 1), (5, 5), (7, 9)])
def test_a_plan_has_what_it_was_asked_for(accounts: int, positions: int) -> None:
    plan = make_plan(3, accounts, positions)
    assert len(plan.accounts) == accounts
    assert {len(account.positions) for account in plan.accounts} == {positions}


@pytest.mark.parametrize(("name", "sizes"), [("accounts", (0, 5)), ("positions", (5, 0))])
def test_an_empty_plan_is_refused(name: str, sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{name}=0 must be 1 or more"):
        make_plan(1, *sizes)


def test_everything_is_over_when_faults_end() -> None:
    for seed in range(50):
        plan = make_plan(seed)
        assert all(act.at_s <= ACTS_END_S + 10 for act in plan.acts)
        assert all(fault.at_s + fault.lasts_s <= FAULTS_END_S + 1e-9 for fault in plan.faults)
        assert all(storm.ends_s <= FAULTS_END_S for storm in plan.storms)


def test_executions_come_no_later_than_the_settle_window_bears() -> None:
    late = [
        fault.terminal
        for seed in range(200)
        for fault in make_plan(seed).faults
        if fault.terminal is not None and fault.kind in EXECUTED_LATER
    ]
    assert late
    assert all(0 < (fault.delay_ms or 0) <= LATEST_EXECUTION_S * 1e3 for fault in late)


def test_every_kind_of_fault_and_of_act_is_planned_by_some_seed() -> None:
    plans = [make_plan(seed) for seed in range(300)]
    kinds = {fault.kind for plan in plans for fault in plan.faults}
    kinds |= {storm.kind for plan in plans for storm in plan.storms}
    # Not planned: what follows from a long hang, and from a journal that is away for long.
    follows = {Disturbance.HANG_ENDED, Disturbance.RECORDS_AT_BOUND}
    assert kinds == {*FaultKind, *Disturbance} - follows
    assert {act.kind for plan in plans for act in plan.acts} == set(ActKind)


def test_a_repeated_act_names_an_earlier_one() -> None:
    for seed in range(50):
        for act in make_plan(seed).acts:
            if act.kind in (ActKind.REPEAT, ActKind.CONFLICT):
                assert 0 <= act.of < act.number
