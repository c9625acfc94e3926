"""Triggers that nobody should act on are refused with a reason, and no others are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.refusing import why_refused
from engine.clock import to_datetime, to_wall_us
from engine.config import EngineConfig
from engine.models import GuardTrigger, GuardType, PositionRef

NOW_US = 1_700_000_000_000_000
CONFIG = EngineConfig(trigger_max_age_s=300.0, trigger_ahead_s=5.0)


def trigger(*, at: datetime | None = None, **more: object) -> GuardTrigger:
    when = at or to_datetime(NOW_US)
    return GuardTrigger(
        "ann",
        GuardType.DRAWDOWN,
        "equity fell",
        triggered_at=when,
        **more,  # type: ignore[arg-type]
    )


def forged(**members: object) -> GuardTrigger:
    """A trigger as a network may bring it: nothing has checked it."""
    made = trigger(positions=(PositionRef("p1", 1),), inputs={"equity": 1.0})
    for name, value in members.items():
        object.__setattr__(made, name, value)
    return made


def forged_ref(position_id: object, ticket: object) -> PositionRef:
    ref = PositionRef("p1", 1)
    object.__setattr__(ref, "position_id", position_id)
    object.__setattr__(ref, "ticket", ticket)
    return ref


@pytest.mark.parametrize("positions", [None, (), (PositionRef("p1", 1),)])
def test_a_sound_trigger_is_acted_on(positions: tuple[PositionRef, ...] | None) -> None:
    sound = trigger(positions=positions, inputs={"equity": 8000.5, "ticks": [{"bid": 1.2}]})
    assert why_refused(sound, CONFIG, NOW_US) is None


@pytest.mark.parametrize(
    ("age_s", "named"),
    [
        (300.0, None),
        (300.001, "trigger_max_age_s=300"),
        (-5.0, None),
        (-5.001, "trigger_ahead_s=5"),
    ],
)
def test_its_age_may_reach_the_limits_and_not_pass_them(age_s: float, named: str | None) -> None:
    at = to_datetime(NOW_US) - timedelta(seconds=age_s)
    why = why_refused(trigger(at=at), CONFIG, NOW_US)
    if named is None:
        assert why is None
    else:
        assert why is not None
        assert named in why
        assert at.isoformat() in why


def test_age_is_the_same_in_every_time_zone() -> None:
    at = to_datetime(NOW_US).astimezone(datetime.now(UTC).astimezone().tzinfo)
    assert to_wall_us(at) == NOW_US
    assert why_refused(trigger(at=at), CONFIG, NOW_US) is None


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"inputs": {"equity": float("nan")}}, "equity"),
        ({"inputs": {"equity": [1.0, float("inf")]}}, "equity"),
        ({"inputs": {"what": object()}}, "what"),
        ({"user_id": ""}, "user_id"),
        ({"reason": " "}, "reason"),
        ({"trigger_id": ""}, "trigger_id"),
        ({"guard": "astrology"}, "guard"),
        ({"severity": "mild"}, "severity"),
        ({"triggered_at": datetime(2023, 11, 14)}, "triggered_at"),  # noqa: DTZ001  # the point
        ({"triggered_at": "now"}, "triggered_at"),
        ({"positions": (forged_ref("", 1),)}, "position_id"),
        ({"positions": (forged_ref("p1", 0),)}, "ticket"),
        ({"positions": (forged_ref("p1", float("nan")),)}, "ticket"),
        ({"positions": ({"position_id": "p1"},)}, "position_id"),
        ({"positions": 3}, "int"),
    ],
)
def test_what_a_network_brought_is_checked_again(members: dict[str, object], named: str) -> None:
    why = why_refused(forged(**members), CONFIG, NOW_US)
    assert why is not None
    assert named in why
