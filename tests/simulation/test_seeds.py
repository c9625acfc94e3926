"""Whole runs: a few dozen seeds, every promise kept, every fault happening."""

from __future__ import annotations

import pytest

from actors.simulation.board import Coverage
from actors.simulation.campaign import Campaign, run_seeds
from actors.simulation.fault_kinds import Disturbance, terminal_kind
from actors.simulation.run import run_seed
from engine.simulated.faults import FaultKind

SEEDS = 30


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    campaign = Campaign()
    for outcome in run_seeds(1, SEEDS, accounts=5, positions=5):
        campaign.add(outcome)
    return campaign


def test_no_promise_is_broken(campaign: Campaign) -> None:
    assert campaign.seeds == SEEDS
    assert [(failed.seed, failed.violations) for failed in campaign.failed] == []


def test_faults_meet_episodes(campaign: Campaign) -> None:
    table = campaign.coverage.table()
    met = {kind for kind, row in table.items() if sum(row.values())}
    common = {
        Disturbance.KILL_ACCOUNT.value,
        Disturbance.KILL_SUPERVISOR.value,
        Disturbance.KILL_AUDIT.value,
        Disturbance.KILL_ENGINE.value,
        Disturbance.REQUEST_LOST.value,
        Disturbance.REPLY_LOST.value,
        terminal_kind(FaultKind.MARKET_CLOSED),
        terminal_kind(FaultKind.TIMEOUT_THEN_EXECUTED),
    }
    assert common <= met
    for state in ("accepted", "closing", "waiting", "flat", "residual"):
        assert sum(row[state] for row in table.values()) > 0


def test_other_sizes_run() -> None:
    outcome = run_seed(3, accounts=2, positions=1)
    assert outcome.violations == []
    assert outcome.virtual_s > 32


def test_results_do_not_depend_on_the_number_of_processes(campaign: Campaign) -> None:
    few = Campaign()
    for outcome in run_seeds(1, 6, accounts=5, positions=5, jobs=2):
        few.add(outcome)
    alone = Coverage()
    for outcome in run_seeds(1, 6, accounts=5, positions=5):
        alone.add(outcome.table)
    assert few.coverage.table() == alone.table()
