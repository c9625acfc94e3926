"""The whole engine as a state machine: two accounts, everything that people and machines do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from actors.simulation.fault_kinds import Disturbance
from actors.simulation.network import Storm
from actors.simulation.portfolio import PlannedAccount, PlannedPosition
from engine.models import Severity
from tests.mutants.catalogue import named
from tests.mutants.hunting import ROOT
from tests.mutants.mutant import copy_tree
from tests.simulation.machine.accounts import USERS
from tests.simulation.machine.engine_machine import EngineMachine

_COMMON = settings(
    deadline=None,  # virtual time; a story's length is bounded by its steps
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_whatever_happens_the_promises_are_kept() -> None:
    """The same stories in every run, some 40 s of them."""
    profile = settings(_COMMON, max_examples=500, stateful_step_count=16, derandomize=True)
    run_state_machine_as_test(EngineMachine, settings=profile)


@pytest.mark.slow
def test_other_stories_every_time() -> None:
    profile = settings(_COMMON, max_examples=3_000, stateful_step_count=40)
    run_state_machine_as_test(EngineMachine, settings=profile)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "promises"),
    [
        ("two-in-flight", ("serial",)),
        ("settle-skipped", ("no resend while it may act", "has an explanation")),
        ("partial-counted-as-full", ("one full success", "has an explanation")),
        ("map-forgotten-on-restart", ("one full success", "has an explanation")),
    ],
)
def test_it_finds_faults_that_are_put_in(
    tmp_path: Path, fault: str, promises: tuple[str, ...]
) -> None:
    tree = copy_tree(ROOT, tmp_path, "tests")
    named(fault).put_into(tree)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.machine", "--stories", "300"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith(promises)


def _story() -> str:
    """A story as Hypothesis prints one; returns its history."""
    position = PlannedPosition("EURUSD", 1, 0.5)
    planned = tuple(
        PlannedAccount(user, 5_000 + number, True, False, False, (position,) * 3)
        for number, user in enumerate(USERS)
    )
    storm = Storm(0.0, 12.0, Disturbance.REPLY_LOST, 0.3)
    state = EngineMachine()
    state.begin(planned=planned, weather=(storm,), observes=False, seed=1)
    state.hang(user="user-1", call="after order_send", seconds=7.0)
    first = state.submit(user="user-1", scope=None, severity=Severity.CRITICAL, waits=0.1)
    state.crash_supervisor()
    state.close_part(user="user-2", place=0, share=0.5, waits=1.0)
    state.duplicate(of=first, share=0.2, waits=15.0)
    state.crash_audit(how=Disturbance.STORE_TAIL_LOST)
    state.operator_release(user="user-1", waits=0.0)
    history = state.engine.world.history
    state.teardown()
    return history.lines()


def test_the_same_steps_tell_the_same_story() -> None:
    told = _story()
    assert '"kind":"killed"' in told
    assert told == _story()
