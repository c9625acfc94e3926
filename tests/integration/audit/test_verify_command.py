from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors.cli.main import app
from audit.ledger import AuditLedger
from tests.integration.audit.attacking import attacker, digests_made_anew, made_anew
from tests.unit.audit.samples import NOW, ManualClock, a_chain

UNTIL = "2015-02-25T12:00:00"
"""After the digest was written, by the samples' clock."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATA_DIR", "AUDIT_URL", "NAMESPACE", "DIGESTS_PATH"):
        monkeypatch.delenv(f"RISK_ENGINE_{name}", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # nobody listens there
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path: Path, clock: ManualClock) -> Path:
    """The folder that an engine left: 4 records of ann's and 3 of bob's."""
    data = tmp_path / "data"
    with AuditLedger(
        f"duckdb:///{data}/audit.duckdb",
        data / "journal.sqlite",
        clock=clock,
        digests=data / "audit-digests.jsonl",
        fills_by_itself=False,
    ) as ledger:
        ann, bob = ledger.open_streams(["account:ann", "account:bob"])
        ledger.append([*a_chain(4, ann.stream), *a_chain(3, bob.stream, 50)])
    return data


def _run(data: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["audit", "verify", "--data-dir", str(data), *options])


def _json(data: Path, *options: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(_run(data, "--json", *options).stdout)
    return found


def test_a_whole_trail(data: Path) -> None:
    done = _run(data)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("whole: 7 records hashed in 2 streams, 1 digests; duckdb:///")
    assert _json(data) == {
        "ok": True,
        "problem": None,
        "broken_streams": 0,
        "digest_problem": None,
        "records": 7,
        "streams": 2,
        "assumed": 0,
        "assumed_since": None,
        "digests": 1,
        "notes": [],
        "source": f"duckdb:///{data}/audit.duckdb",
    }


def test_a_trail_that_was_tampered_with(data: Path) -> None:
    with attacker(f"duckdb:///{data}/audit.duckdb") as run:
        run(
            "UPDATE reconciliation_log SET pnl = 0 WHERE stream = 'account:ann:1' AND seq = 3",
            "DELETE FROM reconciliation_log WHERE stream = 'account:bob:1' AND seq = 2",
        )
    done = _run(data)
    assert done.exit_code == 1
    first, second, last = done.stdout.splitlines()
    assert first.startswith("does not fit: account:ann:1@3 (event ")
    assert second == "nor do records of 1 other streams"
    assert last.startswith("NOT whole: ")
    found = _json(data)
    assert isinstance(found["problem"], dict)
    assert (found["problem"]["stream"], found["problem"]["seq"]) == ("account:ann:1", 3)
    assert (found["ok"], found["broken_streams"]) == (False, 2)
    assert _run(data, "--user", "bob").exit_code == 1
    assert _json(data, "--user", "bob")["broken_streams"] == 1


def test_since_and_user(data: Path) -> None:
    found = _json(data, "--since", UNTIL)
    assert (found["records"], found["assumed"]) == (0, 7)
    assert found["assumed_since"] == "2015-02-25T10:30:00.123456Z"
    assert "for which the digest of 2015-02-25T10:30" in _run(data, "--since", UNTIL).stdout
    assert _json(data, "--user", "ann")["records"] == 4
    nobody = _run(data, "--user", "eve")
    assert (nobody.exit_code, nobody.stdout) == (2, "")
    assert "--user='eve' names no account of this trail" in nobody.stderr


def test_a_copy_of_the_digests_knows_what_the_digests_no_longer_say(data: Path) -> None:
    own, copy = data / "audit-digests.jsonl", data.parent / "copy.jsonl"
    shutil.copy(own, copy)
    url = f"duckdb:///{data}/audit.duckdb"
    made_anew(url, ("account:ann:1", 2), pnl=1e6)
    digests_made_anew(own, url)
    (data / "journal.sqlite").unlink()
    assert _run(data).exit_code == 0
    done = _run(data, "--digests", str(copy))
    assert done.exit_code == 1
    assert "account:ann:1@4" in done.stdout
    assert "line 1 of the digests names" in done.stdout


def test_damaged_and_missing_digests(data: Path) -> None:
    own = data / "audit-digests.jsonl"
    own.write_text("nonsense\n")
    done = _run(data)
    assert done.exit_code == 1
    assert "does not fit: line 1 of the digests: it is not a digest" in done.stdout
    for how in (lambda: own.write_text(""), own.unlink):
        how()
        done = _run(data)
        assert done.exit_code == 1
        assert "does not fit: line 1 of the digests: the lines from number 1 are" in done.stdout
        assert f"up to number 1 of 2015-02-25T10:30:00Z in {own}" in done.stdout
        assert _json(data)["digest_problem"] is not None
    (data / "journal.sqlite").unlink()  # it alone knows that there were digests
    done = _run(data)
    assert done.exit_code == 0
    assert "note: there are no digests" in done.stdout


def test_digests_in_several_files_are_one_chain(data: Path) -> None:
    own, older = data / "audit-digests.jsonl", data / "older.jsonl"
    own.rename(older)
    with AuditLedger(
        f"duckdb:///{data}/audit.duckdb", data / "journal.sqlite", digests=own
    ) as ledger:
        ledger.append(a_chain(2, ledger.open_stream("account:eve").stream, 90))
    done = _run(data)
    assert done.exit_code == 1
    assert "it follows on number 1, and no line up to that one is here" in done.stdout
    found = _json(data)["digest_problem"]
    assert isinstance(found, dict)
    assert (found["line"], found["is_earlier"]) == (1, True)
    done = _run(data, "--digests", str(older), "--digests", str(own))
    assert (done.exit_code, done.stderr) == (0, "")


def test_digests_of_another_store_are_not_held_against_one_that_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISK_ENGINE_DATA_DIR", str(data))
    other = f"duckdb:///{tmp_path}/other.duckdb"
    with AuditLedger(other, tmp_path / "j.sqlite") as ledger:
        ledger.append(a_chain(1, ledger.open_stream("account:eve").stream))
    done = CliRunner().invoke(app, ["audit", "verify", "--store", other])
    assert (done.exit_code, "there are no digests" in done.stdout) == (0, True)
    assert "there is no journal to hold the records against" in done.stdout


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (["--since", "yesterday"], 2, "--since='yesterday' is not allowed"),
        (["--user", " "], 2, "--user=' ' is not allowed"),
        (["--digests", "none.jsonl"], 3, "digests='none.jsonl' cannot be read"),
    ],
)
def test_what_cannot_be_checked(data: Path, options: list[str], status: int, text: str) -> None:
    done = _run(data, *options)
    assert (done.exit_code, done.stdout) == (status, "")
    assert text in done.stderr


def test_a_folder_without_a_trail(tmp_path: Path) -> None:
    done = _run(tmp_path / "none")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "no such file" in done.stderr


def test_what_only_the_journal_has_is_no_trouble(tmp_path: Path, clock: ManualClock) -> None:
    alive, left = tmp_path / "alive", tmp_path / "left"
    with AuditLedger(
        f"duckdb:///{alive}/audit.duckdb",
        alive / "journal.sqlite",
        clock=clock,
        digests=alive / "audit-digests.jsonl",
        fills_by_itself=False,
    ) as ledger:
        ann = a_chain(9, ledger.open_stream("account:ann").stream)
        ledger.append(ann[:6])
        ledger.fill_step()
        clock.us = NOW + 60_000_000
        ledger.fill_step()  # a checkpoint, and a digest
        ledger.append(ann[6:])
        left.mkdir()
        for file in alive.iterdir():
            shutil.copy(file, left)
    found = _json(left)
    assert (found["ok"], found["records"], found["digests"]) == (True, 9, 1)
