"""Certificates over records that were tampered with, cut short, or written by several lives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audit.certificate import Certificate, Verdict
from audit.certificate_page import _plain, certificate_page, shown
from audit.certifying import certificate_of
from audit.chain import ChainHead, ChainWriter, SealedRecord
from audit.closes import close_record
from audit.digest_registry import DigestEnd
from audit.digests import DigestFile, Digests, own_digests, read_digests
from audit.errors import UnknownEpisode
from audit.events import episode_finished, trigger_accepted
from audit.places import Entry, verify_streams
from audit.records import AuditRecord, EventType
from audit.rows import COLUMNS, Row, row_of
from audit.sightings import Moment, account_seen
from audit.trail import StoreTrail
from engine import outcomes
from engine.brokers.port import Position, Side
from engine.sighting import Sighting
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import (
    NOW,
    a_close,
    a_result,
    a_shared_answer,
    a_trigger,
    an_evidence,
)

MADE = NOW + 10_000_000
OPEN = Position(1001, 1, "EURCHF", Side.LONG, 0.5, 1.2, 1.2, -12.0, 0.0, 0)
TRIGGER = replace(a_trigger(), positions=None)


def sighting(moment: Moment, at: int, *positions: Position, life: int = 1) -> AuditRecord:
    seen = Sighting(at, None, positions)
    return account_seen("u1", "trigger-1", moment, seen, incarnation=life)


class Engine:
    """Writes one episode's records, by a supervisor and an account, into a store."""

    def __init__(self) -> None:
        self.supervisor = ChainWriter("supervisor:1", version="0.1.0")
        self.account = ChainWriter("account:u1:1", version="0.1.0")
        self.sealed: list[SealedRecord] = []

    def write(self, record: AuditRecord, writer: ChainWriter | None = None) -> None:
        self.sealed.append((writer or self.account).seal(record))

    def liquidate(self, *left: Position) -> Engine:
        self.write(trigger_accepted(TRIGGER, occurred_at=NOW + 10), self.supervisor)
        self.write(sighting(Moment.BEFORE, NOW + 20, OPEN))
        self.write(a_close())
        self.write(sighting(Moment.AFTER, NOW + 40, *left))
        end = episode_finished(
            "trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=len(left)
        )
        self.write(end, self.supervisor)
        return self

    def rows(self) -> list[Row]:
        return [row_of(record, NOW, False) for record in self.sealed]

    def heads(self) -> list[ChainHead]:
        return [w.head for w in (self.supervisor, self.account) if w.head.seq]


def certify(
    rows: list[Row], heads: list[ChainHead] | None = None, digests: Digests | None = None
) -> Certificate:
    store = MemoryStore()
    store.open()
    store.rows = {row[COLUMNS.index("event_id")]: row for row in rows}
    trail = StoreTrail("memory", store, heads=heads or [])
    return certificate_of(trail, "trigger-1", made_at=MADE, digests=digests)


def altered(row: Row, column: str, value: object) -> Row:
    index = COLUMNS.index(column)
    return (*row[:index], value, *row[index + 1 :])


def test_records_that_fit_prove_a_flat_account() -> None:
    engine = Engine().liquidate()
    made = certify(engine.rows(), engine.heads())
    assert (made.title, made.is_proven, made.residuals) == ("FLAT", True, ())
    assert [chain.records for chain in made.verification.chains] == [3, 2, 5]
    assert made.timings.flat == NOW + 40
    assert len(made.places) == 5


@pytest.mark.parametrize("number", range(5))
def test_an_altered_record_proves_nothing_and_says_so_at_the_top(number: int) -> None:
    rows = Engine().liquidate().rows()
    rows[number] = altered(rows[number], "description", "something else")
    made = certify(rows)
    assert made.title == "NOT PROVEN"
    assert not made.is_good
    assert made.verdict is Verdict.FLAT, "it is still told what the records say"
    page = certificate_page(made)
    assert "<h1>NOT PROVEN</h1>" in page
    assert "it was altered" in page[: page.index("<section>")]
    assert "<h1>FLAT" not in page


def test_digests_that_are_not_all_here_prove_and_those_without_their_end_do_not(
    tmp_path: Path,
) -> None:
    engine = Engine().liquidate()
    path = tmp_path / "digests.jsonl"
    file = DigestFile(path)
    file.load()
    for head in engine.heads():
        file.append(NOW, [head])
    first, second = path.read_text().splitlines(keepends=True)
    digests = read_digests(path)
    end = DigestEnd(str(path), 2, digests.last_hash, NOW)
    assert certify(engine.rows(), engine.heads(), digests).is_proven
    path.write_text(second)  # the first is in an archive
    assert certify(engine.rows(), engine.heads(), own_digests(path, end)).is_proven
    path.write_text(first)
    made = certify(engine.rows(), engine.heads(), own_digests(path, end))
    assert made.title == "NOT PROVEN"
    assert "the lines behind number 1 are missing" in (made.verification.problem or "")
    path.write_text(second)
    altered_rows = engine.rows()
    altered_rows[2] = altered(altered_rows[2], "pnl", 1e6)
    assert not certify(altered_rows, engine.heads(), own_digests(path, end)).is_proven


