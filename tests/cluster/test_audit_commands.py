"""The same command gives the same answer while an engine runs and after it has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from typer.testing import CliRunner, Result

from actors import RiskEngine
from actors.cli.audit.following import Following
from actors.cli.audit.reaching import Whereabouts, reached
from actors.cli.main import app
from audit.queries import RecordQuery
from audit.rows import COLUMNS, Row
from audit.trail import records
from engine.models import GuardTrigger, GuardType
from tests.cluster.conftest import EngineStarter
from tests.cluster.replaying import PRICES, account, path

_TYPE = COLUMNS.index("event_type")


@pytest.fixture
def engine(new_engine: EngineStarter, tmp_path: Path) -> Iterator[RiskEngine]:
    """An engine that has made one account flat."""
    with new_engine(tmp_path / "data", deal_lag_s=0.2) as engine:
        engine.share(PRICES, path(1.10, 1.09))
        engine.add_account(account("ann", 2))
        trigger = GuardTrigger("ann", GuardType.DRAWDOWN, "equity fell", trigger_id="t-ann")
        engine.result(engine.submit(trigger), timeout=60)
        yield engine


def run(engine: str, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(
        app, ["audit", *words, "--data-dir", str(folder / "data"), "--namespace", engine]
    )


def test_commands_answer_the_same_while_it_runs_and_after(
    engine: RiskEngine, tmp_path: Path
) -> None:
    namespace = engine.calls.namespace
    seen = next(records(engine.trail(), RecordQuery(user_id="ann", newest_first=True)))
    until = ("--until", "2999-01-01")
    commands = [
        ("search", "--json", "--user", "ann", "--type", "position_closed"),
        ("search", "--json", "--trigger", "t-ann"),
        ("search", "--trigger", "t-ann"),
        ("show", "t-ann"),
        ("show", seen.event_id, "--json"),
        ("tail", "--json", "--type", "position_closed"),
        ("stats", "--type", "position_closed", "--json", *until),
        ("replay", "--user", "ann", "--json", "--until", "2999-01-01"),
    ]
    running = [run(namespace, tmp_path, *words) for words in commands]
    exported = run(namespace, tmp_path, "export", str(tmp_path / "a.csv"), "--trigger", "t-ann")
    engine.shutdown()
    ended = [run(namespace, tmp_path, *words) for words in commands]
    again = run(namespace, tmp_path, "export", str(tmp_path / "b.csv"), "--trigger", "t-ann")
    for words, first, second in zip(commands, running, ended, strict=True):
        assert (first.exit_code, first.stderr) == (0, ""), words
        assert (second.exit_code, second.stderr) == (0, ""), words
        assert first.stdout, words
        assert _comparable(first) == _comparable(second), words
    assert (exported.exit_code, again.exit_code) == (0, 0)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def _comparable(result: Result) -> object:
    """Leave out what differs by right: the source, and what an engine's end adds."""
    if not result.stdout.startswith("{"):
        return result.stdout
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for one in found:
        one.pop("source", None)
        if "events" in one:
            one["events"] = [e for e in one["events"] if e["event_type"] != "stream_closed"]
            del one["records"]
    return found


def test_every_acknowledged_record_is_read_from_a_running_engine(engine: RiskEngine) -> None:
    trail = engine.trail()
    count = engine.count_records()
    assert len(list(records(trail))) == count
    assert sum(group.records for group in trail.groups(RecordQuery())) == count
    assert sum(extent.count for extent in trail.extents()) == count
    heads = {(head.stream, head.seq) for head in trail.heads()}
    assert heads == {(extent.head.stream, extent.head.seq) for extent in trail.extents()}
    assert trail.set_aside() == []
    assert [row[_TYPE] for row in trail.read_streams(["account:ann:1"], 0, 1)] == ["stream_opened"]


def test_an_engine_elsewhere_is_named_with_what_to_do(engine: RiskEngine, tmp_path: Path) -> None:
    result = run("nobody", tmp_path, "tail")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "a running process owns its journal" in result.stderr
    assert "--namespace or --address" in result.stderr


def test_an_engine_of_another_trail_is_not_taken_for_this_one(
    engine: RiskEngine, ray_address: str, tmp_path: Path
) -> None:
    words = ["audit", "tail", "--namespace", engine.calls.namespace, "--address", ray_address]
    result = CliRunner().invoke(app, [*words, "--data-dir", str(tmp_path / "other")])
    assert (result.exit_code, result.stdout) == (3, "")
    assert "writes to duckdb:///" in result.stderr
    assert CliRunner().invoke(app, [*words, "--json"]).exit_code == 0


def test_a_command_of_its_own_joins_the_cluster_and_leaves_it(
    engine: RiskEngine, ray_address: str, tmp_path: Path
) -> None:
    child = subprocess.run(
        [
            sys.executable, "-c", "from actors.cli.main import app; app()", "audit", "tail", "-n",
            "3", "--json", "--namespace", engine.calls.namespace, "--address", ray_address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert (child.returncode, child.stderr) == (0, "")
    assert len([json.loads(line) for line in child.stdout.splitlines()]) == 3
    assert ray.is_initialized()
    assert engine.accounts() == ["ann"]


def test_following_goes_on_over_an_engines_end(engine: RiskEngine, tmp_path: Path) -> None:
    where = Whereabouts(data_dir=tmp_path / "data", namespace=engine.calls.namespace)
    steps = iter([engine.shutdown, None])

    def pause(_: float) -> None:
        step = next(steps)
        if step is not None:
            step()

    following = Following(lambda: reached(where), where.fingerprint, pause)
    following.last(RecordQuery(), 1)
    rows: list[Row] = next(following.new(RecordQuery()))
    assert "engine_stopped" in [row[_TYPE] for row in rows]
