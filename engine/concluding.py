"""From a finished close to its result: the outcome, the price and the P&L that the deals show."""

from __future__ import annotations

from datetime import datetime

from engine.brokers.port import Deal
from engine.identity import is_close_tag
from engine.models import CloseEvidence, CloseRequest, CloseResult
from engine.outcomes import Outcome
from engine.realised import VOLUME_DUST, average_price, closed_by, profit_and_loss
from engine.unfinished import UnfinishedClose


def conclude(close: UnfinishedClose, now: datetime) -> CloseResult:
    """Turn the notes on a close into its one final result."""
    outcome, error = _outcome(close)
    success = error is None and outcome in (Outcome.DONE, Outcome.ALREADY_CLOSED, Outcome.PARTIAL)
    counted, exits = _realised_deals(close, outcome)
    price = average_price(exits)
    if price is None and close.executed > 0:
        # The broker confirmed the fill, but its deals have not shown up in time.
        price = next((a.price for a in reversed(close.all_attempts) if a.price > 0), None)
    return CloseResult(
        success=success,
        position_id=close.request.position_id,
        ticket=close.request.ticket,
        closed_price=price,
        pnl=profit_and_loss(counted) if exits else None,
        close_reason=close.request.close_reason,
        close_timestamp=now,
        error_message=error,
        close_id=close.close_id,
        outcome=outcome,
        attempts=close.attempt_count,
        volume=_volume(close, outcome),
    )


def evidence_of(close: UnfinishedClose) -> CloseEvidence:
    """Return what the result of ``close`` rests on."""
    return CloseEvidence(
        key=close.request.idempotency_key,
        fingerprint=close.request.fingerprint,
        initiator=close.request.initiator,
        trigger_id=close.request.trigger_id,
        position=close.position,
        symbol=close.symbol or next((d.symbol for d in close.book.entries), ""),
        side=close.side or next((d.side for d in close.book.entries), None),
        volume_before=close.volume_before,
        attempts=close.all_attempts,
        deals=close.book.deals,
        closed_by=closed_by(close.book.exits),
    )


def refused(request: CloseRequest, error: str, now: datetime) -> CloseResult:
    """Make the result of a request that was not taken up: nothing was sent, nothing is final."""
    return refused_entry(
        request.position_id, request.ticket, request.close_reason, error=error, now=now
    )


def refused_entry(
    position_id: object, ticket: object, close_reason: str, *, error: str, now: datetime
) -> CloseResult:
    """Make the failed result of an entry of a bulk call that is not even well-formed."""
    return CloseResult(
        success=False,
        position_id=position_id if isinstance(position_id, str) else repr(position_id),
        ticket=ticket if isinstance(ticket, int) else 0,
        closed_price=None,
        pnl=None,
        close_reason=close_reason,
        close_timestamp=now,
        error_message=error,
        close_id="",
        outcome=Outcome.NOT_SENT,
    )


def _outcome(close: UnfinishedClose) -> tuple[Outcome, str | None]:
    ours = close.book.tagged(close.tag)
    if close.failure is not None:
        if close.failure is not Outcome.UNKNOWN and close.executed > 0:
            return Outcome.PARTIAL, close.error
        return close.failure, close.error or close.failure.value
    ours_closed = close.book.closed_under(close.tag)
    if close.book.is_fully_closed and not ours_closed and not close.failure:
        return Outcome.ALREADY_CLOSED, None
    whole = close.executed >= close.volume_before > 0
    if close.is_satisfied and not (close.request.volume is None or whole):
        return Outcome.PARTIAL, None
    if close.is_satisfied or (close.gone and ours):
        return _done_unless_grown(close)
    if close.attempt_count or close.executed > 0:
        return Outcome.UNKNOWN, "the position is no longer listed, but no deal shows who closed it"
    if close.book.deals:
        return Outcome.UNKNOWN, "the position is not listed, yet its deals do not add up to closed"
    return Outcome.NOT_FOUND, (
        f"ticket={close.request.ticket} is no open position, and the broker has no deals of it"
    )


def _done_unless_grown(close: UnfinishedClose) -> tuple[Outcome, str | None]:
    """Say DONE only of a position that is gone: a net one may have grown while it was closed.

    A position has one full success. If another key has it already, because the life that sent
    this key's order died over it, what this one closed is a part of that end.
    """
    if close.has_heir:
        return Outcome.PARTIAL, None
    grown = 0.0
    if close.nets and close.side is not None and not close.gone and close.deals_cover_executed:
        grown = close.book.net * close.side.sign
    if grown <= VOLUME_DUST:
        return Outcome.DONE, None
    if close.request.volume is not None:
        return Outcome.PARTIAL, None
    return Outcome.PARTIAL, f"the position grew by {grown:g} lots while it was being closed"


def _realised_deals(
    close: UnfinishedClose, outcome: Outcome
) -> tuple[tuple[Deal, ...], tuple[Deal, ...]]:
    """Return the deals whose results count, and the exits whose prices do.

    Results of one position's closes add up to the sum over its deals: each close counts its own
    exits, and the one that ends the position counts what entering cost as well. Exits of others
    (stop loss, stop-out, by hand) count for the close that finds the position gone.
    """
    book = close.book
    if outcome is Outcome.ALREADY_CLOSED:
        return close.book.deals, book.exits
    ours = book.tagged(close.tag)
    if outcome is Outcome.DONE:
        others = tuple(
            d for d in book.exits if d.comment != close.tag and not is_close_tag(d.comment)
        )
        return book.entries + ours + others, ours
    return ours, ours


def _volume(close: UnfinishedClose, outcome: Outcome) -> float:
    if outcome is Outcome.ALREADY_CLOSED:
        return 0.0
    seen = close.book.closed_under(close.tag)
    return round(seen if close.book.is_fully_closed else max(close.executed, seen), 8)
