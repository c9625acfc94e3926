"""Serial: at any time at most one request of an account is at the venue or may still act."""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.history.book import VenueRequest
from audit.history.stories import Account
from audit.history.story import DUST, Story
from audit.history.surplus import Unforeseen
from audit.history.verdict import Kind, Violation


def check_serial(account: Account, settle_window_us: int | None) -> Iterator[Violation]:
    """Compare each request with the earlier ones of its account.

    A request is in flight from its arrival until it was answered conclusively, and until it was
    executed if that came later. One whose fate nobody was told may act until the settle window
    is over, unless it is executed or its position ends before. One that was on its way for longer
    than the window is beyond what any client can wait for: it is not compared.
    """
    in_flight: VenueRequest | None = None
    acting: VenueRequest | None = None
    acting_until = -math.inf
    for request in account.requests:
        if settle_window_us is not None and request.arrived_us - request.left_us > settle_window_us:
            continue
        if in_flight is not None and request.arrived_us < _until(in_flight):
            yield _violation(
                account,
                Kind.UNSERIAL_PAIR,
                request,
                f"{_said(request)} reached the venue while {_said(in_flight)}, there since "
                f"{in_flight.arrived_us} µs, was in flight until {_until(in_flight)} µs",
            )
        elif acting is not None and request.left_us < acting_until:
            yield _violation(
                account,
                Kind.SENT_TOO_EARLY,
                request,
                f"{_said(request)} was sent at {request.left_us} µs, but {_said(acting)}, "
                f"whose fate was not known, could still act until {acting_until:.0f} µs",
            )
        if in_flight is None or _until(request) >= _until(in_flight):
            in_flight = request
        if settle_window_us is not None and request.in_flight_until_us is None:
            until = _acts_until(account, request, settle_window_us)
            if until > acting_until:
                acting, acting_until = request, until


def check_fresh(account: Account, story: Story, unforeseen: Unforeseen) -> Iterator[Violation]:
    """Find requests for lots that had left the position before they were sent.

    An exit that the sender cannot have known of, between its read and the request's arrival, is
    no fault of it. A position is not judged if the times of its deals are not known.
    """
    if any(deal.executed_us is None for deal in story.deals):
        return
    for request in account.requests:
        if not _is_for(request, story):
            continue
        lots = sum(
            deal.sign * deal.volume
            for deal in story.deals
            # At the very moment of arrival: an entry was before it, an exit may be its own.
            if deal.executed_us is not None
            and deal.executed_us < request.arrived_us + (deal.entry == "in")
        )
        if request.volume > abs(lots) + unforeseen.lots_before(story, request) + DUST:
            yield _violation(
                account,
                Kind.STALE_REQUEST,
                request,
                f"{_said(request)} arrived at {request.arrived_us} µs and asked for "
                f"{request.volume:g} lots, but only {abs(lots):g} were open, and too few had left "
                f"{story.where} unforeseen since it was read",
            )


def _is_for(request: VenueRequest, story: Story) -> bool:
    if request.identifier is not None:
        return str(request.identifier) == story.name
    ticket = str(request.ticket)
    return ticket == story.name or (story.position is not None and ticket in story.position.aliases)


def _until(request: VenueRequest) -> int:
    """When the venue was done with a request, as far as it is known."""
    ends = (request.arrived_us, request.answered_us, request.executed_us)
    return max(end for end in ends if end is not None)


def _acts_until(account: Account, request: VenueRequest, settle_window_us: int) -> float:
    """When a request that came to nothing could act no longer.

    On a hedging account it names its position's ticket, so it dies with the position.
    """
    end: float = request.left_us + settle_window_us
    for story in account.stories.values():
        if _is_for(request, story) and not story.nets:
            for deal, after in zip(story.deals, story.open_after(), strict=True):
                if not after:
                    end = min(end, -math.inf if deal.executed_us is None else deal.executed_us)
    return end


def _said(request: VenueRequest) -> str:
    return f"the request of {request.volume:g} lots for ticket {request.ticket} ({request.tag})"


def _violation(account: Account, kind: Kind, request: VenueRequest, text: str) -> Violation:
    position = str(request.identifier or request.ticket)
    return Violation(kind, f"{account.user_id}: {text}", account.user_id, position)
