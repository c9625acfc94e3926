from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.simulation import run
from actors.simulation.campaign import Campaign, run_seeds
from actors.simulation.invariants import Violation
from actors.simulation.plan import make_plan
from actors.simulation.run import SeedOutcome, run_plan


def outcome(seed: int, *violations: Violation) -> SeedOutcome:
    return SeedOutcome(
        seed,
        60.0,
        list(violations),
        {"kill audit": {"flat": 2}},
        excerpts=[["what happened"] for _ in violations],
    )


def test_a_campaign_adds_up_and_tells_how_to_repeat_what_failed() -> None:
    campaign = Campaign(accounts=3, positions=4)
    campaign.add(outcome(1))
    campaign.add(outcome(2, Violation("serial", "two at once", "ann"), Violation("serial", "x")))
    campaign.took_s = 4.0
    report = campaign.data()
    assert report["seeds"] == 2
    assert report["simulated_hours"] == pytest.approx(0.033)
    assert report["seeds_per_s"] == 0.5
    assert report["violations"] == 2
    assert report["broken_promises"] == {"serial": 1}
    assert report["table"]["kill audit"]["flat"] == 4
    (failed,) = report["failing_seeds"]
    assert failed["command"] == "risk-engine simulate --seeds 1 --seed 2 --accounts 3 --positions 4"
    assert failed["history"] == ["what happened"]
    assert failed["violations"][0] == "serial: ann: two at once"


def test_a_run_that_breaks_off_is_a_violation_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: Any) -> None:
        await asyncio.sleep(1)
        raise ZeroDivisionError("out of order")

    monkeypatch.setattr(run, "_run", broken)
    told = run_plan(make_plan(1))
    assert [str(v) for v in told.violations] == [
        "runs to its end: engine: ZeroDivisionError: out of order"
    ]
    assert any("ZeroDivisionError" in line for line in told.excerpts[0])


def test_seeds_come_in_order() -> None:
    seeds = [one.seed for one in run_seeds(40, 2, accounts=1, positions=1)]
    assert seeds == [40, 41]
