from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import ChainHead, ChainWriter
from audit.errors import JournalInUse, JournalUnavailable, NewerSchema
from audit.events import episode_finished, trigger_accepted, trigger_of
from audit.journal import Journal
from audit.records import record_of
from tests.unit.audit.samples import NOW, ManualClock, a_chain, a_close, a_trigger, ids


def _held(journal: Journal) -> list[tuple[str, int]]:
    backlog = Backlog(journal)
    try:
        return [(one.record.event_id, one.ordinal) for one in backlog.after(0, 10_000)]
    finally:
        backlog.close()


def test_what_is_acknowledged_is_there_after_reopening(journal_path: Path) -> None:
    records = a_chain(5)
    with_close = Journal(journal_path)
    receipt = with_close.append(records)
    with_close.close()
    again = Journal(journal_path)
    assert receipt.acknowledged == ids(records)
    assert not receipt.set_aside
    assert [event_id for event_id, _ in _held(again)] == [one.event_id for one in records]
    assert again.heads() == (ChainHead("account:u1:1", 5, records[-1].hash),)
    again.close()


def test_the_bytes_are_kept_as_they_were_sealed(journal: Journal) -> None:
    records = a_chain(3)
    journal.append(records)
    backlog = Backlog(journal)
    assert [one.record for one in backlog.after(0, 10)] == records
    backlog.close()


def test_a_batch_sent_again_is_acknowledged_and_stored_once(journal: Journal) -> None:
    records = a_chain(5)
    journal.append(records[:3])
    receipt = journal.append(records)
    assert receipt.acknowledged == ids(records)
    assert not receipt.set_aside
    assert _held(journal) == [(one.event_id, n) for n, one in enumerate(records, 1)]


def test_a_record_twice_in_one_batch_is_stored_once(journal: Journal) -> None:
    (record,) = a_chain(1)
    assert journal.append([record, record]).acknowledged == {record.event_id}
    assert len(_held(journal)) == 1


def test_a_commit_reaches_the_disk(journal: Journal) -> None:
    with journal.writing() as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]  # 2 is FULL


def test_an_empty_batch_is_nothing(journal: Journal) -> None:
    assert journal.append([]).acknowledged == frozenset()


def test_the_same_event_with_another_hash_is_set_aside_and_the_rest_kept(
    journal: Journal,
) -> None:
    journal.append(a_chain(1))
    others = a_chain(3, "account:u1:2")
    receipt = journal.append(others)
    assert receipt.acknowledged == ids(others[1:])
    (apart,) = receipt.set_aside
    assert apart.record == others[0]
    assert "same event was recorded before" in apart.reason
    assert journal.set_aside() == receipt.set_aside


def test_another_event_in_a_taken_place_is_set_aside(journal: Journal) -> None:
    (first,) = a_chain(1)
    (other,) = a_chain(1, first=2)
    journal.append([first])
    (apart,) = journal.append([other]).set_aside
    assert f"taken by event {first.event_id}" in apart.reason


def test_what_was_set_aside_is_kept_once(journal: Journal) -> None:
    journal.append(a_chain(1))
    (other,) = a_chain(1, first=2)
    for _ in range(3):
        assert journal.append([other]).set_aside
    assert journal.count_set_aside() == 1


def test_a_stream_without_a_proper_name_is_set_aside(journal: Journal) -> None:
    good, bad = a_chain(2)
    receipt = journal.append([good, bad._replace(stream="nonsense")])
    assert receipt.acknowledged == {good.event_id}
    assert "stream='nonsense'" in receipt.set_aside[0].reason


def test_lives_are_numbered_durably(journal_path: Path) -> None:
    journal = Journal(journal_path)
    first = journal.open_stream("account:a:b")
    journal.close()
    journal = Journal(journal_path)
    second, other, third = journal.open_streams(["account:a:b", "supervisor", "account:a:b"])
    journal.close()
    names = [one.stream for one in (first, second, other, third)]
    assert names == ["account:a:b:1", "account:a:b:2", "supervisor:1", "account:a:b:3"]
    assert [one.incarnation for one in (first, second, other, third)] == [1, 2, 1, 3]
    assert first.predecessor is None


def test_a_new_life_is_told_the_last_head_even_past_an_empty_life(journal: Journal) -> None:
    writer = ChainWriter(journal.open_stream("account:u1").stream)
    records = a_chain(2, writer=writer)
    journal.append(records)
    assert journal.open_stream("account:u1").predecessor == writer.head
    assert journal.open_stream("account:u1").predecessor == writer.head


def test_no_life_is_opened_when_one_owner_is_wrong(journal: Journal) -> None:
    with pytest.raises(ValueError, match="owner='boss'"):
        journal.open_streams(["supervisor", "boss"])
    assert journal.open_stream("supervisor").incarnation == 1


def test_records_of_a_replaced_life_are_kept_marked_and_answered(journal: Journal) -> None:
    stream = journal.open_stream("account:u1").stream
    journal.open_stream("account:u1")
    receipt = journal.append(a_chain(2, stream))
    backlog = Backlog(journal)
    assert receipt.superseded == {stream}
    assert [one.late for one in backlog.after(0, 10)] == [True, True]
    backlog.close()


