from __future__ import annotations

from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import ChainWriter
from audit.events import (
    account_locked,
    account_released,
    close_accepted,
    episode_finished,
    mandate_of,
    trigger_accepted,
)
from audit.journal import Journal
from audit.receipts import AccountLock
from audit.records import AuditRecord, record_of
from engine.mandates import DirectClose
from engine.models import GuardTrigger, GuardType
from tests.unit.audit.samples import NOW, a_trigger


class Supervisor:
    """Writes records of one life into a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.chain = ChainWriter(journal.open_stream("supervisor").stream)

    def say(self, *records: AuditRecord) -> None:
        sealed = [self.chain.seal(record) for record in records]
        receipt = self.journal.append(sealed)
        assert receipt.acknowledged == {record.event_id for record in sealed}


@pytest.fixture
def supervisor(journal: Journal) -> Supervisor:
    return Supervisor(journal)


def _sweep(number: object, of: object = "t1", user_id: str = "u1") -> AuditRecord:
    trigger = GuardTrigger(
        user_id, GuardType.DRAWDOWN, "sweep", inputs={"sweep_of": of, "sweep": number}
    )
    return trigger_accepted(trigger, occurred_at=NOW)


def _end(trigger_id: str, user_id: str = "u1") -> AuditRecord:
    return episode_finished(trigger_id, user_id, occurred_at=NOW, closed=1, residual=0)


def test_a_direct_close_is_an_episode(journal: Journal, supervisor: Supervisor) -> None:
    close = DirectClose("c1", "u1", "by hand", None)
    supervisor.say(close_accepted(close, occurred_at=NOW))
    (episode,) = journal.open_episodes()
    assert (episode.trigger_id, episode.user_id) == ("c1", "u1")
    assert mandate_of(record_of(episode.body)) == close
    supervisor.say(_end("c1"))
    assert journal.open_episodes() == ()


def test_an_account_is_locked_until_it_is_released(journal_path: Path) -> None:
    journal = Journal(journal_path)
    supervisor = Supervisor(journal)
    supervisor.say(
        account_locked("u1", "t1", occurred_at=NOW), account_locked("u2", "t2", occurred_at=NOW + 1)
    )
    journal.close()
    journal = Journal(journal_path)
    assert journal.locks() == (
        AccountLock("u1", "t1", NOW, 0),
        AccountLock("u2", "t2", NOW + 1, 0),
    )
    supervisor.journal = journal
    supervisor.say(account_released("u1", occurred_at=NOW + 2, initiator="ann"))
    assert [lock.user_id for lock in journal.locks()] == ["u2"]
    supervisor.say(account_locked("u1", "t1", occurred_at=NOW + 3))
    assert {lock.user_id: lock.locked_at for lock in journal.locks()}["u1"] == NOW + 3
    journal.close()


def test_the_first_lock_stands(journal: Journal, supervisor: Supervisor) -> None:
    supervisor.say(
        account_locked("u1", "t1", occurred_at=NOW), account_locked("u1", "t2", occurred_at=NOW + 1)
    )
    assert [lock.trigger_id for lock in journal.locks()] == ["t1"]


def test_sweeps_are_counted_by_what_was_accepted(journal: Journal, supervisor: Supervisor) -> None:
    supervisor.say(account_locked("u1", "t1", occurred_at=NOW), _sweep(1), _sweep(2))
    supervisor.say(_sweep(9, of="t9"), _sweep(8, user_id="u2"), _sweep("7"), _sweep(True))
    supervisor.say(_sweep(6, of=3), _sweep(1), trigger_accepted(a_trigger(), occurred_at=NOW))
    assert journal.locks() == (AccountLock("u1", "t1", NOW, 2),)
    supervisor.say(
        account_released("u1", occurred_at=NOW + 1, initiator="ann"),
        account_locked("u1", "t1", occurred_at=NOW + 2),
    )
    assert journal.locks() == (AccountLock("u1", "t1", NOW + 2, 0),)


def test_an_ended_episode_is_known_for_ever_and_whole_for_a_while(
    journal: Journal, supervisor: Supervisor
) -> None:
    accepted = trigger_accepted(a_trigger(1), occurred_at=NOW)
    supervisor.say(accepted, _end("trigger-1"))
    supervisor.say(trigger_accepted(a_trigger(2), occurred_at=NOW), _end("trigger-2"))
    known = journal.ended_episode("trigger-1")
    assert known is not None
    assert known.user_id == "u1"
    assert known.accepted is not None
    assert record_of(known.accepted).event_id == accepted.event_id
    backlog = Backlog(journal, keep_whole=2, keep_identities=2)
    backlog.mark_stored(4)
    backlog.close()
    known, other = journal.ended_episode("trigger-1"), journal.ended_episode("trigger-2")
    assert known is not None
    assert other is not None
    assert (known.accepted, known.finished) == (None, None)
    assert other.finished is not None
    assert journal.ended_episode("trigger-3") is None
    assert journal.finished_names() == ("trigger-2", "trigger-1")
    assert journal.finished_names(1) == ("trigger-2",)
    assert journal.knows_all_episodes
