"""Answers of earlier lives: restored in the order of their records, never overwritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.errors import IdempotencyConflict
from engine.idempotency import IdempotencyMap
from engine.models import CloseRequest, CloseResult, PositionRef, SharedAnswer
from engine.outcomes import Outcome, Verdict
from tests.scripted_broker import say
from tests.unit.closing.conftest import Desk

DONE = CloseResult(
    success=True,
    position_id="gold",
    ticket=7,
    closed_price=1.05,
    pnl=-3.0,
    close_reason="test",
    close_timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    error_message=None,
    close_id="c",
    outcome=Outcome.DONE,
    attempts=1,
    volume=1.0,
)
REFUSED = replace(DONE, success=False, outcome=Outcome.REJECTED, error_message="10017")


def request(ticket: int = 7, key: str = "k", name: str = "gold") -> CloseRequest:
    return CloseRequest(name, ticket, "ann", "test", idempotency_key=key)


def test_a_restored_answer_is_the_identical_result() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, DONE)
    assert memory.claim(request()) is DONE
    assert memory.claim(request(key="other")) is None
    assert memory.full_success("7") is DONE


def test_a_restored_key_still_conflicts() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, REFUSED)
    with pytest.raises(IdempotencyConflict):
        memory.claim(request(ticket=8))


def test_the_callers_name_is_bound_again() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", "f", DONE)
    assert memory.position_of(request(key="new")) == "7"
    assert memory.identifier_of(request(key="new")) == 7


def test_a_name_that_is_bound_stays_bound() -> None:
    memory = IdempotencyMap()
    memory.bind(request(), "9")
    memory.restore("7", "k", "f", DONE)
    assert memory.identifier_of(request()) == 9


@pytest.mark.parametrize("outcome", [Outcome.NOT_FOUND, Outcome.NOT_SENT, Outcome.UNKNOWN])
def test_a_name_that_the_broker_never_knew_stands_for_no_number(outcome: Outcome) -> None:
    """It may look like another position's."""
    memory = IdempotencyMap()
    unknown = replace(REFUSED, position_id="7", ticket=999, outcome=outcome, attempts=0)
    memory.restore("7", "k", "1:999:all", unknown)
    assert memory.identifier_of(request(name="7")) is None


def test_the_newest_full_success_answers_every_key() -> None:
    memory = IdempotencyMap()
    newer = replace(DONE, pnl=5.0)
    memory.restore("7", "a", "f", DONE)
    memory.restore("7", "b", "f", newer)
    assert memory.full_success("7") is newer
    memory.restore("7", "a", "f", DONE)
    assert memory.full_success("7") is newer, "what is known already is no news"


def test_a_known_answer_is_not_overwritten() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, REFUSED)
    memory.restore("7", "k", request().fingerprint, DONE)
    assert memory.claim(request()) is REFUSED
    assert memory.full_success("7") is None


async def test_positions_under_a_key_come_in_the_order_they_were_started() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, DONE)
    memory.bind(request(5, name="five"), "5")
    memory.start(request(5, name="five"))
    memory.start(request(3, "other", "three"))
    memory.start(request(4, name="four"))
    gone = request(6, name="six")
    memory.start(gone)
    memory.abandon(gone)
    memory.finish(request(4, name="four"), replace(REFUSED, position_id="four", ticket=4))
    assert memory.refs_under("k") == (
        PositionRef("gold", 7),
        PositionRef("five", 5),
        PositionRef("four", 4),
    )
    assert memory.refs_under("nothing") == ()


async def test_a_later_life_answers_as_the_earlier_one_did(desk: Desk) -> None:
    for ticket in (1, 2):
        desk.broker.add(ticket)
    desk.broker.script.append(say(Verdict.OPERATOR, 10017))
    names = [desk.request(t, "k", position_id=f"p{t}") for t in (1, 2)]
    before = [await desk.account.close(r) for r in names]
    heir = desk.life()
    heir.remember(desk.ledger.entries)
    heir.remember(desk.ledger.entries)
    assert [await heir.close(r) for r in names] == before
    assert len(desk.broker.sent) == len(desk.ledger.entries) == 2
    with pytest.raises(ValueError, match="names position 2"):
        await heir.close(desk.request(1, "new", position_id="p2"))
    assert (await heir.close(desk.request(1, "new"))).outcome is Outcome.DONE
    assert await heir.close(desk.request(2, "new", position_id="p2")) == before[1]


