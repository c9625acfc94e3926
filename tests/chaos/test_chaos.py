"""``risk-engine stress --chaos``: processes are killed, and every position is closed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit.history import check, read_history
from tests.cluster.stress_runs import Run, count_closes, run_stress

EVERYTHING_ONCE = {
    "double_closes": 0,
    "lost": 0,
    "residual": 0,
    "failed": 0,
    "mismatches": 0,
    "repeated_records": 0,
    "not_recovered": 0,
    "chain_ok": True,
    "history_accepted": True,
}


def chaos(folder: Path, *options: str) -> Run:
    return run_stress(folder, "--venue", "external", *options, ray_address=None)


def assert_everything_once(run: Run, positions: int) -> dict[str, Any]:
    summary = run.summary
    assert {name: summary[name] for name in EVERYTHING_ONCE} == EVERYTHING_ONCE, run.stdout
    assert summary["closed"] == summary["final_records"] == positions
    # One final record per position and key, as the store itself holds them.
    assert count_closes(run.folder) == positions
    assert run.status == 0, run.stderr
    return summary


def test_a_few_kills_of_each_kind_lose_nothing(tmp_path: Path) -> None:
    run = chaos(
        tmp_path / "run",
        *("--accounts", "3", "--positions", "8", "--latency-ms", "50"),
        *("--chaos", "kills=4,seed=1", "--settle-ms", "500"),
    )
    summary = assert_everything_once(run, positions=24)
    assert summary["kills_by_target"] == {"account": 2, "supervisor": 1, "audit": 1}
    assert summary["trigger"] == "all"
    assert summary["recovery_s"]["max"] >= summary["recovery_s"]["p50"] > 0
    kills = (run.folder / "kills.jsonl").read_text(encoding="utf-8").splitlines()
    pids = [json.loads(line)["pid"] for line in kills]
    assert len(set(pids)) == summary["kills"] == 4
    # The written history convinces a checker that has never met the run.
    verdict = check(read_history(run.folder / "history.jsonl"))
    assert verdict.accepted
    assert verdict.positions == 24
    assert verdict.requests >= 24


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_twenty_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    run = chaos(
        tmp_path / "run",
        *("--accounts", "10", "--positions", "50", "--latency-ms", "100"),
        *("--chaos", f"kills=20,seed={seed}"),
    )
    summary = assert_everything_once(run, positions=500)
    assert summary["kills"] == 20
    assert set(summary["kills_by_target"]) == {"account", "supervisor", "audit"}
    assert min(summary["kills_by_target"].values()) >= 5
    assert summary["kills_in_flight"] >= 8
    assert summary["unknown_settled"] > 0
