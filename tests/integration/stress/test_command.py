"""``risk-engine stress`` up to the start of Ray and after its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.cli import stress as command
from actors.cli.main import app
from actors.stress.plan import StressPlan
from actors.stress.progress import RunView
from actors.stress.run import StressOutcome
from engine.errors import RiskEngineError
from tests.unit.prices.export_files import TICK_HEADER, write
from tests.unit.stress.samples import summary


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user gets to see."""

    exit_code: int
    stdout: str
    stderr: str


Ask = Callable[..., Answer]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run the command in an empty folder; no engine is started unless a test puts one in."""

    def never(*_: object) -> StressOutcome:
        raise AssertionError("the options are wrong, yet the run was started")

    monkeypatch.setattr(command, "run_stress", never)
    monkeypatch.chdir(tmp_path)

    def invoke(*options: str) -> Answer:
        result = CliRunner().invoke(app, ["stress", *options])
        return Answer(result.exit_code, result.stdout, result.stderr)

    return invoke


def finish(monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    """Put in a run that ends with these figures, and prints what Ray would print."""

    def run(plan: StressPlan, folder: Path, view: RunView) -> StressOutcome:
        print("(raylet) WARNING: 8 PYTHON worker processes have been started")
        return StressOutcome(summary(**changed), plan, [], [], [])

    monkeypatch.setattr(command, "run_stress", run)
    # Drawing takes its time; the report has tests of its own.
    monkeypatch.setattr(command, "write_report", lambda *_: None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scenario", "black-monday"), ("--scenario", "black-monday", "flash-crash")),
        (("--accounts", "0"), ("--accounts", "greater than or equal to 1", "given: 0")),
        (("--positions", "-3"), ("--positions", "given: -3")),
        (("--latency-ms", "nan"), ("--latency-ms", "given: nan")),
        (("--leverage", "a lot"), ("--leverage", "'a lot'", "5:30")),
        (("--leverage", "[/red]"), ("--leverage", "'[/red]'")),
        (("--leverage", "30:5"), ("--leverage", "'30:5'", "low before high")),
        (("--trigger", "none"), ("--trigger", "none", "guards")),
        (("--speed", "-1"), ("--speed", "given: -1")),
        (("--prices", "prices.csv"), ("prices.csv", "--prices FILE --symbol NAME")),
        (("--symbol", "EURUSD"), ("EURUSD", "--prices FILE --symbol NAME")),
        (("--venue", "moon"), ("--venue", "given: moon", "external")),
        (("--settle-ms", "500"), ("settle_ms=500", "--chaos")),
        (("--chaos", "kills=2,seed=1"), ("kills=2,seed=1", "add --venue external")),
        (
            ("--venue", "external", "--chaos", "kills=2,seed=1", "--trigger", "guards"),
            ("trigger='guards'", "leave --trigger out"),
        ),
        (
            ("--venue", "external", "--chaos", "kills=all"),
            ("--chaos", "'kills=all'", "kills='all'"),
        ),
        (("--prices", "no.csv", "--symbol", "EURUSD"), ("no.csv", "cannot be read")),
    ],
)
def test_a_wrong_option_is_named_with_its_value(
    ask: Ask, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    result = ask(*options, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    for words in said:
        assert words in result.stderr


def test_a_malformed_price_file_is_named_with_its_line(ask: Ask, tmp_path: Path) -> None:
    good = "2024.01.01\t00:00:01\t1.10000\t1.10012\t\t\t6"
    # So long a name that a message broken at a terminal's width would show.
    name = f"{'long-' * 20}name.csv"
    path = write(tmp_path, TICK_HEADER, good, good.replace("1.10000", "one"), name=name)
    result = ask("--prices", str(path), "--symbol", "EURUSD")
    assert result.exit_code == 2
    assert f"{path}, line 3: " in result.stderr
    assert "'one'" in result.stderr


def test_an_unknown_symbol_is_named(ask: Ask, tmp_path: Path) -> None:
    path = write(tmp_path, TICK_HEADER, "2024.01.01\t00:00:01\t1.1\t1.2\t\t\t6")
    result = ask("--prices", str(path), "--symbol", "WHATEVER")
    assert result.exit_code == 2
    assert "'WHATEVER'" in result.stderr


def test_a_folder_with_files_is_refused_and_left_alone(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "before"
    folder.mkdir()
    (folder / "summary.json").write_text("{}")
    result = ask("--out", str(folder))
    assert result.exit_code == 2
    assert f"--out {folder}" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["summary.json"]


def test_wrong_options_leave_no_folder_behind(ask: Ask, tmp_path: Path) -> None:
    assert ask("--accounts", "0").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_good_run_prints_one_object_whatever_else_is_printed(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finish(monkeypatch)
    result = ask("--accounts", "1", "--positions", "1", "--json", "--out", "run")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == summary().data()
    assert "(raylet) WARNING" in result.stderr
    written = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert written == summary().data()


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"failed": 1}, 1, "NOT good"),
        ({"residual": 1}, 1, "NOT good"),
        ({"double_closes": 1}, 1, "NOT good"),
        (
            {"mismatches": 1, "mismatch_examples": ["ann: position 7 differs"]},
            1,
            "ann: position 7 differs",
        ),
        ({"chain_ok": False, "chain_problem": "record 3 was changed"}, 1, "record 3 was changed"),
        ({"interrupted": True}, 130, "Interrupted"),
    ],
)
def test_the_exit_status_tells_a_bad_run(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], status: int, said: str
) -> None:
    finish(monkeypatch, **changed)
    result = ask("--accounts", "1", "--positions", "1", "--out", "run")
    assert result.exit_code == status
    assert "Every triggered account is flat" not in result.stdout
    assert said in result.stdout


def test_an_engine_that_does_not_start_is_told_in_one_line(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> StressOutcome:
        raise RiskEngineError("the disk is full")

    monkeypatch.setattr(command, "run_stress", broken)
    result = ask("--accounts", "1", "--positions", "1", "--json", "--out", "run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "RiskEngineError: the disk is full\n"


def test_an_interrupt_before_the_first_trigger_says_where_the_records_are(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> StressOutcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_stress", interrupted)
    result = ask("--accounts", "1", "--positions", "1", "--json", "--out", "run")
    assert (result.exit_code, result.stdout) == (130, "")
    assert str(tmp_path / "run") in result.stderr