def test_what_could_not_be_held_against_anything_outside_is_said() -> None:
    engine = Engine().liquidate()
    alone = certify(engine.rows())
    assert alone.is_proven
    assert any("no journal" in note for note in alone.verification.notes)
    assert any("no digests" in note for note in alone.data()["verification"]["notes"])
    assert "there is no journal to hold the records against" in certificate_page(alone)
    with_journal = certify(engine.rows(), engine.heads())
    assert not any("no journal" in note for note in with_journal.verification.notes)


def test_a_record_that_was_removed_is_missed() -> None:
    rows = Engine().liquidate().rows()
    del rows[1]  # the sighting before
    assert "a record is missing" in (certify(rows).verification.problem or "")


def test_an_end_that_was_cut_off_is_missed_by_what_the_journal_knows() -> None:
    engine = Engine().liquidate()
    engine.write(a_close(2))
    heads, rows = engine.heads(), engine.rows()[:-1]
    assert certify(rows).is_proven, "the rest fits"
    assert certify(rows, heads).verification.problem == "account:u1:1@4 is missing"


def test_an_episode_that_was_put_in_behind_the_journals_end_proves_nothing() -> None:
    engine = Engine()
    engine.write(sighting(Moment.BEFORE, NOW))
    engine.write(trigger_accepted(a_trigger(9), occurred_at=NOW), engine.supervisor)
    heads = engine.heads()
    made = certify(engine.liquidate().rows(), heads)
    assert made.title == "NOT PROVEN"
    assert "put in" in (made.verification.problem or "")


def test_a_close_that_the_end_names_and_no_record_holds_is_missed() -> None:
    engine = Engine()
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW + 10), engine.supervisor)
    engine.write(sighting(Moment.AFTER, NOW + 40))
    named = {"close_ids": ["6f0a2c1e-0000-4000-8000-000000000001"]}
    end = episode_finished(
        "trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=0, details=named
    )
    engine.write(end, engine.supervisor)
    made = certify(engine.rows(), engine.heads())
    assert made.title == "NOT PROVEN"
    assert "names 1 closes that no record holds" in (made.verification.problem or "")


def test_a_chain_made_anew_does_not_fit_the_life_that_follows() -> None:
    engine = Engine().liquidate()
    second = ChainWriter("account:u1:2", engine.account.head)
    engine.write(sighting(Moment.AFTER, NOW + 60, life=2), second)
    assert certify(engine.rows()).is_proven
    forged = Engine().liquidate()
    forged.account = ChainWriter("account:u1:1", version="0.1.1")
    rows = [r for r in engine.rows() if r[COLUMNS.index("stream")] != "account:u1:1"]
    for record in (sighting(Moment.BEFORE, NOW + 20, OPEN), a_close()):
        forged.write(record)
        rows.append(row_of(forged.sealed[-1], NOW, False))
    assert "account:u1:2@1 cites account:u1:1@3" in (certify(rows).verification.problem or "")


def test_no_chain_at_all_proves_nothing() -> None:
    store = MemoryStore()
    store.open()
    assert not verify_streams(store, []).ok


def test_a_sighting_before_the_last_close_is_none_after_it() -> None:
    engine = Engine()
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW), engine.supervisor)
    engine.write(sighting(Moment.AFTER, NOW + 5))
    engine.write(a_close())
    end = episode_finished("trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=0)
    engine.write(end, engine.supervisor)
    made = certify(engine.rows())
    assert made.after is None
    assert made.verdict is Verdict.NOT_FLAT


def test_what_is_left_is_not_flat_whatever_the_end_says() -> None:
    engine = Engine()
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW), engine.supervisor)
    engine.write(a_close())
    engine.write(sighting(Moment.AFTER, NOW + 5, replace(OPEN, ticket=9, identifier=9)))
    end = episode_finished("trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=0)
    engine.write(end, engine.supervisor)
    made = certify(engine.rows())
    assert made.title == "NOT FLAT"
    assert [left.ticket for left in made.residuals] == [9]


def test_the_first_life_tells_what_was_met_and_the_last_what_was_left() -> None:
    engine = Engine().liquidate(OPEN)
    second = ChainWriter("account:u1:2", engine.account.head)
    engine.write(sighting(Moment.BEFORE, NOW + 60, life=2), second)
    engine.write(sighting(Moment.AFTER, NOW + 70, life=2), second)
    made = certify(engine.rows())
    assert made.before is not None
    assert made.after is not None
    assert (made.before.open, made.after.open) == (1, 0)


def test_a_shared_answer_is_no_incident_and_hides_no_close_of_another_episode() -> None:
    engine = Engine()
    engine.write(a_close(key="before"))
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW + 10), engine.supervisor)
    engine.write(replace(a_shared_answer(key="trigger-1"), trigger_id="trigger-1"))
    engine.write(sighting(Moment.AFTER, NOW + 40))
    details = {"close_ids": [a_result().close_id]}
    end = episode_finished(
        "trigger-1", "u1", occurred_at=NOW + 50, closed=1, residual=0, details=details
    )
    engine.write(end, engine.supervisor)
    made = certify(engine.rows())
    assert made.incidents == ()
    assert [close.is_shared for close in made.closes] == [True]


