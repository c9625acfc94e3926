"""Promise 4: what was accepted is finished, and what was finished is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.dead_orders import undoing_keys
from actors.simulation.facts import AccountSeen, Run
from actors.simulation.invariants.violation import Violation
from actors.simulation.venue import CloseSeen
from audit.events import mandate_of
from audit.records import EventType
from engine.identity import close_id, close_tag
from engine.mandates import DirectClose

_RESENT_WITHIN_US = 6_000_000
"""A journal that is well again has what it refused within this time."""
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

    Excused is what was closed ahead of a journal that could not be written, by a life that died
    before it could and before its mandate was on disk: it has nothing to be found by.
    """
    tags = {
        close_tag(UUID(record.close_id))
        for record in run.records
        if record.event_type is EventType.POSITION_CLOSED and record.close_id
    }
    for account in run.accounts:
        for close in account.closes:
            if not close.executed_volume or close.tag in tags:
                continue
            if not _died_with_its_mandate(run, account, close):
                yield Violation(
                    "every order explained",
                    f"request {close.number} for ticket {close.ticket} carries a tag that no "
                    "record of a close has",
                    account.user_id,
                    close.sent_us,
                )


def _died_with_its_mandate(run: Run, account: AccountSeen, close: CloseSeen) -> bool:
    died_us = run.died_us.get(close.process)
    if died_us is None:
        return False
    was_ill = any(
        begun_us <= died_us and close.sent_us <= over_us + _RESENT_WITHIN_US
        for begun_us, over_us in run.journal_ill
    )
    return was_ill and close.tag not in _tags_of_accepted(run, account, died_us)


def _tags_of_accepted(run: Run, account: AccountSeen, until_us: int) -> set[str]:
    """Return the tags of the closes for an account's mandates that were on disk at a moment."""
    positions = {str(deal.identifier) for deal in account.deals}
    tags: set[str] = set()
    for record in run.records:
        if record.event_type not in _ACCEPTANCES or record.user_id != account.user_id:
            continue
        if run.accepted_us.get(record.trigger_id or "", 0) > until_us:
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
