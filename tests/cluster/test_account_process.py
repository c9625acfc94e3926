"""The account actor as a process of its own: what it carries, and how its death is survived."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
import ray

from actors import RiskEngine, placement
from audit.queries import RecordQuery
from audit.records import EventType
from engine.models import GuardTrigger, GuardType
from tests.cluster.conftest import EngineStarter
from tests.cluster.replaying import PRICES, account, path

SETTLE_WINDOW_S = 1.5
TOO_HEAVY = {"pandas", "numpy", "pyarrow", "duckdb", "sqlalchemy"}


def test_an_accounts_process_imports_no_database_and_no_arrays(engine: RiskEngine) -> None:
    if find_spec("pyarrow") is not None:
        pytest.skip("pyarrow is installed, which Ray then imports in every process, with numpy")
    engine.share(PRICES, path(1.10, 1.09))
    engine.add_account(account("ann"))
    trigger_id = engine.submit(GuardTrigger("ann", GuardType.OPERATOR, "test"))
    assert engine.result(trigger_id, timeout=60).successful_closes == 3
    actor = placement.find(engine.calls.namespace, placement.account_name("ann"))
    modules = set(ray.get(actor.modules.remote()))
    assert {"engine", "audit", "actors", "ray"} <= modules
    assert modules & TOO_HEAVY == set()


def test_a_killed_account_is_served_again_after_the_settle_window(
    new_engine: EngineStarter, tmp_path: Path
) -> None:
    with new_engine(tmp_path, settle_window_s=SETTLE_WINDOW_S) as engine:
        engine.share(PRICES, path(1.10, 1.09))
        victim = engine.add_account(account("victim", 2))
        engine.add_account(account("bystander", 2))
        (ticket, _) = [position.ticket for position in engine.book("bystander").positions]

        os.kill(victim.pid, signal.SIGKILL)
        hit = engine.submit(GuardTrigger("victim", GuardType.OPERATOR, "test"))
        assert engine.close_position("p", ticket, "bystander", "test").success
        with pytest.raises(TimeoutError):
            engine.result(hit, timeout=0)
        bulk = engine.result(hit, timeout=120)

        assert (bulk.successful_closes, bulk.failed_closes) == (2, 0)
        assert all(result.durable for result in bulk.results)
        lives = {status.user_id: status.incarnation for status in engine.status().accounts}
        assert lives == {"victim": 2, "bystander": 1}
        opened, *closes = engine.records(
            RecordQuery(
                user_id="victim", event_types=(EventType.STREAM_OPENED, EventType.POSITION_CLOSED)
            )
        )[1:]
        assert opened.event_type is EventType.STREAM_OPENED
        assert len(closes) == 2
        waited_us = min(close.sent_at or 0 for close in closes) - opened.occurred_at
        assert waited_us >= SETTLE_WINDOW_S * 1_000_000
        assert engine.verify_records() is None
