"""A trail that an engine left behind: two accounts, good and bad ends, one thing still open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit.chain import ChainWriter
from audit.closes import close_record
from audit.events import account_locked, episode_finished, plain_event, trigger_accepted
from audit.ledger import AuditLedger
from audit.records import EventType
from engine.outcomes import Outcome
from tests.unit.audit.samples import NOW, ManualClock, a_close, a_result, a_trigger, an_evidence


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an engine that has ended. Nothing may change it."""
    folder = tmp_path_factory.mktemp("left") / "data"
    clock = ManualClock()
    with AuditLedger(
        f"duckdb:///{folder}/audit.duckdb",
        folder / "journal.sqlite",
        clock=clock,
        fills_by_itself=False,
    ) as ledger:
        ann, bob, engine = (
            ChainWriter(opened.stream, opened.predecessor, version="0.1.0", config_hash="c0ffee")
            for opened in ledger.open_streams(["account:ann", "account:bob", "supervisor"])
        )
        failed = replace(
            a_result(3),
            success=False,
            outcome=Outcome.REJECTED,
            pnl=None,
            closed_price=None,
            volume=0.0,
            error_message="trading is disabled (10017)",
        )
        trigger = a_trigger(1, "ann")
        facts = [
            (engine, trigger_accepted(trigger, occurred_at=NOW)),
            (engine, account_locked("ann", trigger.trigger_id, occurred_at=NOW)),
            (ann, plain_event(EventType.STREAM_OPENED, "ann", "account:ann:1", occurred_at=NOW)),
            (ann, a_close(1, "ann")),
            (ann, a_close(2, "ann")),
            (ann, close_record(failed, an_evidence(3), user_id="ann")),
            (
                engine,
                episode_finished(
                    trigger.trigger_id,
                    "ann",
                    occurred_at=NOW + 900,
                    closed=2,
                    residual=1,
                    details={"close_ids": [a_result(n).close_id for n in (1, 2, 3)]},
                ),
            ),
            (engine, trigger_accepted(a_trigger(2, "bob"), occurred_at=NOW + 1_000_000)),
            (bob, a_close(4, "bob", "trigger-2")),
        ]
        for writer, record in facts:
            clock.us = NOW + 2_000_000
            ledger.append([writer.seal(record)])
    return folder
