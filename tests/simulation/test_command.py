from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.cli.main import app


def simulate(*options: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["simulate", *options])
    return done.exit_code, done.stdout, done.stderr


def test_json_is_one_object_with_the_figures_and_the_table() -> None:
    code, out, _ = simulate("--seeds", "2", "--seed", "5", "--accounts", "2", "--json")
    report = json.loads(out)
    assert report["seeds"] == 2
    assert report["simulated_hours"] > 0
    assert report["seeds_per_s"] > 0
    assert code == (1 if report["violations"] else 0)
    assert set(report["table"]["kill engine"]) == {
        "accepted",
        "closing",
        "waiting",
        "flat",
        "residual",
    }


def test_the_table_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = simulate("--seeds", "1", "--accounts", "1")
    assert "kill supervisor" in out
    assert "1 seeds" in out
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("option", ["--seeds", "--accounts", "--positions", "--jobs"])
def test_a_number_below_one_is_refused(option: str) -> None:
    code, out, err = simulate(option, "0")
    assert (code, out) == (2, "")
    assert f"{option} 0: it must be 1 or more" in err


def test_a_history_of_several_seeds_is_refused(tmp_path: Path) -> None:
    code, _, err = simulate("--seeds", "2", "--history", str(tmp_path / "h"))
    assert code == 2
    assert "--seeds 1" in err


def test_history_and_events_are_written_and_the_checker_reads_the_history(tmp_path: Path) -> None:
    told, events = tmp_path / "told", tmp_path / "events"
    code, _, _ = simulate("--seeds", "1", "--history", str(told), "--events", str(events))
    judged = CliRunner().invoke(app, ["audit", "check-history", str(told)])
    assert judged.exit_code == code == 0
    kinds = {json.loads(line)["kind"] for line in events.read_text("utf-8").splitlines()}
    assert {"born", "call", "order", "episode", "calm"} <= kinds