async def test_what_is_open_wins_over_what_an_earlier_life_remembers(desk: Desk) -> None:
    desk.broker.add(1)
    first = await desk.close(key="first")
    desk.clock.seconds += 100
    desk.broker.add(1)
    heir = desk.life()
    heir.remember(desk.ledger.entries)
    assert await heir.close(desk.request(1, "first")) == first
    second = await heir.close(desk.request(1, "second"))
    assert second.outcome is Outcome.DONE
    assert second != first
    assert desk.broker.open == {}
    latest = desk.life()
    latest.remember(desk.ledger.entries)
    assert await latest.close(desk.request(1, "third")) == second


def test_an_answer_given_under_a_name_stays_when_the_name_is_bound() -> None:
    # While its number was not known, a result belongs to the name.
    memory = IdempotencyMap()
    memory.restore("gold", "k1", request(key="k1").fingerprint, REFUSED)
    memory.restore("7", "k2", request(key="k2").fingerprint, DONE)
    assert memory.position_of(request()) == "7"
    assert memory.claim(request(key="k1")) is REFUSED
    with pytest.raises(IdempotencyConflict):
        memory.claim(request(ticket=8, key="k1"))


def test_a_key_that_got_anothers_full_success_is_that_requests_from_then_on() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, DONE)
    assert memory.answered_by_another(request(key="k2"), DONE) is DONE
    assert memory.claim(request(key="k2")) is DONE
    with pytest.raises(IdempotencyConflict):
        memory.claim(request(ticket=8, key="k2"))


SHARED = SharedAnswer("7", "k2", request().fingerprint, "or", 7, DONE.close_id)


def test_a_restored_shared_answer_is_a_used_keys() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k", request().fingerprint, DONE)
    assert memory.restore_shared(SHARED)
    assert memory.claim(request(key="k2", name="or")) is DONE
    with pytest.raises(IdempotencyConflict):
        memory.claim(request(ticket=8, key="k2"))
    assert memory.refs_under("k2") == (PositionRef("or", 7),)
    assert memory.fingerprint_of("7", "k2") == SHARED.fingerprint


def test_a_shared_answer_does_not_bring_an_older_success_back() -> None:
    memory = IdempotencyMap()
    newer = replace(DONE, close_id="newer")
    memory.restore("7", "k", request().fingerprint, DONE)
    memory.restore("7", "k3", request().fingerprint, newer)
    assert memory.restore_shared(SHARED)
    assert memory.full_success("7") is newer
    assert memory.answer("7", "k2") is DONE


def test_what_a_key_has_stays_though_another_answer_is_said_to_be_its() -> None:
    memory = IdempotencyMap()
    memory.restore("7", "k2", request().fingerprint, REFUSED)
    memory.restore("7", "k", request().fingerprint, DONE)
    assert memory.restore_shared(SHARED)
    assert memory.answer("7", "k2") is REFUSED


def test_a_name_that_was_not_bound_when_it_was_answered_stands_for_no_number() -> None:
    """The broker could not be asked; the name may look like another position's number."""
    memory = IdempotencyMap()
    memory.restore("9", "k", "1:9:all", replace(DONE, position_id="nine", ticket=9))
    assert memory.restore_shared(SharedAnswer("7", "k2", "1:9:all", "7", 9, DONE.close_id))
    assert memory.identifier_of(request(name="7")) is None
    assert memory.answer("7", "k2") is not None


def test_a_shared_answer_of_a_close_that_is_not_known_is_passed_over_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = IdempotencyMap()
    memory.take_up([SHARED])
    assert memory.claim(request(key="k2")) is None
    assert "close c, which is not known" in caplog.text
    assert len(caplog.records) == 1


async def test_each_key_that_is_answered_by_another_is_recorded_once(desk: Desk) -> None:
    desk.broker.add(1)
    first = await desk.close(key="first")
    for key in ("second", "second", "third"):
        assert await desk.close(key=key) == first
    assert desk.ledger.shared == [
        SharedAnswer("1", key, "1:1:all", "1", 1, first.close_id) for key in ("second", "third")
    ]
    assert len(desk.ledger.entries) == 1


@pytest.mark.parametrize("is_open_anew", [False, True])
async def test_a_later_life_knows_which_keys_another_has_answered(
    desk: Desk, is_open_anew: bool
) -> None:
    desk.broker.add(1)
    first = await desk.close(key="first")
    await desk.close(key="second", position_id="other name")
    desk.clock.seconds += 100
    if is_open_anew:
        desk.broker.add(1)
    heir = desk.life()
    heir.remember(desk.ledger.answers)
    heir.remember(desk.ledger.answers)
    for name in ("1", "other name"):
        with pytest.raises(IdempotencyConflict, match=r"1:1:0\.5"):
            await heir.close(desk.request(1, "second", position_id=name, volume=0.5))
        assert await heir.close(desk.request(1, "second", position_id=name)) == first
    assert len(desk.broker.sent) == len(desk.ledger.entries) == len(desk.ledger.shared) == 1
