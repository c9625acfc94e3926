from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

from actors.cli.main import app
from audit.ledger import AuditLedger
from audit.offline import open_trail
from audit.past import past_of
from audit.records import EventType
from audit.replay import remembered
from tests.unit.audit.samples import NOW, a_result

AT = "2015-02-25T10:30:00.123456Z"
"""When the episode of ``ann`` was accepted."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATA_DIR", "AUDIT_URL", "NAMESPACE"):
        monkeypatch.delenv(f"RISK_ENGINE_{name}", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    # Nobody listens there: these commands are to find no engine, whatever runs on this machine.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    # Another folder's tests may have left this process connected.
    monkeypatch.setattr("actors.ray_runtime.ray.is_initialized", lambda: False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(folder: Path) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["audit", *words, "--data-dir", str(folder)])

    return run


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def seqs(found: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(one["stream"], one["seq"]) for one in found]


def test_tail_shows_the_last_records_oldest_first(run: Callable[..., Result]) -> None:
    assert seqs(lines(run("tail", "-n", "2", "--json"))) == [
        ("supervisor:1", 3),
        ("supervisor:1", 4),
    ]
    assert len(lines(run("tail", "--json"))) == 9
    assert [one["user_id"] for one in lines(run("tail", "--json", "--user", "bob"))] == [
        "bob",
        "bob",
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), 9),
        (("--user", "ann"), 7),
        (("--user", "nobody"), 0),
        (("--position", "p2"), 1),
        (("--trigger", "trigger-1"), 6),
        (("--close", a_result(2).close_id), 1),
        (("--type", "position_closed"), 4),
        (("--type", "position_closed", "--type", "account_locked"), 5),
        (("--status", "failed"), 2),
        (("--status", "failed", "--status", "warning", "--user", "ann"), 3),
        (("--since", AT), 9),
        (("--since", "2015-02-25T10:30:01"), 1),
        (("--until", AT), 0),
        (("--until", "2015-02-25T10:30:01"), 8),
        (("--since", "1h"), 0),
        (("--limit", "3"), 3),
    ],
)
def test_search_finds_what_fits_all_options(
    run: Callable[..., Result], words: tuple[str, ...], found: int
) -> None:
    result = run("search", "--json", *words)
    assert len(lines(result)) == found
    assert ("more than --limit 3" in result.stderr) == ("--limit" in words)


def test_json_lines_hold_the_whole_record(run: Callable[..., Result]) -> None:
    (one,) = lines(run("search", "--json", "--position", "p3"))
    assert one["occurred_at"] == "2015-02-25T10:30:00.123459Z"
    assert (one["status"], one["outcome"], one["pnl"]) == (2, "rejected", None)
    assert one["meta_data"]["error_message"] == "trading is disabled (10017)"
    assert (len(one["hash"]), one["late"]) == (64, False)


@pytest.mark.parametrize("command", [("tail",), ("search",), ("show", "trigger-1"), ("stats",)])
def test_people_read_at_80_columns(run: Callable[..., Result], command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "position_closed" in result.stdout


@pytest.mark.parametrize(
    ("name", "found"), [("trigger-1", 6), ("trigger-2", 2), (a_result(1).close_id, 1)]
)
def test_show_finds_by_any_name(run: Callable[..., Result], name: str, found: int) -> None:
    shown = lines(run("show", name, "--json"))
    assert len(shown) == found
    event_id = shown[0]["event_id"]
    assert [one["event_id"] for one in lines(run("show", event_id.upper(), "--json"))] == [event_id]


def test_show_of_nothing_is_another_status(run: Callable[..., Result]) -> None:
    result = run("show", "nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ID='nothing'" in result.stderr


def test_a_csv_holds_what_the_lines_say(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    result = run("export", str(file), "--user", "ann")
    assert (result.exit_code, result.stdout) == (0, f"7 records written to {file}\n")
    with file.open(encoding="utf-8", newline="") as text:
        written = list(csv.DictReader(text))
    told = lines(run("search", "--json", "--user", "ann"))
    for name in ("event_id", "stream", "occurred_at", "recorded_at", "hash", "event_type"):
        assert [one[name] for one in written] == [one[name] for one in told]
    assert [json.loads(one["meta_data"]) for one in written] == [o["meta_data"] for o in told]
    assert list(tmp_path.iterdir()) == [file]


def test_a_parquet_file_holds_typed_columns(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "out.parquet"
    assert run("export", str(file), "--json", "--limit", "8").exit_code == 0
    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT typeof(occurred_at), epoch_us(occurred_at), typeof(pnl), typeof(seq), "
            "octet_length(hash) FROM read_parquet($file)",
            {"file": str(file)},
        ).fetchall()
    assert len(rows) == 8
    assert rows[0] == ("TIMESTAMP WITH TIME ZONE", NOW, "DOUBLE", "BIGINT", 32)


def test_an_empty_choice_is_an_empty_file(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert run("export", str(file), "--user", "nobody").exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("event_id,stream,")
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1


def test_a_password_that_is_given_twice_is_refused_in_plain_words(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISK_ENGINE_AUDIT_PASSWORD", "Zq-second")
    result = run("tail", "--store", "postgresql+psycopg://u:Zq-first@db/risk")
    assert result.exit_code == 2
    assert result.stderr.startswith("audit_password is given twice")
    assert "Zq" not in result.output


def test_a_file_is_replaced_only_if_that_is_wanted(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "out.csv"
    file.write_text("mine", encoding="utf-8")
    result = run("export", str(file))
    assert (result.exit_code, file.read_text(encoding="utf-8")) == (2, "mine")
    assert f"FILE={str(file)!r} is not allowed: it exists" in result.stderr
    assert run("export", str(file), "--force").exit_code == 0
    assert len(file.read_text(encoding="utf-8").splitlines()) == 10


def test_stats_add_up(run: Callable[..., Result]) -> None:
    (found,) = lines(run("stats", "--json"))
    assert (found["records"], found["accounts"], found["set_aside"]) == (9, 2, 0)
    assert found["first_at"] == AT
    assert found["types"]["position_closed"] == {"records": 4, "ok": 3, "warning": 0, "failed": 1}
    assert found["closes"] == {
        "done": {"closes": 3, "volume": 1.5, "pnl": -44.02},
        "rejected": {"closes": 1, "volume": 0.0, "pnl": 0.0},
    }
    assert (found["users"]["ann"]["closes"], found["users"]["bob"]["pnl"]) == (3, -16.34)
    assert found["pnl"] == -44.02
    assert found["lag_longest_s"] == 2.0
    (none,) = lines(run("stats", "--json", "--user", "nobody"))
    assert (none["records"], none["first_at"], none["closes"]) == (0, None, {})
    assert run("stats", "--user", "nobody").exit_code == 0


def test_replay_tells_what_a_next_life_would_know(run: Callable[..., Result], folder: Path) -> None:
    (ann,) = lines(run("replay", "--user", "ann", "--json"))
    assert (ann["lives"], ann["open_episodes"]) == (1, [])
    assert ann["lock"] == {"trigger_id": "trigger-1", "locked_at": AT, "sweeps": 0}
    (episode,) = ann["episodes"]
    assert (episode["state"], episode["positions"]) == ("residual", ["p1"])
    assert [one["outcome"] for one in episode["closes"]] == ["done", "done", "rejected"]
    assert [(a["position"], a["key"], a["answers_every_key"]) for a in ann["idempotency_map"]] == [
        ("1", "trigger-1", True),
        ("2", "trigger-1", True),
        ("3", "trigger-1", False),
    ]
    (bob,) = lines(run("replay", "--user", "bob", "--json"))
    assert (bob["lock"], bob["open_episodes"]) == (None, ["trigger-2"])


def test_replay_is_as_it_stood_then(run: Callable[..., Result]) -> None:
    def until(moment: str) -> dict[str, Any]:
        (found,) = lines(run("replay", "--user", "ann", "--until", moment, "--json"))
        return found

    between = until("2015-02-25T10:30:00.123459Z")
    assert between["open_episodes"] == ["trigger-1"]
    assert [a["position"] for a in between["idempotency_map"]] == ["1", "2"]
    assert [one["outcome"] for one in between["episodes"][0]["closes"]] == ["done", "done"]
    before = run("replay", "--user", "ann", "--until", AT)
    assert (before.exit_code, before.stdout) == (1, "")
    assert "--user='ann': nothing is recorded of this account before" in before.stderr


def test_replay_and_activation_remember_the_same(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    url, journal = f"duckdb:///{copy}/audit.duckdb", copy / "journal.sqlite"
    trail = open_trail(url, journal)
    rebuilt = {user: past_of(trail, user) for user in ("ann", "bob")}
    trail.close()
    with AuditLedger(url, journal, fills_by_itself=False) as ledger:
        opened = [episode.trigger_id for episode in ledger.open_episodes()]
        locks = list(ledger.locks())
        for history in ledger.histories(["ann", "bob"]):
            known = [
                (answer.result, answer.evidence) for answer in rebuilt[history.user_id].answers
            ]
            assert known == list(remembered(history))
    assert opened == [e.trigger_id for past in rebuilt.values() for e in past.episodes if e.is_open]
    assert locks == [past.lock for past in rebuilt.values() if past.lock]


def test_replay_is_read_at_80_columns(run: Callable[..., Result]) -> None:
    result = run("replay", "--user", "ann")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for told in ("episode residual", "trigger trigger-1", "done *", "p3  rejected", "locked since"):
        assert told in result.stdout
    assert "1 open" in run("replay", "--user", "bob").stdout


WRONG = [
    (("tail", "-n", "0"), "-n"),
    (("tail", "-n", "many"), "'-n'"),
    (("tail", "--user", " "), "--user=' '"),
    (("show", " "), "ID=' '"),
    (("search", "--user", ""), "--user=''"),
    (("search", "--position", ""), "--position=''"),
    (("search", "--trigger", ""), "--trigger=''"),
    (("search", "--close", ""), "--close=''"),
    (("search", "--type", "closed"), "'closed' is not one of 'position_closed'"),
    (("search", "--status", "bad"), "'bad' is not one of 'ok', 'warning', 'failed'"),
    (("search", "--since", "soon"), "--since='soon'"),
    (("search", "--until", "2y"), "--until='2y'"),
    (("search", "--since", "1h", "--until", "2h"), "--until='2h'"),
    (("search", "--limit", "0"), "--limit"),
    (("search", "--limit", "9999999"), "--limit"),
    (("search", "--namespace", ""), "--namespace=''"),
    (("search", "--store", "mysql://ann:secret@db/x"), "--store 'mysql://"),
    (("export", "out.xlsx"), "FILE='out.xlsx'"),
    (("export", "no/such/folder/out.csv"), "FILE='no/such/folder/out.csv'"),
    (("export", "out.csv", "--limit", "-1"), "--limit"),
    (("stats", "--since", "x"), "--since='x'"),
    (("replay", "--user", " "), "--user=' '"),
    (("replay",), "--user"),
    (("replay", "--user", "ann", "--until", "x"), "--until='x'"),
]


@pytest.mark.parametrize(("words", "named"), WRONG)
def test_a_wrong_option_is_named_with_its_value(
    run: Callable[..., Result], words: tuple[str, ...], named: str
) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in " ".join(result.stderr.replace("│", " ").split())
    assert "secret" not in result.stderr


def test_where_nothing_is_one_is_told_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", "tail", "--data-dir", str(tmp_path / "none")])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no such file" in result.stderr
    assert "no Ray cluster" in result.stderr
    assert not (tmp_path / "none").exists()


def test_the_environment_says_where_the_trail_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISK_ENGINE_DATA_DIR", str(folder))
    assert len(lines(CliRunner().invoke(app, ["audit", "tail", "--json"]))) == 9
    monkeypatch.setenv("RISK_ENGINE_NAMESPACE", "")
    refused = CliRunner().invoke(app, ["audit", "tail", "--json"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "RISK_ENGINE_NAMESPACE" in refused.stderr


def test_a_store_alone_is_read_without_the_usual_journal(folder: Path) -> None:
    url = f"duckdb:///{folder}/audit.duckdb"
    assert len(lines(CliRunner().invoke(app, ["audit", "tail", "--json", "--store", url]))) == 9


def test_a_damaged_store_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "audit.duckdb").write_bytes(b"no database" * 1000)
    result = CliRunner().invoke(app, ["audit", "stats", "--data-dir", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "left as it is" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["audit.duckdb"]


def test_a_cluster_that_does_not_answer_is_told_at_once(folder: Path) -> None:
    words = ["audit", "tail", "--data-dir", str(folder), "--address", "127.0.0.1:9"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no Ray cluster answers there" in result.stderr


def test_ctrl_c_ends_following_quietly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("actors.cli.audit.tail.time.sleep", interrupt)
    result = CliRunner().invoke(app, ["audit", "tail", "-f", "--json", "--data-dir", str(folder)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 9


def test_every_kind_of_record_can_be_asked_for(run: Callable[..., Result]) -> None:
    for kind in EventType:
        assert run("search", "--type", kind.value).exit_code == 0


def test_a_wrong_store_is_told_without_its_password_and_without_other_peoples_words() -> None:
    told = CliRunner().invoke(
        app, ["audit", "stats", "--store", "postgresql+psycopg://u:p@h/db?password=hidden-8"]
    )
    assert told.exit_code == 2
    assert told.stderr.startswith("audit_url='postgresql+psycopg://***@h/db?password=***'")
    assert "hidden-8" not in told.output
