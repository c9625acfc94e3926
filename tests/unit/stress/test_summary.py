from __future__ import annotations

import json
from typing import Any

import pytest

from actors.messages import EpisodeReport, EpisodeState
from actors.stress.options import StressOptions
from actors.stress.plan import StressPlan, make_plan
from actors.stress.run import Findings, summarise, with_ends
from actors.stress.summary import Spread, Summary
from audit.records import EventType, Status
from tests.unit.stress.samples import book, entry, exit_deal, record, summary


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
        ("failed_watches", 1),
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


@pytest.fixture(scope="module")
def plan() -> StressPlan:
    return make_plan(StressOptions(accounts=1, positions=2))


def episode(user_id: str = "ann", **changed: Any) -> EpisodeReport:
    fields: dict[str, Any] = {
        "trigger_id": "t",
        "user_id": user_id,
        "state": EpisodeState.FLAT,
        "results": b"",
        "durable": True,
        "triggered_us": 1_000_000,
        "accepted_us": 1_000_100,
        "first_sent_us": 1_002_000,
        "last_answered_us": 1_500_000,
        "durable_us": 1_600_000,
        "closed": 1,
        "failed": 0,
    }
    return EpisodeReport(**{**fields, **changed})


def figures(plan: StressPlan, **changed: Any) -> Summary:
    found: dict[str, Any] = {
        "accepted": [],
        "episodes": [episode()],
        "closes": [record()],
        "books": [book(entry(), exit_deal())],
        "stored": 5,
        "chain_problem": None,
    }
    return summarise(plan, Findings(**{**found, **changed}), arming_s=1.0, interrupted=False)


def test_the_figures_of_a_good_run(plan: StressPlan) -> None:
    good = figures(plan)
    assert good.is_good
    assert (good.closed, good.residual, good.failed, good.triggers) == (1, 0, 0, 1)
    assert (good.makespan_s, good.time_to_flat_s.max) == (0.6, 0.5)
    assert good.trigger_to_first_order_ms.p50 == 2.0
    assert good.total_pnl == -1000.0


def test_what_is_open_on_a_triggered_account_is_residual(plan: StressPlan) -> None:
    left = [book(entry(), exit_deal(), entry(1), entry(2), open_positions=2)]
    assert figures(plan, books=left).residual == 2
    assert not figures(plan, books=left).is_good
    assert figures(plan, books=left, episodes=[]).residual == 0, "nobody asked for them to go"


def test_a_failed_close_record_is_counted(plan: StressPlan) -> None:
    bad = figures(plan, closes=[record(), record(8, outcome="rejected", status=Status.FAILED)])
    assert bad.failed == 1
    assert not bad.is_good


def test_a_double_close_in_the_book_is_counted(plan: StressPlan) -> None:
    assert figures(plan, books=[book(entry(), exit_deal(), exit_deal())]).double_closes == 1


def test_an_end_that_a_lost_supervisor_has_seen_is_dated_by_the_store() -> None:
    episodes = [
        episode(trigger_id="t1"),
        episode(trigger_id="t2", durable_us=None),
        episode(trigger_id="t3", durable_us=None),
    ]
    ends = [
        record(event_type=EventType.EPISODE_FINISHED, trigger_id=name, recorded_at=7)
        for name in ("t1", "t2")
    ]
    dated = with_ends(episodes, ends)
    assert [each.durable_us for each in dated] == [1_600_000, 7, None]


def test_the_first_order_is_the_first_of_all_lives(plan: StressPlan) -> None:
    closes = [record(trigger_id="t", sent_at=1_000_500), record(trigger_id="x", sent_at=1_000_100)]
    assert figures(plan, closes=closes).trigger_to_first_order_ms.p50 == 0.5
