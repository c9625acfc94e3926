"""What a store says is held against the journal: what was done to it is told, and not believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from audit import proving
from audit.adoption import adopt_store
from audit.chain import ChainWriter, SealedRecord
from audit.closes import close_record
from audit.journal import Journal
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row, row_of
from tests.unit.audit.samples import (
    NOW,
    ManualClock,
    a_chain,
    a_close,
    a_result,
    an_evidence,
)
from tests.unit.audit.test_recall import Audit, _history

STREAM_1 = "account:u1:1"
PNL = COLUMNS.index("pnl")


@pytest.fixture
def audit(journal: Journal, clock: ManualClock) -> Iterator[Audit]:
    """One whose journal remembers no more than it holds whole: the last five records."""
    audit = Audit(journal, clock, identities=5)
    yield audit
    audit.backlog.close()


@pytest.fixture
def remembering(journal: Journal, clock: ManualClock) -> Iterator[Audit]:
    """One whose journal remembers the hashes of all records."""
    audit = Audit(journal, clock)
    yield audit
    audit.backlog.close()


def _stored(audit: Audit, seq: int, stream: str = STREAM_1) -> Row:
    (row,) = (r for r in audit.store.rows.values() if (r[STREAM], r[SEQ]) == (stream, seq))
    return row


def _put(audit: Audit, record: SealedRecord) -> None:
    """Put a record in, in the place of the one there."""
    row = row_of(record, NOW, False)
    place = (row[STREAM], row[SEQ])
    audit.store.rows = {k: r for k, r in audit.store.rows.items() if (r[STREAM], r[SEQ]) != place}
    audit.store.rows[row[EVENT_ID]] = row


def _forged(count: int, stream: str, at: int) -> list[SealedRecord]:
    """Make a chain anew, as long as the true one, that says another P&L at one number."""
    writer = ChainWriter(stream, version="0.1.0", config_hash="c0ffee")
    records = []
    for number in range(1, count + 1):
        record = a_close(number)
        if number == at:
            result = replace(a_result(number), pnl=1e6)
            record = close_record(result, an_evidence(number), user_id="u1")
        records.append(writer.seal(record))
    return records


def _told(audit: Audit) -> str:
    (alarm,) = audit.filler.alarms
    return alarm


def test_a_whole_store_is_believed_without_a_word(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.close_positions(20, "u2", 50)
    audit.fill()
    assert _history(audit).closes == tuple(bodies)
    assert _history(audit).is_complete
    assert not audit.filler.alarms


def test_an_altered_record_and_what_only_it_could_prove_are_not_believed(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    row = list(_stored(audit, 4))
    row[PNL] = 1e6
    audit.store.rows[row[EVENT_ID]] = tuple(row)
    history = _history(audit)
    assert history.closes == tuple(bodies[4:])
    assert not history.is_complete
    alarm = _told(audit)
    assert f"record {STREAM_1}@4 (event {row[EVENT_ID]}): its content does not have" in alarm
    assert "4 records of this stream are not believed" in alarm
    assert "risk-engine audit verify" in alarm
    _history(audit)
    assert len(audit.filler.alarms) == 1, "it is told once"


def test_where_the_journal_remembers_hashes_the_altered_record_alone_is_lost(
    remembering: Audit,
) -> None:
    bodies = remembering.close_positions(20)
    remembering.fill()
    row = list(_stored(remembering, 4))
    row[PNL] = 1e6
    remembering.store.rows[row[EVENT_ID]] = tuple(row)
    assert _history(remembering).closes == (*bodies[:3], *bodies[4:])
    assert "1 records of this stream are not believed" in _told(remembering)


def test_a_chain_made_anew_up_to_what_the_journal_holds_is_not_believed(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    for record in _forged(15, STREAM_1, 4):
        _put(audit, record)
    history = _history(audit)
    assert history.closes == tuple(bodies[15:])
    assert not history.is_complete
    assert f"{STREAM_1}@15" in _told(audit)
    assert "another hash than its chain" in _told(audit)


def test_a_removed_record_is_named(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    del audit.store.rows[_stored(audit, 10)[EVENT_ID]]
    history = _history(audit)
    assert history.closes == tuple(bodies[10:])
    assert not history.is_complete
    assert f"{STREAM_1}@10 (event unknown): is missing from the store" in _told(audit)


def test_a_whole_stream_that_is_removed_is_named(audit: Audit) -> None:
    audit.close_positions(3)
    bodies = audit.close_positions(20, first=50)
    audit.fill()
    gone = [name for name, row in audit.store.rows.items() if row[STREAM] == STREAM_1]
    for name in gone:
        del audit.store.rows[name]
    history = _history(audit)
    assert history.closes == tuple(bodies)
    assert not history.is_complete
    assert f"{STREAM_1}@3" in _told(audit)


def test_what_was_put_in_is_not_read(audit: Audit) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    for stream in ("account:u1:9", "account:u2:1", "supervisor:1"):
        _put(audit, ChainWriter(stream).seal(a_close(77 + len(audit.store.rows))))
    writer = ChainWriter(STREAM_1)
    behind = [writer.seal(a_close(200 + number)) for number in range(22)][-1]
    _put(audit, behind)
    assert _history(audit).closes == tuple(bodies)
    assert _history(audit).is_complete


def test_answers_beyond_the_journals_end_count_after_a_restart_with_an_alarm(
    audit: Audit, journal: Journal
) -> None:
    bodies = audit.close_positions(20)
    audit.fill()
    _put(audit, ChainWriter("account:u1:2").seal(a_close(77)))
    longer = a_chain(22)[20:]
    for record in longer:
        _put(audit, record)
    assert "the store goes on where the journal ends" in str(adopt_store(journal, audit.store))
    history = _history(audit)
    assert history.is_complete
    assert len(history.closes) == len(bodies) + 3
    assert {*bodies, *(record.body for record in longer)} < set(history.closes)


def test_what_the_journal_knew_itself_is_not_proven_by_an_end_that_was_put_in(
    audit: Audit, journal: Journal
) -> None:
    audit.close_positions(20)
    audit.close_positions(20, "u2", 50)  # the journal forgets all of u1 but its stream's end
    audit.fill()
    for record in (forged := _forged(21, STREAM_1, 4)):
        _put(audit, record)
    adopt_store(journal, audit.store)
    assert _history(audit).closes == (forged[-1].body,)
    assert f"{STREAM_1}@20" in _told(audit)
    assert "another hash than its chain" in _told(audit)


def test_who_goes_on_with_a_stream_that_was_taken_over_proves_it(
    audit: Audit, journal: Journal
) -> None:
    writer = ChainWriter(audit.journal.open_stream("account:u1").stream)
    bodies = audit.append(a_chain(3, writer=writer))
    audit.fill()
    lost = a_chain(4, first=4, writer=writer)  # acknowledged, and lost with the journal's end
    for record in lost:
        _put(audit, record)
    adopt_store(journal, audit.store)
    assert len(_history(audit).closes) == 7
    bodies += [record.body for record in lost]
    bodies += audit.append(a_chain(1, first=8, writer=writer))
    assert _history(audit).closes == tuple(bodies)
    assert _history(audit).is_complete


def test_a_new_journal_has_nothing_better_than_the_store(
    audit: Audit, journal: Journal, clock: ManualClock
) -> None:
    for record in a_chain(9):
        audit.store.open()
        _put(audit, record)
    assert "the journal is new" in str(adopt_store(journal, audit.store))
    audit.fill()
    assert len(_history(audit).closes) == 9
    assert _history(audit).is_complete


def test_a_record_set_aside_is_a_link_of_the_chain(audit: Audit) -> None:
    audit.close_positions(2)
    opened = audit.journal.open_stream("account:u1")
    writer = ChainWriter(opened.stream, opened.predecessor)
    chain = a_chain(20, opened.stream, 2, writer)
    assert len(audit.journal.append(chain).set_aside) == 1
    audit.fill()
    assert len(_history(audit).closes) == 21
    assert _history(audit).is_complete
    assert not audit.filler.alarms


@pytest.mark.parametrize("page", [1, 3, 7])
@pytest.mark.parametrize("altered", [False, True])
def test_long_streams_are_read_from_their_ends_page_by_page(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, page: int, altered: bool
) -> None:
    monkeypatch.setattr(proving, "_PAGE", page)
    bodies = [*audit.close_positions(20), *audit.close_positions(2, first=50)]
    bodies += audit.close_positions(10, first=60)
    audit.fill()
    if altered:
        row = list(_stored(audit, 9))
        row[HASH] = bytes(32)
        audit.store.rows[row[EVENT_ID]] = tuple(row)
    assert _history(audit).closes == tuple(bodies[9:] if altered else bodies)
    assert _history(audit).is_complete is not altered


def test_an_episode_whose_records_were_altered_is_none(audit: Audit) -> None:
    audit.run_episode(1)
    audit.close_positions(20)
    audit.fill()
    assert audit.recall.finished_episode("trigger-1") is not None
    column = COLUMNS.index("description")
    row = list(_stored(audit, 2, "supervisor:1"))
    row[column] = "5 closed, 0 residual"
    audit.store.rows[row[EVENT_ID]] = tuple(row)
    assert audit.recall.finished_episode("trigger-1") is None
    assert "supervisor:1@2" in _told(audit)
    assert "altered in the store" in _told(audit)


def test_closes_of_an_episode_are_proven(audit: Audit) -> None:
    bodies = audit.close_positions(2)
    audit.run_episode(1)
    audit.close_positions(20, "u2", 50)
    audit.fill()
    for record in _forged(2, STREAM_1, 1):
        _put(audit, record)
    episode = audit.recall.finished_episode("trigger-1")
    assert episode is not None
    assert episode.closes == ()
    assert bodies
    assert f"{STREAM_1}@2" in _told(audit)
