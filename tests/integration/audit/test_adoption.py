"""A lost journal: what the next one must know of the past comes from the store."""

from __future__ import annotations

from pathlib import Path

from audit.chain import ChainWriter
from audit.events import (
    account_locked,
    account_released,
    close_accepted,
    episode_finished,
    plain_event,
    trigger_accepted,
)
from audit.ledger import AuditLedger
from audit.opening import open_store
from audit.receipts import AccountLock
from audit.records import AuditRecord, EventType
from audit.rows import row_of
from engine.mandates import DirectClose
from engine.models import GuardTrigger, GuardType
from tests.conformance.audit_store.conftest import url
from tests.unit.audit.samples import NOW, a_chain, a_trigger

__all__ = ["url"]  # of each database in turn


def _lose(journal: Path) -> None:
    for file in journal.parent.glob(journal.name + "*"):
        file.unlink()


def _write(ledger: AuditLedger, owner: str, *records: AuditRecord) -> ChainWriter:
    opened = ledger.open_stream(owner)
    writer = ChainWriter(opened.stream, opened.predecessor)
    sealed = [writer.seal(record) for record in records]
    assert len(ledger.append(sealed).acknowledged) == len(records)
    return writer


def _end(trigger_id: str) -> AuditRecord:
    return episode_finished(trigger_id, "u1", occurred_at=NOW, closed=1, residual=0)


def _began(user_id: str, process: str) -> AuditRecord:
    return plain_event(
        EventType.STREAM_OPENED, user_id, occurred_at=NOW, details={"process": process}
    )


def test_open_episodes_locks_and_lives_are_taken_over(url: str, journal_path: Path) -> None:
    sweep = GuardTrigger(
        "u1", GuardType.DRAWDOWN, "sweep", inputs={"sweep_of": "trigger-1", "sweep": 3}
    )
    with AuditLedger(url, journal_path) as ledger:
        _write(
            ledger,
            "supervisor",
            trigger_accepted(a_trigger(1), occurred_at=NOW),
            account_locked("u1", "trigger-1", occurred_at=NOW),
            account_locked("u2", "trigger-9", occurred_at=NOW),
            close_accepted(DirectClose("c1", "u1", "by hand", None), occurred_at=NOW),
            _end("trigger-1"),
        )
        _write(
            ledger,
            "supervisor",
            account_released("u2", occurred_at=NOW, initiator="ann"),
            trigger_accepted(sweep, occurred_at=NOW),
        )
        _write(ledger, "account:u1", _began("u1", "77/1"), a_closed_end("u1"))
        _write(ledger, "account:u2", _began("u2", "78/1"))
    _lose(journal_path)
    with AuditLedger(url, journal_path) as ledger:
        assert {one.trigger_id for one in ledger.open_episodes()} == {"c1", sweep.trigger_id}
        assert ledger.locks() == (AccountLock("u1", "trigger-1", NOW, 3),)
        assert ledger.newest_lives(["supervisor", "account:u1", "account:u3"]) == {
            "supervisor": 2,
            "account:u1": 1,
            "account:u3": 0,
        }
        first, second = ledger.open_streams(["account:u1", "account:u2"])
        assert (first.predecessor_ended_cleanly, first.predecessor_process) == (True, "77/1")
        assert (second.predecessor_ended_cleanly, second.predecessor_process) == (False, "78/1")
        episode = ledger.finished_episode("trigger-1")
        assert episode is not None
        assert episode.user_id == "u1"
        assert ledger.finished_episode("c1") is None
        assert ledger.finished_episode("never") is None
        assert ledger.verify().ok


def a_closed_end(user_id: str) -> AuditRecord:
    return plain_event(EventType.STREAM_CLOSED, user_id, occurred_at=NOW)


def test_histories_come_from_the_store_alone(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        chain = a_chain(5, ledger.open_stream("account:u1").stream)
        ledger.append(chain)
    _lose(journal_path)
    with AuditLedger(url, journal_path) as ledger:
        (history,) = ledger.histories(["u1"])
        assert history.is_complete
        assert history.closes == tuple(record.body for record in chain)


def test_records_that_only_the_lost_journal_had_are_a_gap_with_a_name(
    url: str, journal_path: Path
) -> None:
    with AuditLedger(url, journal_path) as ledger:
        chain = a_chain(9, ledger.open_stream("account:u1").stream)
        ledger.append(chain[:3])
    _lose(journal_path)
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.append(chain[6:]).acknowledged == {one.event_id for one in chain[6:]}
        assert ledger.drain()
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.drain()
        (gap,) = ledger.gaps()
        assert str(gap) == "account:u1:1@4..6 (3)"
        assert "account:u1:1@4..6 (3)" in ledger.status().alarms[-1]
        problem = ledger.verify().problem
        assert problem is not None
        assert problem.seq == 7
        ledger.append(chain[3:6])
        assert ledger.verify().ok
    with AuditLedger(url, journal_path) as ledger:
        assert ledger.gaps() == ()


def test_what_was_put_into_the_store_is_not_acted_on(url: str, journal_path: Path) -> None:
    with AuditLedger(url, journal_path) as ledger:
        writer = _write(ledger, "supervisor", trigger_accepted(a_trigger(1), occurred_at=NOW))
        assert ledger.drain()
    forged = [
        writer.seal(trigger_accepted(a_trigger(2), occurred_at=NOW)),
        writer.seal(account_locked("u1", "trigger-2", occurred_at=NOW)),
        writer.seal(_end("trigger-1")),
    ]
    store = open_store(url)
    assert store.insert_batch([row_of(record, NOW, False) for record in forged]).inserted == 3
    store.close()
    with AuditLedger(url, journal_path) as ledger:
        assert [one.trigger_id for one in ledger.open_episodes()] == ["trigger-1"]
        assert ledger.locks() == ()
        alarm = ledger.status().alarms[0]
        assert "trigger_accepted of 'trigger-2', account_locked of 'trigger-2'" in alarm
        assert "somebody wrote to the store" in alarm
        (opened,) = ledger.open_streams(["supervisor"])
        again = ChainWriter(opened.stream, opened.predecessor)
        record = again.seal(trigger_accepted(a_trigger(3), occurred_at=NOW))
        assert ledger.append([record]).acknowledged == {record.event_id}
        assert ledger.drain()
        assert ledger.set_aside() == ()
