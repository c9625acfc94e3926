from __future__ import annotations

from dataclasses import replace

import pytest

from audit.chain import ChainWriter
from audit.events import (
    account_locked,
    account_released,
    actor_killed,
    close_accepted,
    direct_close_of,
    episode_finished,
    guard_alert,
    mandate_of,
    pending_cancelled,
    plain_event,
    reversal,
    trigger_accepted,
    trigger_of,
    trigger_refused,
)
from audit.records import AuditRecord, EventType, Status, record_of
from engine.brokers.port import PendingOrder, Position, Side
from engine.mandates import DirectClose
from engine.models import GuardTrigger, GuardType, PositionRef
from tests.unit.audit.samples import NOW, a_close, a_trigger


def _trip(record: AuditRecord) -> AuditRecord:
    return record_of(ChainWriter("supervisor:1").seal(record).body)


@pytest.mark.parametrize("positions", [None, (), a_trigger().positions])
def test_the_whole_trigger_comes_back(positions: tuple[PositionRef, ...] | None) -> None:
    trigger = replace(a_trigger(), positions=positions)
    assert trigger_of(_trip(trigger_accepted(trigger, occurred_at=NOW))) == trigger
    assert trigger_of(_trip(trigger_refused(trigger, "stale", occurred_at=NOW))) == trigger


def test_an_episode_is_accepted_once_and_refused_each_time() -> None:
    trigger = a_trigger()
    first = trigger_accepted(trigger, occurred_at=NOW)
    assert first.event_id == trigger_accepted(trigger, occurred_at=NOW + 1).event_id
    refusals = {trigger_refused(trigger, "stale", occurred_at=NOW + n).event_id for n in (0, 1)}
    assert len(refusals | {first.event_id}) == 3


def test_an_odd_trigger_is_recorded_nevertheless() -> None:
    deep: list[float] = [1.0]
    trigger = GuardTrigger("u1", GuardType.MARKET, "gap", inputs={"deep": deep})
    deep[0] = float("nan")  # after the trigger's own check
    assert _trip(trigger_accepted(trigger, occurred_at=NOW)).meta_data["inputs"]["deep"] == ["NaN"]


def test_other_records_hold_no_trigger() -> None:
    with pytest.raises(ValueError, match="event_type='position_closed'"):
        trigger_of(a_close())


def test_an_end_says_whether_it_is_flat() -> None:
    flat = episode_finished("t", "u1", occurred_at=NOW, closed=3, residual=0)
    left = episode_finished("t", "u1", occurred_at=NOW, closed=2, residual=1, details={"a": 1})
    assert (flat.outcome, flat.status) == ("flat", Status.OK)
    assert (left.outcome, left.status) == ("residual", Status.FAILED)
    assert _trip(left).meta_data == {"a": 1, "closed": 2, "residual": 1}
    assert flat.event_id == left.event_id


def test_an_alert_is_a_warning_of_its_guard() -> None:
    alert = guard_alert("u1", GuardType.MARGIN, "low", occurred_at=NOW, inputs={"level": 120.0})
    back = _trip(alert)
    assert (back.status, back.initiator) == (Status.WARNING, "margin")
    assert back.meta_data == {"level": 120.0}


def test_a_plain_event_is_named_by_what_makes_it_one() -> None:
    def added(number: int) -> str:
        return plain_event(EventType.ACCOUNT_ADDED, "u1", number, occurred_at=NOW).event_id

    assert added(1) == added(1) != added(2)


@pytest.mark.parametrize(
    "close",
    [
        DirectClose("c1", "u1", "by hand", None),
        DirectClose("c1", "u1", "by hand", (), is_bulk=True),
        DirectClose(
            "c1", "u1", "ü", (PositionRef("p1", 7),), "key", 0.1 + 0.2, 1.2345, initiator="ann"
        ),
    ],
)
def test_the_whole_direct_close_comes_back(close: DirectClose) -> None:
    back = _trip(close_accepted(close, occurred_at=NOW))
    assert direct_close_of(back) == mandate_of(back) == close
    assert (back.trigger_id, back.user_id) == ("c1", "u1")


