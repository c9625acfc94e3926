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
from audit.shared_answers import shared_answer_of
from engine.identity import close_id, close_tag
from engine.mandates import DirectClose, Mandate

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

    Excused is what was closed ahead of a journal that could not be written, if the life that closed
    it and the supervisor that knew of it died before: it has nothing to be found by, unless
    its mandate comes again, however late.
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
    """Whether account and supervisor died while the journal was ill, and it never came again."""
    died_us = run.died_us.get(close.process)
    if died_us is None:
        return False
    supervisors_us = [at for name, at in run.died_us.items() if name.startswith("supervisor/")]
    were_unheard = any(
        begun_us <= died_us
        and close.sent_us <= over_us + _RESENT_WITHIN_US
        and any(begun_us <= at <= over_us + _RESENT_WITHIN_US for at in supervisors_us)
        for begun_us, over_us in run.journal_ill
    )
    if not were_unheard or close.tag not in _tags_of_accepted(run, account):
        return were_unheard
    # An order that met nothing on a netting account has opened something: the position that it was
    # for has no deal of it. If another key was told that position's end first, that is the answer.
    return not account.is_hedging and close.tag in _tags_answered(run, account)


def _tags_answered(run: Run, account: AccountSeen) -> set[str]:
    """Return the tags of the closes that were answered by another key's full success."""
    return {
        close_tag(close_id(account.user_id, shared.position, shared.key))
        for record in run.records
        if record.event_type is EventType.CLOSE_ANSWERED and record.user_id == account.user_id
        for shared in (shared_answer_of(record),)
    }


def _tags_of_accepted(run: Run, account: AccountSeen) -> set[str]:
    """Return the tags of the closes for an account's mandates that were ever on disk."""
    positions = {str(deal.identifier) for deal in account.deals}
    tags: set[str] = set()
    for record in run.records:
        if record.event_type in _ACCEPTANCES and record.user_id == account.user_id:
            for position, key in _closes_of(mandate_of(record), positions):
                tags.add(close_tag(close_id(account.user_id, position, key)))
    return tags


def _closes_of(mandate: Mandate, positions: set[str]) -> Iterator[tuple[str, str]]:
    """Name the closes, by position and key, that a mandate may ask for."""
    key = mandate.key if isinstance(mandate, DirectClose) else mandate.trigger_id
    scope = [(position, position) for position in positions]
    if mandate.positions is not None:
        scope = [(str(ref.ticket), ref.position_id) for ref in mandate.positions]
    for position, name in scope:
        yield position, key or name
    # A reversal is closed under another number than what was turned around.
    for base in {key or name for _, name in scope}:
        for undoing in undoing_keys(base):
            for position in positions:
                yield position, undoing
