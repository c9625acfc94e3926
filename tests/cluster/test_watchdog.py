"""A broker's call that hangs for ever holds its whole process, and so its account, but no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.models import GuardTrigger, GuardType
from tests.chaos.engine_runs import venue_of
from tests.cluster.conftest import EngineStarter
from tests.cluster.waiting import wait_until

SILENCE_S, WINDOW_S, LATENCY_S, EACH = 8.0, 1.0, 0.05, 5


@pytest.mark.parametrize("holds_orders", [False, True])
def test_an_account_that_hangs_is_replaced_and_gets_flat(
    new_engine: EngineStarter, tmp_path: Path, holds_orders: bool
) -> None:
    venue = venue_of(EACH, "hung", "other", latency_ms=LATENCY_S * 1_000)
    waits = {
        "settle_window_s": WINDOW_S,
        "deal_lag_s": 1.0,
        "send_deadline_s": 5.0,
        "silence_s": SILENCE_S,
        "lease_s": 5.0,
    }
    with venue, new_engine(tmp_path, **waits) as engine:
        for account in venue.plan.accounts:
            engine.add_account(venue.spec(account.login, timeout_s=600.0))

        def closes(login: int) -> int:
            return venue.control.counts()[login].closes

        triggers = [GuardTrigger(name, GuardType.OPERATOR, "test") for name in ("hung", "other")]
        engine.submit_many(triggers)
        wait_until(lambda: closes(1) >= 1, what="nothing was closed before the hang")
        venue.control.hang(1, holds_orders=holds_orders)
        other = engine.result(triggers[1].trigger_id, timeout=SILENCE_S)
        assert other.successful_closes == EACH
        wait_until(
            lambda: any("hung" in alarm and "killed" in alarm for alarm in engine.status().alarms),
            within_s=3 * SILENCE_S,
            what="the silent process was not killed",
        )
        venue.control.release(1)
        result = engine.result(
            triggers[0].trigger_id, timeout=SILENCE_S + WINDOW_S + EACH * LATENCY_S
        )
        counts = venue.control.counts()[1]
        assert (counts.open_positions, counts.closes, counts.double_closes) == (0, EACH, ())
        assert result.failed_closes == 0
        assert engine.verify_records() is None