def test_a_mandate_is_what_was_accepted() -> None:
    trigger = a_trigger()
    assert mandate_of(_trip(trigger_accepted(trigger, occurred_at=NOW))) == trigger
    with pytest.raises(ValueError, match="event_type='trigger_refused'"):
        mandate_of(trigger_refused(trigger, "stale", occurred_at=NOW))
    with pytest.raises(ValueError, match="event_type='trigger_accepted'"):
        direct_close_of(trigger_accepted(trigger, occurred_at=NOW))


def test_a_direct_close_is_accepted_once() -> None:
    close = DirectClose("c1", "u1", "by hand", None)
    once, again = (close_accepted(close, occurred_at=NOW + n) for n in (0, 1))
    other = close_accepted(replace(close, episode_id="c2"), occurred_at=NOW)
    assert once.event_id == again.event_id != other.event_id
    assert other.event_id != close_accepted(replace(close, user_id="u2"), occurred_at=NOW).event_id


def test_an_account_can_be_locked_and_released_again() -> None:
    locks = {account_locked("u1", "t1", occurred_at=NOW + n).event_id for n in (0, 0, 1)}
    releases = {
        account_released("u1", occurred_at=NOW + n, initiator="ann").event_id for n in (0, 0, 1)
    }
    assert (len(locks), len(releases)) == (2, 2)
    lock = _trip(account_locked("u1", "t1", occurred_at=NOW))
    assert (lock.event_type, lock.trigger_id) == (EventType.ACCOUNT_LOCKED, "t1")
    release = _trip(account_released("u1", occurred_at=NOW, initiator="ann"))
    assert (release.event_type, release.initiator) == (EventType.ACCOUNT_RELEASED, "ann")


def test_a_reversal_names_what_stands_and_what_did_it() -> None:
    opened = Position(8, 7, "EURUSD", Side.SHORT, 0.5, 1.1, float("nan"), -1.0, 0.0, NOW // 1000)
    record = reversal("u1", "5", opened, occurred_at=NOW, trigger_id="t1", initiator="drawdown")
    back = _trip(record)
    assert (back.position_id, back.ticket, back.volume, back.status) == ("7", 8, 0.5, Status.FAILED)
    assert back.meta_data["closed_position"] == "5"
    assert back.meta_data["opened"]["side"] == "short"
    assert back.meta_data["opened"]["price_current"] == "NaN"
    again = reversal("u1", "5", opened, occurred_at=NOW, trigger_id="t1", initiator="drawdown")
    later = reversal("u1", "5", opened, occurred_at=NOW + 1)
    assert record.event_id == again.event_id != later.event_id


@pytest.mark.parametrize(
    ("trouble", "status"), [("", Status.OK), ("10017 Trade is disabled", Status.FAILED)]
)
def test_a_pending_order_is_gone_or_the_record_says_why_not(trouble: str, status: Status) -> None:
    order = PendingOrder(9, "EURUSD", Side.LONG, 0.2, 1.05)
    record = pending_cancelled("u1", order, trigger_id="t1", occurred_at=NOW, trouble=trouble)
    back = _trip(record)
    assert (back.status, back.ticket, back.trigger_id) == (status, 9, "t1")
    assert trouble in back.description
    assert back.meta_data["order"]["price"] == 1.05
    later = pending_cancelled("u1", order, trigger_id="t1", occurred_at=NOW + 1, trouble=trouble)
    assert record.event_id != later.event_id


def test_a_life_is_ended_by_the_watchdog_once() -> None:
    record = actor_killed("u1", 3, occurred_at=NOW, silent_s=12.5, trigger_id="t1")
    back = _trip(record)
    assert (back.event_type, back.trigger_id) == (EventType.ACTOR_KILLED, "t1")
    assert back.meta_data == {"incarnation": 3, "silent_s": 12.5}
    assert record.event_id == actor_killed("u1", 3, occurred_at=NOW + 1, silent_s=13.0).event_id
    assert record.event_id != actor_killed("u1", 4, occurred_at=NOW, silent_s=12.5).event_id