def test_a_writer_that_outlived_its_journal_is_taken_over(journal: Journal) -> None:
    records = a_chain(2, "account:u1:7")
    receipt = journal.append(records)
    assert receipt.acknowledged == ids(records)
    assert not receipt.superseded
    assert journal.open_stream("account:u1").incarnation == 8


def test_streams_of_an_older_store_are_taken_over(journal: Journal) -> None:
    blank_before = journal.is_blank
    head = ChainHead("account:u1:4", 9, b"h" * 32)
    journal.adopt_heads([head, ChainHead("account:u1:3", 5, b"g" * 32)])
    opened = journal.open_stream("account:u1")
    assert (opened.incarnation, opened.predecessor) == (5, head)
    assert (blank_before, journal.is_blank) == (True, False)


def test_an_episode_is_open_from_acceptance_to_end(journal_path: Path, clock: ManualClock) -> None:
    journal = Journal(journal_path, clock=clock)
    writer = ChainWriter(journal.open_stream("supervisor").stream)
    triggers = [a_trigger(1, "u1"), a_trigger(2, "u:2")]
    journal.append([writer.seal(trigger_accepted(one, occurred_at=NOW)) for one in triggers])
    end = episode_finished("trigger-1", "u1", occurred_at=NOW, closed=1, residual=0)
    journal.append([writer.seal(end)])
    journal.close()
    journal = Journal(journal_path)
    (episode,) = journal.open_episodes()
    journal.close()
    assert (episode.trigger_id, episode.user_id, episode.accepted_at) == ("trigger-2", "u:2", NOW)
    assert trigger_of(record_of(episode.body)) == triggers[1]


def test_an_episode_accepted_and_ended_in_one_batch_is_not_open(journal: Journal) -> None:
    writer = ChainWriter("supervisor:1")
    accepted = trigger_accepted(a_trigger(), occurred_at=NOW)
    end = episode_finished("trigger-1", "u1", occurred_at=NOW, closed=1, residual=0)
    journal.append([writer.seal(accepted), writer.seal(end)])
    assert journal.open_episodes() == ()


def test_a_duplicate_acceptance_does_not_reopen_an_episode(journal: Journal) -> None:
    writer = ChainWriter("supervisor:1")
    accepted = writer.seal(trigger_accepted(a_trigger(), occurred_at=NOW))
    end = episode_finished("trigger-1", "u1", occurred_at=NOW, closed=1, residual=0)
    journal.append([accepted])
    journal.append([writer.seal(end)])
    journal.append([accepted])
    assert journal.open_episodes() == ()


def test_a_trigger_that_quotes_the_form_opens_only_itself(journal: Journal) -> None:
    record = a_close()
    hostile = {"event_type": "trigger_accepted", "trigger_id": "x"}
    sealed = ChainWriter("account:u1:1").seal(
        type(record)(
            event_id=record.event_id,
            event_type=record.event_type,
            user_id="u1",
            occurred_at=NOW,
            description='"event_type":"trigger_accepted"',
            meta_data=hostile,
        )
    )
    journal.append([sealed])
    assert journal.open_episodes() == ()


def test_a_second_owner_is_refused_in_this_process(journal: Journal) -> None:
    with pytest.raises(JournalInUse, match="open in another process"):
        Journal(journal.path)
    journal.append(a_chain(1))


def test_a_second_owner_is_refused_in_another_process(journal: Journal) -> None:
    code = f"from audit.journal import Journal; Journal({str(journal.path)!r})"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "JournalInUse" in other.stderr
    assert "stop the engine that uses it" in other.stderr


def test_a_newer_file_is_refused(journal: Journal) -> None:
    journal.close()
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerSchema, match="schema version 99"):
        Journal(journal.path)


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(JournalUnavailable, match="another program's"):
        Journal(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 1000)
    with pytest.raises(JournalUnavailable, match="no SQLite database: name another file"):
        Journal(path)
    assert path.read_text().startswith("these are my notes")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="folder cannot be made"):
        Journal(tmp_path / "file" / "journal.sqlite3")


def test_a_full_disk_keeps_nothing_of_the_batch_and_heals(journal: Journal) -> None:
    journal.append(a_chain(1))
    with journal.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    more = a_chain(100, "account:u2:1")
    with pytest.raises(JournalUnavailable, match="disk is full: free space"):
        journal.append(more)
    assert len(_held(journal)) == 1
    connection.execute("PRAGMA max_page_count = 1000000")
    assert journal.append(more).acknowledged == ids(more)
    assert [ordinal for _, ordinal in _held(journal)] == list(range(1, 102))
    assert journal.heads()[-1].seq == 100


def test_a_read_only_file_says_so(journal: Journal) -> None:
    with journal.writing() as connection:
        pass
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable, match="read-only"):
        journal.append(a_chain(1))


def test_a_closed_journal_says_so(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append(a_chain(1))
