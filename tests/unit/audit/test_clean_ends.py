"""A new life is told whether the one before it ended cleanly."""

from __future__ import annotations

from pathlib import Path

from audit.chain import ChainWriter
from audit.events import plain_event
from audit.journal import Journal
from audit.receipts import OpenedStream
from audit.records import EventType


def write(journal: Journal, chain: ChainWriter, *events: EventType) -> None:
    journal.append(
        [
            chain.seal(plain_event(event, "ann", chain.stream, number, occurred_at=1))
            for number, event in enumerate(events)
        ]
    )


def lives(path: Path, *ends: tuple[EventType, ...]) -> list[OpenedStream]:
    """Open a life after each of these ends; the journal is reopened in between."""
    opened = []
    for events in (*ends, ()):
        journal = Journal(path)
        life = journal.open_stream("account:ann")
        opened.append(life)
        write(journal, ChainWriter(life.stream, life.predecessor), *events)
        journal.close()
    return opened


def test_the_first_life_has_nothing_to_wait_for(tmp_path: Path) -> None:
    (first,) = lives(tmp_path / "j")
    assert first.predecessor_ended_cleanly


def test_a_life_that_closed_its_stream_ended_cleanly(tmp_path: Path) -> None:
    _, second = lives(tmp_path / "j", (EventType.STREAM_OPENED, EventType.STREAM_CLOSED))
    assert second.predecessor_ended_cleanly


def test_a_life_that_just_stopped_did_not(tmp_path: Path) -> None:
    _, second, third = lives(tmp_path / "j", (EventType.STREAM_OPENED,), ())
    assert not second.predecessor_ended_cleanly
    assert not third.predecessor_ended_cleanly, "nor one that has left no record at all"


def test_a_record_after_the_closing_one_takes_it_back(tmp_path: Path) -> None:
    _, second = lives(
        tmp_path / "j",
        (EventType.STREAM_OPENED, EventType.STREAM_CLOSED, EventType.GUARD_ALERT),
    )
    assert not second.predecessor_ended_cleanly
