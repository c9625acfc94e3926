"""Histories and ended episodes: from the journal first, from the store if that can be asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from audit.backlog import Backlog
from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.errors import StoreUnavailable
from audit.events import episode_finished, trigger_accepted
from audit.filler import Filler, FillPolicy
from audit.journal import Journal
from audit.recall import Recall
from audit.receipts import AccountHistory
from audit.records import AuditRecord
from audit.replay import remembered
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import (
    NOW,
    ManualClock,
    a_chain,
    a_close,
    a_result,
    a_shared_answer,
    a_trigger,
    an_evidence,
)


class Audit:
    """Journal, filler and store in one thread; the journal keeps five stored records whole."""

    def __init__(self, journal: Journal, clock: ManualClock, identities: int = 1_000) -> None:
        self.journal = journal
        self.store = MemoryStore()
        self.backlog = Backlog(journal, keep_whole=5, keep_identities=identities)
        policy = FillPolicy(checkpoint_rows=1)
        self.filler = Filler(self.backlog, self.store, clock=clock, policy=policy)
        self.recall = Recall(journal, self.backlog, self.filler, self.store, patience_s=0.01)

    def close_positions(self, count: int, user_id: str = "u1", first: int = 1) -> list[bytes]:
        opened = self.journal.open_stream(f"account:{user_id}")
        writer = ChainWriter(opened.stream, opened.predecessor)
        return self.append(a_chain(count, opened.stream, first, writer))

    def run_episode(self, number: int, user_id: str = "u1") -> tuple[bytes, ...]:
        """Accept, and finish; the closes are written by others."""
        opened = self.journal.open_stream("supervisor")
        writer = ChainWriter(opened.stream, opened.predecessor)
        trigger = a_trigger(number, user_id)
        end = episode_finished(trigger.trigger_id, user_id, occurred_at=NOW, closed=1, residual=0)
        records = trigger_accepted(trigger, occurred_at=NOW), end
        return tuple(self.append([writer.seal(record) for record in records]))

    def append(self, records: list[SealedRecord]) -> list[bytes]:
        assert len(self.journal.append(records).acknowledged) == len(records)
        return [record.body for record in records]

    def fill(self) -> None:
        assert self.filler.drain(1)


@pytest.fixture
def audit(journal: Journal, clock: ManualClock) -> Iterator[Audit]:
    audit = Audit(journal, clock)
    yield audit
    audit.backlog.close()


def _history(audit: Audit, user_id: str = "u1") -> AccountHistory:
    (history,) = audit.recall.histories([user_id])
    return history


def test_what_is_not_stored_yet_is_all_in_the_journal(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    assert _history(audit) == AccountHistory("u1", tuple(bodies), True)
    first = (replace(a_result(1), durable=True), an_evidence(1))
    assert next(remembered(_history(audit))) == first
    assert audit.store.opened == 0


def test_what_the_journal_forgot_comes_from_the_store(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    bodies += audit.close_positions(3, first=50)
    assert _history(audit) == AccountHistory("u1", tuple(bodies), True)
    assert audit.store.queries == 1


def test_lives_follow_each_other_whatever_the_clocks_and_names_say(audit: Audit) -> None:
    bodies: list[bytes] = []
    for life in range(1, 13):
        bodies += audit.close_positions(2, first=1000 - 10 * life)
    audit.fill()
    assert _history(audit).closes == tuple(bodies)


def test_several_accounts_are_answered_in_the_order_asked(audit: Audit) -> None:
    bodies = {name: audit.close_positions(8, name, 10 * n) for n, name in enumerate("abc")}
    audit.fill()
    audit.run_episode(1, "a")
    histories = audit.recall.histories(["c", "nobody", "a", "c"])
    assert [(one.user_id, list(one.closes)) for one in histories] == [
        ("c", bodies["c"]),
        ("nobody", []),
        ("a", bodies["a"]),
        ("c", bodies["c"]),
    ]
    assert all(one.is_complete for one in histories)
    assert audit.store.queries == 1


def test_without_the_store_a_history_says_that_it_is_incomplete(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    late = audit.close_positions(2, "u2", 50)
    audit.store.failures = 1_000
    first, second = audit.recall.histories(["u1", "u2"])
    assert first == AccountHistory("u1", tuple(bodies[15:]), False)
    assert second == AccountHistory("u2", tuple(late), True)
    audit.store.failures = 0
    assert not _history(audit).is_complete, "it failed, so it is opened anew before it is used"
    audit.fill()
    assert _history(audit) == AccountHistory("u1", tuple(bodies), True)


def test_a_store_that_lost_records_for_good_makes_histories_incomplete(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.close_positions(8, "u2", 50)
    audit.fill()
    for event_id in list(audit.store.rows)[:2]:
        del audit.store.rows[event_id]
    audit.filler.distrust(StoreUnavailable("look again"))
    audit.fill()
    first, second = audit.recall.histories(["u1", "u2"])
    assert (first.is_complete, second.is_complete) == (False, True)
    assert set(first.closes) == set(bodies[2:])


def test_a_store_in_the_middle_of_a_batch_is_not_waited_for(audit: Audit) -> None:
    old = audit.close_positions(20)
    audit.fill()
    begun, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        begun.set()
        assert go_on.wait(30)

    audit.store.meanwhile = stand_still
    new = audit.close_positions(1, first=50)
    filling = threading.Thread(target=audit.filler.step)
    filling.start()
    assert begun.wait(30)
    try:
        assert _history(audit) == AccountHistory("u1", tuple(old[15:] + new), False)
        assert audit.close_positions(1, "u2", 60), "appending goes on"
    finally:
        go_on.set()
        filling.join(30)
    assert _history(audit) == AccountHistory("u1", tuple(old + new), True)


def test_a_record_set_aside_does_not_make_a_history_incomplete(audit: Audit) -> None:
    audit.close_positions(2)
    opened = audit.journal.open_stream("account:u1")
    chain = a_chain(2, opened.stream, 2, ChainWriter(opened.stream, opened.predecessor))
    assert len(audit.journal.append(chain).set_aside) == 1
    assert len(_history(audit).closes) == 3
    assert _history(audit).is_complete
    assert audit.store.opened == 0


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("later", [0, 40])
def test_an_ended_episode_is_found(audit: Audit, is_stored: bool, later: int) -> None:
    closes = audit.close_positions(2)
    other = ChainWriter("account:u1:2", None)
    audit.append([other.seal(one) for one in _closes_of_another_trigger()])
    accepted, finished = audit.run_episode(1)
    if later:
        audit.close_positions(later, "u2", 100)
    if is_stored:
        audit.fill()
    episode = audit.recall.finished_episode("trigger-1")
    assert episode is not None
    assert (episode.trigger_id, episode.user_id) == ("trigger-1", "u1")
    assert (episode.accepted, episode.finished) == (accepted, finished)
    assert episode.closes == tuple(closes)
    assert (audit.store.queries > 0) == (is_stored and later > 0)


def _closes_of_another_trigger() -> list[AuditRecord]:
    return [close_record(a_result(9), an_evidence(9, "trigger-9"), user_id="u1")]


def test_an_unknown_or_open_episode_needs_no_store(audit: Audit) -> None:
    audit.run_episode(1)
    audit.close_positions(20)
    audit.fill()
    opened = audit.journal.open_stream("supervisor")
    writer = ChainWriter(opened.stream, opened.predecessor)
    audit.append([writer.seal(trigger_accepted(a_trigger(2), occurred_at=NOW))])
    audit.store.failures = 1_000
    assert audit.recall.finished_episode("trigger-2") is None
    assert audit.recall.finished_episode("trigger-3") is None
    assert audit.store.queries == 0


def test_an_episode_that_only_the_store_holds_needs_it(audit: Audit) -> None:
    audit.run_episode(1)
    audit.close_positions(20)
    audit.fill()
    audit.store.failures = 1
    with pytest.raises(StoreUnavailable, match=r"trigger_id='trigger-1'.*ask again later"):
        audit.recall.finished_episode("trigger-1")
    audit.fill()
    assert audit.recall.finished_episode("trigger-1") is not None


def test_shared_answers_come_from_journal_and_store_but_are_no_closes_of_an_episode(
    audit: Audit,
) -> None:
    opened = audit.journal.open_stream("account:u1")
    writer = ChainWriter(opened.stream, opened.predecessor)
    shared = replace(a_shared_answer(), trigger_id="trigger-1")
    bodies = audit.append([writer.seal(record) for record in (a_close(), shared)])
    audit.run_episode(1)
    assert _history(audit).closes == tuple(bodies)
    bodies += audit.append(a_chain(8, opened.stream, 2, writer))
    audit.fill()
    assert _history(audit) == AccountHistory("u1", tuple(bodies), True)
    assert audit.store.queries == 1
    episode = audit.recall.finished_episode("trigger-1")
    assert episode is not None
    assert bodies[1] not in episode.closes
    assert bodies[0] in episode.closes
