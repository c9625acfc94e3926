"""Promise 8: flat stays flat, until it is released."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.simulation.facts import Run
from actors.simulation.invariants.violation import Violation
from audit.records import EventType
from engine.identity import close_tag


def locked_is_flat(run: Run) -> Iterator[Violation]:
    """A locked account has no position and no pending order when all is quiet."""
    if run.observes or run.quiet_us is None:
        return
    for account in run.accounts:
        if account.locked_by is None or not account.may_be_sent_to:
            continue
        for what, found in (("position", account.open_positions), ("order", account.pending)):
            for item in found:
                yield Violation(
                    "locked is flat",
                    f"the account is locked by {account.locked_by}, and {what} {item.ticket} "
                    "is there",
                    account.user_id,
                )


def lock_is_remembered(run: Run) -> Iterator[Violation]:
    """An account that a recorded episode has locked, and nobody released since, is locked."""
    locked: dict[str, str] = {}
    for record in sorted(run.records, key=lambda r: (r.stream.rpartition(":")[0], r.incarnation,
                                                     r.seq)):  # fmt: skip
        if record.event_type is EventType.ACCOUNT_LOCKED:
            locked.setdefault(record.user_id, record.trigger_id or "")
        elif record.event_type is EventType.ACCOUNT_RELEASED:
            locked.pop(record.user_id, None)
    for account in run.accounts:
        if account.user_id in locked and account.locked_by is None and run.quiet_us is not None:
            yield Violation(
                "lock is remembered",
                f"{locked[account.user_id]} has locked the account, and it is not locked",
                account.user_id,
            )


def pending_first(run: Run) -> Iterator[Violation]:
    """Before a critical episode closes anything, it asks for the pending orders' cancellation."""
    tags: dict[str, set[str]] = {}
    for record in run.records:
        if record.event_type is EventType.POSITION_CLOSED and record.close_id:
            of_episode = tags.setdefault(record.trigger_id or "", set())
            of_episode.add(close_tag(UUID(record.close_id)))
    critical = {
        record.trigger_id or "": record.user_id
        for record in run.records
        if record.event_type is EventType.TRIGGER_ACCEPTED
        and record.meta_data["severity"] == "critical"
        and record.meta_data["positions"] is None
    }
    begun: dict[str, int] = {}
    for call in run.calls:
        begun[call.episode] = min(call.begun_us, begun.get(call.episode, call.begun_us))
    for episode, user_id in critical.items():
        account = run.account(user_id)
        sent = [c.sent_us for c in account.closes if c.tag in tags.get(episode, ())]
        if not sent or episode not in begun:
            continue
        for placed_us, ticket in account.pending_placed:
            if placed_us >= begun[episode]:
                continue
            asked = [at_us for at_us, order in account.pending_cancels if order == ticket]
            is_gone = not asked and all(order.ticket != ticket for order in account.pending)
            if not is_gone and (not asked or min(asked) > min(sent)):
                yield Violation(
                    "pending first",
                    f"episode {episode} sent its first close before it had pending order "
                    f"{ticket} cancelled",
                    user_id,
                    min(sent),
                )
