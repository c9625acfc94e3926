"""What an account was seen to hold survives the trip through a record, within bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from audit import canonical
from audit.chain import ChainWriter
from audit.records import AuditRecord, record_of
from audit.sightings import (
    LONGEST_TEXT,
    MOST_POSITIONS,
    Moment,
    account_seen,
    count_seen,
    moment_of,
    sighting_of,
)
from engine.brokers.port import AccountState, MarginMode, Position, Side
from engine.sighting import Sighting
from tests.unit.audit.samples import NOW, a_close

ACCOUNT = AccountState(7, "Demo", "USD", 1000.0, 990.5, 20.0, 4952.5, 100, MarginMode.NETTING)


def a_position(number: int = 1, volume: float = 0.5) -> Position:
    return Position(
        1000 + number,
        number,
        "EURCHF",
        Side.SHORT,
        volume,
        1.1,
        1.2,
        -12.5,
        -0.1,
        1_400_000 + number,
    )


def seen(*positions: Position, account: AccountState | None = ACCOUNT) -> Sighting:
    return Sighting(NOW, account, positions)


def record(sighting: Sighting, moment: Moment = Moment.BEFORE, life: int = 1) -> AuditRecord:
    return account_seen("u1", "t1", moment, sighting, incarnation=life, initiator="drawdown")


def through_the_journal(made: AuditRecord) -> AuditRecord:
    return record_of(ChainWriter("account:u1:1").seal(made).body)


def test_a_sighting_is_read_back_equal() -> None:
    sighting = seen(a_position(2, 2.0), a_position(1, 1.0))
    back = through_the_journal(record(sighting, Moment.AFTER))
    assert sighting_of(back) == sighting
    assert (moment_of(back), count_seen(back), back.trigger_id) == (Moment.AFTER, 2, "t1")


@pytest.mark.parametrize("odd", [math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_kept(odd: float) -> None:
    account = replace(ACCOUNT, margin_level=odd)
    back = through_the_journal(record(seen(replace(a_position(), profit=odd), account=account)))
    assert sighting_of(back).account == account
    assert sighting_of(back).positions[0].profit == odd


def test_an_account_that_was_not_read_is_none() -> None:
    assert sighting_of(through_the_journal(record(seen(account=None)))).account is None


def test_a_record_has_bounds_and_keeps_the_number() -> None:
    many = [a_position(n, volume=float(n)) for n in range(1, MOST_POSITIONS + 101)]
    loud = replace(many[-1], comment="x" * 100_000, symbol="Y" * 100_000)
    back = through_the_journal(record(seen(*many[:-1], loud)))
    listed = sighting_of(back).positions
    assert len(listed) == MOST_POSITIONS
    assert count_seen(back) == MOST_POSITIONS + 100
    assert min(p.volume for p in listed) == 101.0, "the largest are listed"
    assert listed[0].comment == "x" * LONGEST_TEXT
    assert len(canonical.encode(back.meta_data)) < MOST_POSITIONS * 500


def test_each_seeing_is_a_fact_of_its_own() -> None:
    facts = [
        record(seen()),
        record(seen(), Moment.AFTER),
        record(seen(), life=2),
        record(replace(seen(), at_us=NOW + 1)),
    ]
    assert len({one.event_id for one in facts}) == len(facts)
    assert record(seen()).event_id == facts[0].event_id


def test_another_record_is_refused() -> None:
    with pytest.raises(ValueError, match="position_closed"):
        sighting_of(a_close())
