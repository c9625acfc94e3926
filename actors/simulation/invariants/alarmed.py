"""Promises 3, 4 and 5, as far as people are to be told: what needs one raises an alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation
from audit.records import AuditRecord, EventType
from engine.identity import close_tag
from engine.outcomes import Outcome

_ACCEPTANCES = (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)


def unsure_is_alarmed(run: Run) -> Iterator[Violation]:
    """An episode that leaves something open, or in an unknown state, says so to people.

    A direct close that failed is its caller's to know; one whose fate is unknown is not.
    """
    direct = {r.trigger_id for r in run.records if r.event_type is EventType.CLOSE_ACCEPTED}
    unknown = {
        record.trigger_id
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED
        and record.outcome == Outcome.UNKNOWN.value
    }
    for record in run.records:
        if record.event_type is not EventType.EPISODE_FINISHED or record.outcome != "residual":
            continue
        if record.trigger_id in direct and record.trigger_id not in unknown:
            continue
        start = f"episode {record.trigger_id} of {record.user_id} ended with"
        if not any(alarm.text.startswith(start) for alarm in run.alarms):
            yield Violation(
                "unsure is alarmed",
                f"episode {record.trigger_id} ended with a residual, and no alarm says so",
                record.user_id,
            )


def early_is_alarmed(run: Run) -> Iterator[Violation]:
    """An order that leaves before its mandate is on disk is announced by an alarm."""
    shared = _of_shared_keys(run)
    tags = {tag: name for tag, name in _episodes_by_tag(run).items() if name not in shared}
    for account in run.accounts:
        early: dict[str, int] = {}
        for close in account.closes:
            episode = tags.get(close.tag)
            if episode is None or close.sent_us >= run.accepted_us.get(episode, close.sent_us):
                continue
            early[episode] = min(close.sent_us, early.get(episode, close.sent_us))
        for episode, sent_us in early.items():
            start = f"episode {episode} goes ahead before"
            said = [alarm.at_us for alarm in run.alarms if alarm.text.startswith(start)]
            if not said or min(said) > sent_us:
                yield Violation(
                    "early is alarmed",
                    f"an order of {episode} left before its mandate was on disk, without an alarm",
                    account.user_id,
                    sent_us,
                )


def reversal_is_alarmed(run: Run) -> Iterator[Violation]:
    """A position that was found turned around is announced by an alarm."""
    for record in run.records:
        if record.event_type is not EventType.REVERSAL:
            continue
        start = f"reversal on {record.user_id}: "
        if not any(alarm.text.startswith(start) for alarm in run.alarms):
            yield Violation(
                "reversal is alarmed", "a reversal is on record, without an alarm", record.user_id
            )


def bound_is_alarmed(run: Run) -> Iterator[Violation]:
    """At the bound of held records an account alarms, and keeps a summary of every close."""
    full = {
        user_id: [a for a in run.alarms if a.text.startswith(f"account {user_id} holds ")]
        for user_id in (account.user_id for account in run.accounts)
    }
    for record in run.records:
        if _is_summary(record) and not full.get(record.user_id):
            yield Violation(
                "bound is alarmed",
                f"the close of position {record.position_id} was recorded as a summary, and no "
                "alarm says why",
                record.user_id,
            )
    recorded = _episodes_by_tag(run)
    for account in run.accounts:
        for alarm in full[account.user_id]:
            if alarm.process in run.died_us:
                continue  # what it held died with it, as far as nobody had been given it
            for close in account.closes:
                is_after = close.process == alarm.process and close.sent_us >= alarm.at_us
                if is_after and close.executed_volume and close.tag not in recorded:
                    yield Violation(
                        "bound is alarmed",
                        f"request {close.number} was sent when no more records could be held, "
                        "and no summary of it was kept",
                        account.user_id,
                        close.sent_us,
                    )


def _of_shared_keys(run: Run) -> set[str]:
    """Name the direct closes whose key others use, too: an order with its tag may be theirs."""
    uses = Counter((call.user_id, call.key) for call in run.calls)
    return {
        call.episode
        for call in run.calls
        if call.kind != "trigger" and (not call.key or uses[call.user_id, call.key] > 1)
    }


def _is_summary(record: AuditRecord) -> bool:
    return (
        record.event_type is EventType.POSITION_CLOSED
        and bool(record.attempts)
        and not record.meta_data["attempts"]
    )


def _episodes_by_tag(run: Run) -> dict[str, str]:
    return {
        close_tag(UUID(record.close_id)): record.trigger_id or ""
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED and record.close_id
    }
