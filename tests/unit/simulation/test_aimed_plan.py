from __future__ import annotations

from dataclasses import replace

import pytest

from actors.simulation.aimed_kills import Mark
from actors.simulation.aimed_plan import has_aimed_faults, plan_aimed_kills, plan_commit_faults
from actors.simulation.fault_kinds import AUDIT_DEATHS, Disturbance
from actors.simulation.plan import FAULTS_END_S, make_plan

USERS = ("user-1", "user-2")
ACTS = [(3.0, "user-1"), (9.0, "user-2")]


def test_every_mark_and_every_kind_is_drawn() -> None:
    drawn = [f for seed in range(300) for f in plan_aimed_kills(seed, USERS, ACTS, FAULTS_END_S)]
    aims = [fault.aim for fault in drawn if fault.aim is not None]
    assert {aim.mark for aim in aims} == set(Mark)
    assert {aim.kind for aim in aims} == {
        Disturbance.KILL_ACCOUNT_AT_STEP,
        Disturbance.KILL_SUPERVISOR_AT_STEP,
        Disturbance.KILL_AUDIT_AT_STEP,
        Disturbance.KILL_NEWBORN,
    }
    assert {aim.victim for aim in aims} == {"user-1", "user-2", "supervisor", "audit"}
    assert all((aim.steps > 0) != (aim.kind is Disturbance.KILL_NEWBORN) for aim in aims)
    assert {aim.lives for aim in aims} == {1, 2, 3}
    assert all(0.0 <= fault.at_s <= FAULTS_END_S - 3.0 for fault in drawn)


def test_deaths_around_commits_and_failing_commits_are_drawn() -> None:
    drawn = [f for seed in range(300) for f in plan_commit_faults(seed, ACTS, FAULTS_END_S)]
    assert {fault.kind for fault in drawn} == {*AUDIT_DEATHS, Disturbance.JOURNAL_FAILING}
    assert {fault.commits for fault in drawn} == set(range(6))
    assert all(fault.at_s + fault.lasts_s <= FAULTS_END_S for fault in drawn)


@pytest.mark.parametrize("seed", [3, 4, 4999, 8138])
def test_two_seeds_of_five_have_none(seed: int) -> None:
    assert not has_aimed_faults(seed)
    faults = make_plan(seed).faults
    assert all(fault.aim is None for fault in faults)
    assert not {fault.kind for fault in faults} & {*AUDIT_DEATHS, Disturbance.JOURNAL_FAILING}


def test_the_rest_of_a_plan_does_not_depend_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with_them = make_plan(5)
    monkeypatch.setattr("actors.simulation.plan.plan_aimed_kills", lambda *_: ())
    monkeypatch.setattr("actors.simulation.plan.plan_commit_faults", lambda *_: ())
    without = make_plan(5)
    assert {*without.faults} < {*with_them.faults}
    assert replace(without, faults=()) == replace(with_them, faults=())
