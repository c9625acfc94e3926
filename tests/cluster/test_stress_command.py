"""``risk-engine stress`` as its users run it: a process with an exit status, output and files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.processes import assert_all_end, descendants
from tests.cluster.stress_runs import (
    LONGEST_RUN_S,
    SMALL,
    Run,
    command,
    count_closes,
    environment,
    read_store,
    run_stress,
)
from tests.cluster.waiting import wait_until

KEYS = {
    "accounts",
    "positions",
    "triggers",
    "closed",
    "failed",
    "residual",
    "double_closes",
    "audit_records",
    "chain_ok",
    "total_pnl",
    "arming_s",
    "makespan_s",
    "ideal_s",
    "closes_per_s",
    "time_to_flat_s",
    "trigger_to_first_order_ms",
    "scenario",
    "seed",
    "latency_ms",
    "placement",
    "versions",
}
"""What the command promises; it may tell more."""


@pytest.fixture(scope="module")
def small_run(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One small run on all cores, as fast as they can."""
    return run_stress(tmp_path_factory.mktemp("small") / "run", *SMALL, ray_address=ray_address)


def test_a_run_prints_one_json_object_and_nothing_else(small_run: Run) -> None:
    assert small_run.status == 0, small_run.stderr
    lines = small_run.stdout.splitlines()
    assert len(lines) == 1
    summary = json.loads(lines[0])
    assert set(summary) >= KEYS
    assert set(summary["time_to_flat_s"]) == {"p50", "p99", "max"}
    assert set(summary["trigger_to_first_order_ms"]) == {"p50", "p99"}


def test_a_run_says_what_happened(small_run: Run) -> None:
    summary = small_run.summary
    assert (summary["accounts"], summary["positions"], summary["triggers"]) == (3, 12, 3)
    assert (summary["closed"], summary["failed"], summary["residual"]) == (12, 0, 0)
    assert (summary["double_closes"], summary["chain_ok"]) == (0, True)
    assert (summary["scenario"], summary["seed"], summary["latency_ms"]) == ("snb-2015", 5, 20.0)
    assert summary["ideal_s"] == 0.08
    assert summary["makespan_s"] >= summary["ideal_s"]
    stored = read_store(small_run.folder)
    pnl = sum(close.pnl or 0.0 for close in stored.closes.values())
    assert summary["total_pnl"] == pytest.approx(pnl, abs=0.005)


def test_the_summary_file_holds_what_was_printed(small_run: Run) -> None:
    written = json.loads((small_run.folder / "summary.json").read_text(encoding="utf-8"))
    assert written == small_run.summary


def test_the_report_stands_on_its_own(small_run: Run) -> None:
    html = (small_run.folder / "report.html").read_text(encoding="utf-8")
    outside_scripts = re.sub(
        r"<script[^>]*>.*?</script>", "<script></script>", html, flags=re.DOTALL
    )
    assert re.findall(r"<link\b|<img\b|<iframe\b|@import|url\(", outside_scripts) == []
    assert re.findall(r"\b(?:src|href)\s*=", outside_scripts) == []
    assert re.findall(r"<script[^>]+src", html) == []
    summary = small_run.summary
    assert f"<b>{summary['total_pnl']:,.0f}</b>" in outside_scripts
    assert f"{summary['makespan_s']:.3f} s" in outside_scripts
    assert "Every triggered account is flat" in outside_scripts
    assert html.count('class="plotly-graph-div"') == 3


def test_the_speed_of_the_replay_changes_nothing(
    small_run: Run, ray_address: str, tmp_path: Path
) -> None:
    # Three hours of market in a few seconds, and not as fast as possible.
    paced = run_stress(tmp_path / "paced", *SMALL, "--speed", "6000", ray_address=ray_address)
    assert paced.status == 0, paced.stderr
    assert read_store(paced.folder) == read_store(small_run.folder)


def test_one_core_changes_nothing(small_run: Run, tmp_path: Path) -> None:
    taskset = shutil.which("taskset")
    if taskset is None:
        pytest.skip("taskset is not here, so a run cannot be confined to one core")
    confined = run_stress(
        tmp_path / "confined", *SMALL, ray_address=None, prefix=(taskset, "-c", "0")
    )
    assert confined.status == 0, confined.stderr
    assert read_store(confined.folder) == read_store(small_run.folder)


@pytest.mark.parametrize("trigger", ["guards", "all"])
def test_a_venue_outside_changes_nothing(
    small_run: Run, ray_address: str, tmp_path: Path, trigger: str
) -> None:
    more = ("--trigger", trigger)
    outside = run_stress(
        tmp_path / "outside", *SMALL, *more, "--venue", "external", ray_address=ray_address
    )
    assert outside.status == 0, outside.stderr
    inside = small_run
    if trigger == "all":
        inside = run_stress(tmp_path / "inside", *SMALL, *more, ray_address=ray_address)
    assert read_store(outside.folder) == read_store(inside.folder)
    for name in ("closed", "total_pnl", "double_closes", "mismatches", "residual"):
        assert outside.summary[name] == inside.summary[name]
    assert (outside.summary["venue"], inside.summary["venue"]) == ("external", "simulated")


def test_wrong_options_are_refused_in_words_on_stderr(tmp_path: Path) -> None:
    run = run_stress(tmp_path / "run", "--accounts", "0", ray_address=None)
    assert (run.status, run.stdout) == (2, "")
    assert "--accounts" in run.stderr
    assert "0" in run.stderr
    assert not run.folder.exists()


def journaled_closes(folder: Path) -> int:
    """Count the close records that are on disk, while the run goes on."""
    journal = folder / "journal.sqlite"
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=5)) as reader:
        try:
            bodies = reader.execute("SELECT CAST(body AS TEXT) FROM records").fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return 0
    return sum('"position_closed"' in (body or "") for (body,) in bodies)


def test_an_interrupted_run_ends_cleanly_and_keeps_what_was_closed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ("--accounts", "2", "--positions", "30", "--latency-ms", "100", "--trigger", "all")
    run = subprocess.Popen(
        command(*options, out=folder),
        env=environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with run:
        wait_until(
            lambda: journaled_closes(folder) or run.poll() is not None,
            within_s=LONGEST_RUN_S,
            what="no close was recorded",
        )
        assert run.poll() is None, run.communicate()
        seen = journaled_closes(folder)
        assert 0 < seen < 60
        processes = descendants(run.pid)
        assert len(processes) > 4
        # As a terminal does it: to every process of the group at once.
        os.killpg(run.pid, signal.SIGINT)
        stdout, stderr = run.communicate(timeout=LONGEST_RUN_S)
    assert run.returncode == 130, stderr
    assert "Traceback" not in stderr
    summary = json.loads(stdout)
    assert summary["interrupted"] is True
    assert summary["chain_ok"] is True
    assert summary["double_closes"] == 0
    assert summary["mismatches"] == 0
    assert count_closes(folder) == summary["closed"] >= seen
    assert_all_end(processes)
