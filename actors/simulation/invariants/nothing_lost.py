"""Promise 4: what was accepted is finished, and what was finished is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation
from audit.records import EventType
from engine.identity import close_tag


def accepted_is_finished(run: Run) -> Iterator[Violation]:
    """Every trigger that was acknowledged, and every mandate on record, has a recorded end."""
    finished = {
        record.trigger_id
        for record in run.records
        if record.event_type is EventType.EPISODE_FINISHED
    }
    accepted = {
        record.trigger_id: record.user_id
        for record in run.records
        if record.event_type in (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)
    }
    for call in run.calls:
        if call.acknowledged_us is not None:
            accepted.setdefault(call.episode, call.user_id)
    for episode, user_id in accepted.items():
        if episode not in finished:
            yield Violation(
                "accepted is finished", f"episode {episode} has no recorded end", user_id
            )
    for episode in run.open_episodes:
        if episode not in accepted:
            yield Violation("accepted is finished", f"episode {episode} is open and unknown")


def flat_means_flat(run: Run) -> Iterator[Violation]:
    """An episode over all positions that ended flat has left none of those that were open."""
    begun: dict[str, int] = {}
    for call in run.calls:
        begun[call.episode] = min(call.begun_us, begun.get(call.episode, call.begun_us))
    for call in run.calls:
        if call.kind != "trigger" or call.state != "flat" or call.positions is not None:
            continue
        for position in run.account(call.user_id).open_positions:
            if position.opened_us < begun[call.episode]:
                yield Violation(
                    "flat means flat",
                    f"call {call.number} ended flat, and ticket {position.ticket}, open since "
                    f"{position.opened_us / 1e6:.1f} s, still is",
                    call.user_id,
                    call.ended_us,
                )


def residual_has_reason(run: Run) -> Iterator[Violation]:
    """What could not be closed says why."""
    for call in run.calls:
        for result in call.results:
            if not result.success and not result.error_message:
                yield Violation(
                    "residual has reason",
                    f"position {result.position_id} failed without a reason",
                    call.user_id,
                    call.ended_us,
                )


def every_order_explained(run: Run) -> Iterator[Violation]:
    """Every request that moved volume belongs to a recorded close."""
    tags = {
        close_tag(UUID(record.close_id))
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED and record.close_id
    }
    for account in run.accounts:
        for close in account.closes:
            if close.executed_volume and close.tag not in tags:
                yield Violation(
                    "every order explained",
                    f"request {close.number} for ticket {close.ticket} carries a tag that no "
                    "record of a close has",
                    account.user_id,
                    close.sent_us,
                )
