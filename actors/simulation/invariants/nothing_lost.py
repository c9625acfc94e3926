"""Promise 4: what was accepted is finished, and what was finished is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.dead_orders import undoing_keys
from actors.simulation.facts import AccountSeen, Run
from actors.simulation.invariants.violation import Violation
from audit.events import mandate_of
from audit.records import EventType
from engine.identity import close_id, close_tag
from engine.mandates import DirectClose

_ACCEPTANCES = (EventType.TRIGGER_ACCEPTED, EventType.CLOSE_ACCEPTED)


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
    """Every request that moved volume belongs to a recorded close.

    If it was sent for a mandate that reached the disk: what was closed ahead of a journal that
    cannot be written, by lives that all died before it could, has nothing to be found by.
    """
    tags = {
        close_tag(UUID(record.close_id))
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED and record.close_id
    }
    for account in run.accounts:
        unexplained = [c for c in account.closes if c.executed_volume and c.tag not in tags]
        accepted = _tags_of_accepted(run, account) if unexplained else set()
        for close in unexplained:
            if close.tag in accepted or not run.was_journal_away:
                yield Violation(
                    "every order explained",
                    f"request {close.number} for ticket {close.ticket} carries a tag that no "
                    "record of a close has",
                    account.user_id,
                    close.sent_us,
                )


def _tags_of_accepted(run: Run, account: AccountSeen) -> set[str]:
    """Return the tags of all closes that an account's mandates on disk can have sent."""
    positions = {str(deal.identifier) for deal in account.deals}
    tags: set[str] = set()
    for record in run.records:
        if record.event_type not in _ACCEPTANCES or record.user_id != account.user_id:
            continue
        mandate = mandate_of(record)
        key = mandate.key if isinstance(mandate, DirectClose) else mandate.trigger_id
        names = [ref.position_id for ref in mandate.positions or ()]
        for base in [key] if key else [*names, *positions]:
            keys = [base, *undoing_keys(base)]
            tags |= {
                close_tag(close_id(account.user_id, position, one))
                for one in keys
                for position in positions
            }
    return tags
