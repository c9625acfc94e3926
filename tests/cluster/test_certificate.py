"""Certificates and reconciling on a running engine, by handle and by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors import AsyncRiskEngine, RiskEngine
from actors.cli.main import app
from audit.errors import UnknownEpisode
from engine.models import GuardTrigger, GuardType
from tests.cluster.conftest import EngineStarter
from tests.cluster.replaying import PRICES, account, path


@pytest.fixture(scope="module")
def engine(
    new_engine: EngineStarter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RiskEngine]:
    """One engine with one account that was made flat."""
    with new_engine(tmp_path_factory.mktemp("certified"), deal_lag_s=0.2) as engine:
        engine.share(PRICES, path(1.10, 1.09, 1.08))
        engine.add_accounts([account("ann")])
        trigger = GuardTrigger("ann", GuardType.DRAWDOWN, "equity fell", trigger_id="t1")
        engine.result(engine.submit(trigger), timeout=60)
        yield engine


def test_a_handle_gives_the_certificate(engine: RiskEngine) -> None:
    made = engine.certificate("t1")
    assert (made.title, made.is_good) == ("FLAT", True)
    assert made.before is not None
    assert made.before.open == len(made.closes) > 0
    attempt = made.closes[0].evidence.attempts[0]
    assert attempt.details["request.comment"], "the request is on record"
    assert "answer.retcode" in attempt.details, "and the answer"
    with pytest.raises(UnknownEpisode, match="nobody"):
        engine.certificate("nobody")


async def test_the_awaitable_handle_does_the_same(engine: RiskEngine) -> None:
    handle = await AsyncRiskEngine.attach(namespace=engine.calls.namespace)
    made = await handle.certificate("t1")
    assert made.title == "FLAT"
    (report,) = await handle.reconcile("ann")
    assert report.is_clean


def test_store_and_broker_agree(engine: RiskEngine) -> None:
    (report,) = engine.reconcile()
    assert report.error is None
    assert report.closes == len(engine.certificate("t1").closes)
    assert report.deals >= 2 * report.closes
    assert report.differences == ()


def test_the_commands_ask_the_running_engine(engine: RiskEngine, tmp_path: Path) -> None:
    namespace = engine.calls.namespace
    page = tmp_path / "certificate.html"
    run = CliRunner()
    where = ["--namespace", namespace, "--address", "auto"]
    told = run.invoke(app, ["audit", "certificate", "t1", "--json", "--html", str(page), *where])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["title"] == "FLAT"
    assert "<h1>FLAT</h1>" in page.read_text(encoding="utf-8")
    compared = run.invoke(app, ["audit", "reconcile", "--user", "ann", "--json", *where])
    assert compared.exit_code == 0, compared.output
    assert json.loads(compared.stdout)["accounts"][0]["differences"] == []
    unknown = run.invoke(app, ["audit", "reconcile", "--user", "nobody", *where])
    assert unknown.exit_code == 3
    assert "user_id='nobody'" in unknown.output


def test_without_an_engine_reconciling_says_what_to_do(ray_address: str) -> None:
    told = CliRunner().invoke(app, ["audit", "reconcile", "--namespace", "nobody-here"])
    assert told.exit_code == 3
    assert "start the engine with its accounts" in told.output