def test_orders_that_a_killed_life_took_along_are_not_passed_over() -> None:
    engine = Engine()
    engine.write(trigger_accepted(TRIGGER, occurred_at=NOW + 10), engine.supervisor)
    found_gone = replace(an_evidence(2), attempts=(), volume_before=0.0)
    engine.write(a_close())
    engine.write(close_record(replace(a_result(2), attempts=0), found_gone, user_id="u1"))
    engine.write(sighting(Moment.AFTER, NOW + 40))
    end = episode_finished("trigger-1", "u1", occurred_at=NOW + 50, closed=2, residual=0)
    engine.write(end, engine.supervisor)
    made = certify(engine.rows())
    assert made.untold_orders == made.data()["untold_orders"] == 1
    assert [close.has_untold_orders for close in made.closes] == [False, True]
    page = certificate_page(made)
    assert "first order on record" in page
    assert "first order sent" not in page
    assert "1 close rests on orders that no record describes" in page
    assert "0.5 lots, by the deals" in page


def test_attempts_that_account_for_all_lots_leave_no_order_untold() -> None:
    unknown = replace(an_evidence().attempts[0], verdict=outcomes.Verdict.UNKNOWN, volume=0.0)
    refused = replace(an_evidence().attempts[0], verdict=outcomes.Verdict.OPERATOR, volume=0.0)
    for attempt, untold in ((unknown, 0), (refused, 1)):
        engine = Engine()
        engine.write(trigger_accepted(TRIGGER, occurred_at=NOW + 10), engine.supervisor)
        evidence = replace(an_evidence(), attempts=(attempt,))
        engine.write(close_record(a_result(), evidence, user_id="u1"))
        made = certify(engine.rows())
        assert made.untold_orders == untold
        assert ("first order sent" in certificate_page(made)) is (untold == 0)


def test_deals_stand_with_the_brokers_own_time() -> None:
    page = certificate_page(certify(Engine().liquidate().rows()))
    assert 'data-name="broker&#39;s time">2015-02-25 10:30:00.123</td>' in page


def test_tables_of_numbers_are_marked_as_those_that_break_no_word() -> None:
    page = certificate_page(certify(Engine().liquidate(OPEN).rows()))
    assert "th, .number, .firm td, .left td + td, .places td { overflow-wrap: normal; }" in page
    kinds = {table.partition(">")[0].strip(): table for table in page.split("<table")[1:]}
    assert {'class="left"', 'class="wide firm"', 'class="wide places"'} <= kinds.keys()
    for name in ("deal", "attempt"):
        (table,) = [t for t in page.split("<table")[1:] if f"<th>{name}</th>" in t]
        assert table.startswith(' class="wide firm"')


def test_json_is_the_same_for_the_same_records() -> None:
    rows = Engine().liquidate().rows()
    assert certify(rows).json() == certify(list(reversed(rows))).json()
    assert json.loads(certify(rows).json())["records"][0]["event_type"] == "account_seen"


def test_an_episode_without_its_acceptance_is_unknown() -> None:
    rows = [
        row
        for row in Engine().liquidate().rows()
        if row[COLUMNS.index("event_type")] != EventType.TRIGGER_ACCEPTED.value
    ]
    with pytest.raises(UnknownEpisode, match="check that it is the store"):
        certify(rows)


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("plain ümlaut €", "plain ümlaut €"),
        ("turned \u202eabout", "turned \\u202eabout"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("bell\x07", "bell\\u0007"),
        ("", "\N{EM DASH}"),
        (None, "\N{EM DASH}"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str | None, visible: str) -> None:
    assert shown(text) == visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "\N{EM DASH}"),
        ([], "\N{EM DASH}"),
        (True, "yes"),
        (10009, "10009"),
        (0.1 + 0.2, "0.3"),
        (
            [
                {"ask": 1.2003, "bid": 1.2, "symbol": "EURCHF", "time_ms": NOW // 1000},
                {"ask": None, "bid": 1, "symbol": "XAUUSD", "time_ms": None},
            ],
            "symbol EURCHF, bid 1.2, ask 1.2003, time 2015-02-25 10:30:00.123; "
            "symbol XAUUSD, bid 1, ask \N{EM DASH}, time_ms \N{EM DASH}",
        ),
    ],
)
def test_what_a_guard_saw_is_written_for_people(value: object, text: str) -> None:
    assert _plain(value) == text


def test_entries_are_in_the_order_of_lives() -> None:
    engine = Engine().liquidate()
    second = ChainWriter("account:u1:2", engine.account.head)
    engine.write(a_close(2), second)
    made = certify(engine.rows())
    assert [close.entry.record.incarnation for close in made.closes] == [1, 2]
    assert all(isinstance(close.entry, Entry) for close in made.closes)
