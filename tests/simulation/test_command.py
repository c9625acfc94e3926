from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil
import pytest
from typer.testing import CliRunner

from actors.cli import simulate as command
from actors.cli.main import app
from actors.simulation.campaign import Campaign, run_seeds
from actors.simulation.run import SeedOutcome


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
    assert report["interrupted"] is False
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
    assert "1 seed," in out
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("option", ["--seeds", "--accounts", "--positions", "--jobs"])
def test_a_number_below_one_is_refused(option: str) -> None:
    code, out, err = simulate(option, "0")
    assert (code, out) == (2, "")
    assert f"{option} 0: it must be 1 or more" in err


def test_more_positions_than_anybody_waits_for_are_refused() -> None:
    code, out, err = simulate("--accounts", "1000000")
    assert (code, out) == (2, "")
    assert "100,000 positions at most" in err


def test_a_history_of_several_seeds_is_refused(tmp_path: Path) -> None:
    code, _, err = simulate("--seeds", "2", "--history", str(tmp_path / "h"))
    assert code == 2
    assert "--seeds 1" in err


@pytest.mark.parametrize("option", ["--history", "--events"])
@pytest.mark.parametrize("name", ["", "missing/file"])
def test_a_file_that_cannot_be_is_refused_before_the_seed_runs(
    option: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "run_seed", lambda *_, **__: pytest.fail("the seed was run"))
    code, out, err = simulate("--seeds", "1", option, str(tmp_path / name))
    assert (code, out) == (2, "")
    assert "name a file in a folder that exists" in err


def test_no_promise_is_called_kept_when_nothing_was_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "run_seeds", lambda *_, **__: iter(()))
    _, out, _ = simulate("--seeds", "1")
    assert "Nothing was checked." in out
    assert "No promise" not in out


def test_history_and_events_are_written_and_the_checker_reads_the_history(tmp_path: Path) -> None:
    told, events = tmp_path / "told", tmp_path / "events"
    code, _, _ = simulate("--seeds", "1", "--history", str(told), "--events", str(events))
    judged = CliRunner().invoke(app, ["audit", "check-history", str(told)])
    assert judged.exit_code == code == 0
    kinds = {json.loads(line)["kind"] for line in events.read_text("utf-8").splitlines()}
    assert {"born", "call", "order", "episode", "calm"} <= kinds


def test_ctrl_c_ends_after_the_seed_at_hand_with_130_and_a_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add = Campaign.add

    def add_and_interrupt(campaign: Campaign, outcome: SeedOutcome) -> None:
        add(campaign, outcome)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Campaign, "add", add_and_interrupt)
    code, out, err = simulate("--seeds", "3", "--accounts", "1", "--json")
    report = json.loads(out)
    assert (code, report["interrupted"], report["seeds"]) == (130, True, 1)
    assert "Interrupted after 1 seed." in err


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 seeds"), (1, "1 seed"), (2_000, "2,000 seeds")]
)
def test_one_is_singular(number: int, text: str) -> None:
    assert command.counted(number, "seed") == text


def test_what_is_no_number_is_named() -> None:
    code, out, err = simulate("--seeds", "many")
    assert (code, out) == (2, "")
    assert "'many' is not a whole number" in err


def test_other_processes_stop_when_they_are_asked_to() -> None:
    asked = [False, False, True]
    done = list(
        run_seeds(
            1,
            400,
            accounts=1,
            positions=1,
            jobs=2,
            is_stopped=lambda: asked.pop(0) if asked else True,
        )
    )
    assert len(done) < 400
    assert [outcome.seed for outcome in done] == sorted({outcome.seed for outcome in done})


def folders_at_work(command: psutil.Process) -> set[Path]:
    """Return the folders of the seeds that processes are in the middle of: each has a journal."""
    folders = set()
    for child in command.children(recursive=True):
        with suppress(psutil.Error):  # it has just begun, or ended
            files = [Path(file.path) for file in child.open_files()]
            folders |= {file.parent for file in files if file.name == "journal.sqlite"}
    return folders


def wait_a_little(command: subprocess.Popen[str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):  # it goes on
        command.wait(0.05)


def test_ctrl_c_ends_several_processes_at_once_and_leaves_nothing_behind() -> None:
    # One such seed takes far longer than the command may take to end.
    size = ["--seeds", "50", "--accounts", "200", "--positions", "60", "--jobs", "2"]
    program = "from actors.cli.main import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "simulate", *size, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        process = psutil.Process(command.pid)
        try:
            deadline = monotonic() + 60
            while len(folders := folders_at_work(process)) < 2:
                assert monotonic() < deadline
                wait_a_little(command)
            everyone = process.children(recursive=True)
            began = monotonic()
            command.send_signal(signal.SIGINT)
            out, err = command.communicate(timeout=30)
            took_s = monotonic() - began
        finally:
            command.kill()
    report = json.loads(out)
    assert (command.returncode, report["interrupted"]) == (130, True)
    assert err.strip() == f"Interrupted after {report['seeds']} seeds."
    assert took_s < 3
    _, alive = psutil.wait_procs(everyone, timeout=5)
    assert alive == []
    assert not [folder for folder in folders if folder.exists()]
