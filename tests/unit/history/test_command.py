from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors.cli.audit.commands import audit
from audit.history import History
from audit.history.history import Event
from audit.history.writing import line_of
from tests.unit.history.scenes import entry, good

DOCUMENT = Path(__file__).parents[3] / "docs" / "history.md"


def save(folder: Path, history: History) -> str:
    path = folder / "history.jsonl"
    events: list[Event] = [
        history.header,
        *history.invocations,
        *history.completions,
        *history.positions,
        *history.deals,
        *history.requests,
    ]
    path.write_text("".join(line_of(event) + "\n" for event in events), encoding="utf-8")
    return str(path)


def test_a_good_history_is_accepted(tmp_path: Path) -> None:
    done = CliRunner().invoke(audit, ["check-history", save(tmp_path, good())])
    assert done.exit_code == 0
    assert done.stdout == "accepted: 1 calls, 1 positions, 1 requests, 0 violations\n"


def test_a_bad_one_is_refused_with_its_violations(tmp_path: Path) -> None:
    lost = save(tmp_path, good(deals=(entry(),), requests=()))
    done = CliRunner().invoke(audit, ["check-history", lost])
    assert done.exit_code == 1
    assert done.stdout.startswith("lost_close: position 7 of ann: key 'k1'")
    assert "refused: 1 calls" in done.stdout
    as_json = CliRunner().invoke(audit, ["check-history", lost, "--json"])
    assert as_json.exit_code == 1
    verdict = json.loads(as_json.stdout)
    (violation,) = verdict.pop("violations")
    assert verdict == {"accepted": False, "calls": 1, "positions": 1, "requests": 0}
    assert violation["kind"] == "lost_close"
    assert (violation["user_id"], violation["position"], violation["call"]) == ("ann", "7", "c1")


@pytest.mark.parametrize("text", ["", '{"event": "deal"}\n', "no json\n"])
def test_a_malformed_file_ends_with_status_3(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(audit, ["check-history", str(path), "--json"])
    assert (done.exit_code, done.stdout) == (3, "")
    assert str(path) in done.stderr


def test_a_file_that_is_not_there_ends_with_status_3(tmp_path: Path) -> None:
    done = CliRunner().invoke(audit, ["check-history", str(tmp_path / "none")])
    assert done.exit_code == 3
    assert "No such file" in done.stderr


def test_the_documented_example_is_accepted_and_its_variant_refused(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    example = text.split("```json\n")[1].split("```")[0]
    path = tmp_path / "example.jsonl"
    path.write_text(example, encoding="utf-8")
    assert CliRunner().invoke(audit, ["check-history", str(path)]).exit_code == 0
    without_exit = [line for line in example.splitlines() if '"ticket": 5002' not in line]
    path.write_text("\n".join(without_exit), encoding="utf-8")
    done = CliRunner().invoke(audit, ["check-history", str(path)])
    assert done.exit_code == 1
    assert "lost_close: position 8" in done.stdout
