"""Refusing triggers that nobody should act on: malformed, stale, or from the future."""

from __future__ import annotations

from collections.abc import Mapping

from audit.events import plain_event, trigger_refused
from audit.records import AuditRecord, EventType, Status
from engine import arguments
from engine.clock import to_wall_us
from engine.config import EngineConfig
from engine.errors import IdempotencyConflict, RiskEngineError
from engine.models import GuardTrigger, PositionRef

REFUSALS: Mapping[str, type[Exception]] = {
    "IdempotencyConflict": IdempotencyConflict,
    "ValueError": ValueError,
}
"""What a direct call can be refused with, by the names on record."""


class EngineStopping(RiskEngineError):
    """The engine is being shut down and accepts nothing any more."""


class TriggerRefused(RiskEngineError, ValueError):
    """The trigger was not acted on; the message says why, and what to do. It is on record."""


def why_refused(trigger: GuardTrigger, config: EngineConfig, now_us: int) -> str | None:
    """Say why ``trigger`` is not acted on; ``None`` if nothing speaks against it.

    What a trigger was made of is checked again: it may have come over a network, which checks
    nothing.
    """
    try:
        arguments.json_value("inputs", trigger.inputs)
        GuardTrigger(
            trigger.user_id,
            trigger.guard,
            trigger.reason,
            trigger.severity,
            None
            if trigger.positions is None
            else tuple(PositionRef(p.position_id, p.ticket) for p in trigger.positions),
            trigger.trigger_id,
            trigger.triggered_at,
            trigger.inputs,
        )
    except (ValueError, TypeError, AttributeError) as error:
        return str(error)
    age_s = (now_us - to_wall_us(trigger.triggered_at)) / 1e6
    if age_s > config.trigger_max_age_s:
        return (
            f"triggered_at={trigger.triggered_at.isoformat()} is {age_s:.1f} s old, more than "
            f"trigger_max_age_s={config.trigger_max_age_s:g}: look at the account again and "
            "trigger anew"
        )
    if -age_s > config.trigger_ahead_s:
        return (
            f"triggered_at={trigger.triggered_at.isoformat()} lies {-age_s:.1f} s ahead of this "
            f"clock, more than trigger_ahead_s={config.trigger_ahead_s:g}: set the clocks"
        )
    return None


def refusal_record(trigger: GuardTrigger, why: str, now: int) -> AuditRecord:
    """Put on record that a trigger was refused, however malformed it is."""
    try:
        return trigger_refused(trigger, why, occurred_at=now)
    except (ValueError, TypeError, AttributeError):  # too malformed to be kept whole
        return plain_event(
            EventType.TRIGGER_REFUSED,
            str(trigger.user_id),
            str(trigger.trigger_id),
            now,
            occurred_at=now,
            description=why,
            status=Status.WARNING,
        )
