"""A stream's records are taken in order only, whatever order they come in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import ChainHead, ChainWriter, SealedRecord
from audit.closes import close_record
from audit.events import episode_finished, plain_event, trigger_accepted
from audit.journal import Journal
from audit.records import EventType
from engine.outcomes import Outcome
from tests.unit.audit.samples import NOW, a_chain, a_result, a_trigger, an_evidence, ids


@pytest.fixture
def chain(journal: Journal) -> list[SealedRecord]:
    """Six records of a stream that the journal opened."""
    return a_chain(6, journal.open_stream("account:u1").stream)


def _held(journal: Journal) -> list[SealedRecord]:
    backlog = Backlog(journal)
    held = [one.record for one in backlog.after(0, 10_000)]
    backlog.close()
    return held


def test_what_is_behind_a_gap_is_neither_taken_nor_set_aside(
    journal: Journal, chain: list[SealedRecord]
) -> None:
    receipt = journal.append(chain[2:])
    assert receipt.acknowledged == frozenset()
    assert receipt.set_aside == ()
    assert receipt.expected == {"account:u1:1": 1}
    assert _held(journal) == []
    assert journal.heads() == ()


def test_what_precedes_the_gap_in_the_batch_is_taken(
    journal: Journal, chain: list[SealedRecord]
) -> None:
    receipt = journal.append([*chain[:2], *chain[3:]])
    assert receipt.acknowledged == ids(chain[:2])
    assert receipt.expected == {"account:u1:1": 3}
    healed = journal.append(chain[2:])
    assert healed.acknowledged == ids(chain[2:])
    assert healed.expected == {}
    assert _held(journal) == chain


def test_a_gap_of_one_stream_is_not_anothers(journal: Journal, chain: list[SealedRecord]) -> None:
    other = a_chain(2, journal.open_stream("account:u2").stream, 50)
    receipt = journal.append([chain[1], *other])
    assert receipt.acknowledged == ids(other)
    assert receipt.expected == {"account:u1:1": 1}


def test_known_records_are_acknowledged_also_before_a_gap(
    journal: Journal, chain: list[SealedRecord]
) -> None:
    journal.append(chain[:3])
    receipt = journal.append([*chain[1:3], chain[5]])
    assert receipt.acknowledged == ids(chain[1:3])
    assert receipt.expected == {"account:u1:1": 4}


def test_records_that_overtook_each_other_are_asked_for_again(
    journal: Journal, chain: list[SealedRecord]
) -> None:
    receipt = journal.append([chain[2], chain[0], chain[1]])
    assert receipt.acknowledged == ids(chain[:2])
    assert receipt.expected == {"account:u1:1": 3}


def test_a_gap_stays_a_gap_after_reopening(journal: Journal, chain: list[SealedRecord]) -> None:
    journal.append(chain[:2])
    journal.close()
    again = Journal(journal.path)
    assert again.append(chain[3:]).expected == {"account:u1:1": 3}
    assert again.append(chain[2:]).acknowledged == ids(chain[2:])
    again.close()


def test_a_record_set_aside_takes_its_place(journal: Journal) -> None:
    journal.append(a_chain(1))
    others = a_chain(3, journal.open_stream("account:u1").stream)
    receipt = journal.append(others[:1])
    assert [item.record for item in receipt.set_aside] == others[:1]
    assert journal.append(others[2:]).expected == {"account:u1:2": 2}
    assert journal.append(others[1:]).acknowledged == ids(others[1:])
    assert journal.open_stream("account:u1").predecessor == ChainHead(
        "account:u1:2", 3, others[2].hash
    )


def test_the_place_of_a_record_set_aside_is_taken(journal: Journal) -> None:
    journal.append(a_chain(1))
    (apart,) = a_chain(1, journal.open_stream("account:u1").stream)
    journal.append([apart])
    (rival,) = a_chain(1, "account:u1:2", 9)
    (item,) = journal.append([rival]).set_aside
    assert item.reason.endswith(f"by event {apart.event_id}, which was set aside")
    (again,) = journal.append([apart]).set_aside
    assert "same event was recorded before" in again.reason


def test_what_the_store_refused_is_not_put_in_line_again(
    journal: Journal, chain: list[SealedRecord]
) -> None:
    journal.append(chain)
    backlog = Backlog(journal)
    backlog.keep_apart(backlog.after(1, 1)[0], "refused")
    receipt = journal.append(chain)
    assert [(one.record, one.reason) for one in receipt.set_aside] == [(chain[1], "refused")]
    assert receipt.acknowledged == ids(chain) - {chain[1].event_id}
    assert [one.record for one in backlog.after(0, 10)] == [chain[0], *chain[2:]]
    backlog.close()


def test_a_writer_that_outlived_the_journal_goes_on_where_it_is(journal: Journal) -> None:
    chain = a_chain(9, "account:u1:4")
    assert journal.append(chain[4:6]).acknowledged == ids(chain[4:6])
    assert journal.append(chain[7:]).expected == {"account:u1:4": 7}
    assert journal.append(chain[6:]).acknowledged == ids(chain[6:])
    assert journal.append(chain[1:3]).acknowledged == ids(chain[1:3])


def test_so_does_one_whose_last_records_were_lost_with_the_journal(journal_path: Path) -> None:
    chain = a_chain(9, "account:u1:4")
    journal = Journal(journal_path)
    journal.adopt_heads([ChainHead("account:u1:4", 3, chain[2].hash)])
    journal.close()
    journal = Journal(journal_path)
    assert journal.append(chain[:2]).acknowledged == ids(chain[:2])
    assert journal.append(chain[5:6]).acknowledged == ids(chain[5:6])
    assert journal.append(chain[7:]).expected == {"account:u1:4": 7}
    assert journal.append(chain[6:]).acknowledged == ids(chain[6:])
    journal.close()


def _episode(journal: Journal) -> tuple[SealedRecord, SealedRecord]:
    writer = ChainWriter(journal.open_stream("supervisor").stream)
    end = episode_finished("trigger-1", "u1", occurred_at=NOW, closed=1, residual=0)
    return writer.seal(trigger_accepted(a_trigger(), occurred_at=NOW)), writer.seal(end)


def test_a_forgotten_acceptance_that_comes_again_opens_nothing(journal: Journal) -> None:
    accepted, end = _episode(journal)
    journal.append([accepted, end])
    backlog = Backlog(journal, keep_whole=0, keep_identities=0)
    backlog.mark_stored(2)
    assert journal.append([accepted]).acknowledged == {accepted.event_id}
    assert journal.open_episodes() == ()
    assert [one.record for one in backlog.after(2, 10)] == [accepted]
    backlog.close()


def test_what_a_taken_over_stream_left_out_is_noted_when_it_comes(journal: Journal) -> None:
    writer = ChainWriter("supervisor:3")
    accepted = writer.seal(trigger_accepted(a_trigger(), occurred_at=NOW))
    later = writer.seal(plain_event(EventType.ENGINE_STARTED, "", 1, occurred_at=NOW))
    journal.append([later])
    journal.append([accepted])
    assert [one.trigger_id for one in journal.open_episodes()] == ["trigger-1"]


def test_a_new_life_is_told_which_process_ran_the_last(journal: Journal) -> None:
    def live(process: object) -> str | None:
        opened = journal.open_stream("account:u1")
        writer = ChainWriter(opened.stream, opened.predecessor)
        details = {} if process is None else {"process": process}
        began = plain_event(
            EventType.STREAM_OPENED, "u1", opened.stream, occurred_at=NOW, details=details
        )
        journal.append([writer.seal(began)])
        return opened.predecessor_process

    assert [live("4711/99"), live(None), live(7), live("a"), live("b")] == [
        None,
        "4711/99",
        None,
        None,
        "a",
    ]
    silent = journal.open_stream("account:u1")
    assert silent.predecessor_process == "b"
    assert journal.open_stream("account:u1").predecessor_process is None


def test_the_newest_lives_are_known(journal: Journal) -> None:
    journal.open_streams(["account:u1", "account:u1", "supervisor"])
    owners = ["supervisor", "account:u1", "account:u2"]
    assert journal.newest_lives(owners) == {"supervisor": 1, "account:u1": 2, "account:u2": 0}


@pytest.mark.parametrize(
    ("outcome", "who", "is_taken"),
    [
        (Outcome.REJECTED, 1, False),
        (Outcome.UNKNOWN, 1, False),
        (Outcome.DONE, 1, True),
        (Outcome.REJECTED, None, True),
        (Outcome.REJECTED, 2, True),
    ],
)
def test_what_a_replaced_life_concluded_without_proof_does_not_count(
    journal: Journal, outcome: Outcome, who: int | None, is_taken: bool
) -> None:
    first = ChainWriter(journal.open_stream("account:u1").stream)
    result = replace(a_result(), outcome=outcome, success=outcome is Outcome.DONE)
    late = first.seal(close_record(result, an_evidence(), user_id="u1"))
    following = first.seal(plain_event(EventType.STREAM_CLOSED, "u1", 1, occurred_at=NOW))
    journal.open_stream("account:u1")
    receipt = journal.append([late, following], who)
    assert (late.event_id in receipt.acknowledged) is is_taken
    assert following.event_id in receipt.acknowledged, "the stream stands still"
    assert [one.record for one in receipt.set_aside] == ([] if is_taken else [late])
    assert receipt.superseded == {"account:u1:1"}


def test_a_conclusion_that_the_supervisor_was_given_in_time_counts_after_all(
    journal: Journal,
) -> None:
    first = ChainWriter(journal.open_stream("account:u1").stream)
    result = replace(a_result(), outcome=Outcome.REJECTED, success=False)
    record = first.seal(close_record(result, an_evidence(), user_id="u1"))
    following = first.seal(plain_event(EventType.STREAM_CLOSED, "u1", 1, occurred_at=NOW))
    journal.open_stream("account:u1")
    journal.append([record, following], 1)
    receipt = journal.append([record, following])
    assert receipt.acknowledged == {record.event_id, following.event_id}
    assert receipt.set_aside == ()
    assert journal.set_aside() == ()
    assert sorted(one.seq for one in _held(journal)) == [1, 2]
    assert journal.append([record], 1).acknowledged == {record.event_id}


def test_what_the_journal_has_already_is_no_late_conclusion(journal: Journal) -> None:
    first = ChainWriter(journal.open_stream("account:u1").stream)
    result = replace(a_result(), outcome=Outcome.REJECTED, success=False)
    record = first.seal(close_record(result, an_evidence(), user_id="u1"))
    journal.append([record], 1)
    journal.open_stream("account:u1")
    assert journal.append([record], 1).acknowledged == {record.event_id}
