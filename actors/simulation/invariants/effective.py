"""Promise 13: what nothing prevents from being closed is closed."""

from __future__ import annotations

from collections.abc import Iterator

from actors.simulation.facts import AccountSeen, CallSeen, Run
from actors.simulation.invariants.violation import Violation
from engine.models import CloseResult
from engine.outcomes import Outcome

_ENTRIES = (0, 2)
"""Deals that open or enlarge a position, or turn it around."""


def closes_what_it_can(run: Run) -> Iterator[Violation]:
    """A call that nothing troubles succeeds, unless its account or its owner stands in its way.

    Repetitions and contradictions have checks of their own.
    """
    for call in run.calls:
        if call.repeats is not None or call.contradicts is not None or not call.is_untroubled:
            continue
        problem = _problem(run, call)
        if problem:
            yield Violation(
                "closes what it can",
                f"call {call.number} ({call.kind}) of {call.episode} {problem}, and nothing "
                "troubled its account",
                call.user_id,
                call.ended_us,
            )


def _problem(run: Run, call: CallSeen) -> str:
    account = run.account(call.user_id)
    if call.status != "ok":
        if call.status == "conflict" and _is_key_taken(run, call):
            return ""
        return f"was answered with {call.status}: {call.error}"
    failed = [result for result in call.results if not result.success]
    for result in failed:
        if not _is_excused(run, account, call, result):
            return f"left {result.position_id} {result.outcome.value}: {result.error_message}"
    untold = len(call.positions or ()) - len(call.results)
    if untold > 0:  # an earlier answer may call a position by its other name
        return f"was answered without a word on {untold} of its positions"
    if failed or _grew(account, call):
        return ""
    if call.state not in ("", "flat"):
        return f"ended {call.state}, although no result failed"
    return _left_open(account, call)


def _is_key_taken(run: Run, call: CallSeen) -> bool:
    """Whether another call has used the name or a key of this one for something else."""
    assert call.ended_us is not None
    for other in run.calls:
        if other.number == call.number or other.begun_us > call.ended_us:
            continue
        if other.contradicts == call.number:
            return True
        same_keys = _keys(other) & _keys(call) if other.user_id == call.user_id else set()
        if same_keys and other.status != "conflict" and other.volume != call.volume:
            return True
    return False


def _keys(call: CallSeen) -> set[tuple[str, str]]:
    return {(position, call.key or position) for position in call.positions or ()}


def _left_open(account: AccountSeen, call: CallSeen) -> str:
    """Tell of a position that a close of all has passed over."""
    if call.positions is not None or call.volume is not None:
        return ""
    left = [p.ticket for p in account.open_positions if p.opened_us < call.begun_us]
    return f"passed over ticket {left[0]}" if left else ""


def _is_excused(run: Run, account: AccountSeen, call: CallSeen, result: CloseResult) -> bool:
    """Whether a result failed for a reason that stands, whatever the engine does."""
    reason = result.error_message or ""
    if result.outcome is Outcome.NOT_SENT and (run.observes or not account.may_be_sent_to):
        return True
    if result.outcome is Outcome.REJECTED and account.is_fifo and "FIFO" in reason:
        return True
    if result.outcome is Outcome.NOT_FOUND:
        return all(deal.identifier != result.ticket for deal in account.deals)
    if result.outcome is Outcome.PARTIAL and _grew(account, call, result.ticket):
        return True
    return _failed_before(run, call, result)


def _grew(account: AccountSeen, call: CallSeen, ticket: int | None = None) -> bool:
    """Whether the owner, or an order of theirs, opened or enlarged a position meanwhile."""
    assert call.ended_us is not None
    return any(
        deal.entry in _ENTRIES
        and call.begun_us <= deal.at_us <= call.ended_us
        and ticket in (None, deal.identifier)
        for deal in account.deals
    )


def _failed_before(run: Run, call: CallSeen, result: CloseResult) -> bool:
    """Whether an earlier call has used the same key: its failure is the answer."""
    return any(
        other.number != call.number
        and other.begun_us < call.begun_us
        and earlier.close_id == result.close_id
        and not earlier.success
        for other in run.calls
        for earlier in other.results
    )
