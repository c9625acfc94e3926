from __future__ import annotations

from dataclasses import replace

import pytest

from audit.chain import ChainWriter
from audit.events import (
    episode_finished,
    guard_alert,
    plain_event,
    trigger_accepted,
    trigger_of,
    trigger_refused,
)
from audit.records import AuditRecord, EventType, Status, record_of
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
