"""Deals that took more than was open, and which of them no client can exclude.

On a netting account no ticket protects a position: an order that meets less than was read turns
it around, or opens the opposite. That is nobody's fault only if the lots left unforeseen, after
the read that the order was based on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from audit.history.book import VenueDeal, VenueRequest
from audit.history.stories import Account
from audit.history.story import DUST, Story

READ_US = 1_000_000
"""How long before a request left its sender may have read the position, if it is not known."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """What a deal took beyond the lots that were open."""

    deal: VenueDeal
    lots: float
    what: str
    """What it did instead of closing, for sentences."""


@dataclass(frozen=True, slots=True)
class _Exit:
    """Lots that left unforeseen."""

    story: Story
    deal: VenueDeal
    lots: float


def surpluses(account: Account, story: Story) -> Iterator[Surplus]:
    """Find a position's deals that took more than was open, and closes that opened something.

    Other people may turn a net position around, so on a netting account theirs are left out.
    """
    before = 0.0
    for deal, after in zip(story.deals, story.open_after(), strict=True):
        is_ours = deal.comment in account.tags
        lots, what = 0.0, ""
        if is_ours and deal.entry == "in":
            lots, what = deal.volume, "opened"
        elif deal.entry != "in" and before * after <= 0:
            lots, what = abs(after), f"found only {abs(before):g} lots open, and reversed"
        if lots > DUST and (is_ours or not story.nets):
            yield Surplus(deal, lots, what)
        before = after


class Unforeseen:
    """The exits of an account that its clients cannot have known of when they sent a request.

    They are those of other people (stops, stop-outs, by hand), and those of our own requests that
    were executed after their settle window.

    Args:
        account: whose.
        settle_window_us: how long a request may act; ``None``: not known, so none was late.
        tolerance_us: how far the clocks of clients and venue may be apart.
    """

    def __init__(self, account: Account, settle_window_us: int | None, tolerance_us: int) -> None:
        """Find them."""
        self._account = account
        self._window_us = math.inf if settle_window_us is None else settle_window_us
        self._tolerance_us = tolerance_us
        self._exits = sorted(self._find(), key=lambda found: _place(found.deal))

    def lots_before(self, story: Story, request: VenueRequest) -> float:
        """Add up what left a position after the read for a request and before its arrival."""
        since_us = self._read_us(request)
        return math.fsum(
            found.lots
            for found in self._exits
            if found.story is story
            and found.deal.executed_us is not None
            and since_us <= found.deal.executed_us < request.arrived_us
        )

    def excused(self) -> frozenset[int]:
        """Return the tickets of the deals whose surplus on a netting account is nobody's fault.

        Such a deal's own request was executed after its settle window; or as many lots of the
        symbol left unforeseen between the read for its request and its execution. Each lot, and
        each request, excuses once. Of a deal whose request is not listed (a history may lack
        them) it is not known when it was sent: every earlier exit may excuse it.
        """
        surplus_by_place = sorted(
            (
                (story, surplus)
                for story in self._account.stories.values()
                if story.nets
                for surplus in surpluses(self._account, story)
            ),
            key=lambda pair: _place(pair[1].deal),
        )
        left = [found.lots for found in self._exits]
        late: set[VenueRequest] = set()
        excused = set()
        for story, surplus in surplus_by_place:
            request = self._request_of(surplus.deal)
            if request is not None and request not in late and self._was_late(request):
                late.add(request)
            elif not self._spend(left, story, surplus, request):
                continue
            excused.add(surplus.deal.ticket)
        return frozenset(excused)

    def _spend(
        self, left: list[float], story: Story, surplus: Surplus, request: VenueRequest | None
    ) -> bool:
        """Take the lots that excuse a surplus, the earliest first; ``False`` if too few left."""
        usable = [
            number
            for number, found in enumerate(self._exits)
            if _symbol(found.story) == _symbol(story)
            and _place(found.deal) < _place(surplus.deal)
            and self._is_recent(found.deal, surplus.deal, request)
        ]
        wanted = surplus.lots
        if math.fsum(left[number] for number in usable) < wanted - DUST:
            return False
        for number in usable:
            taken = min(left[number], wanted)
            left[number] -= taken
            wanted -= taken
        return True

    def _is_recent(self, exit_: VenueDeal, deal: VenueDeal, request: VenueRequest | None) -> bool:
        if request is None:
            return True
        executed_us = request.executed_us if deal.executed_us is None else deal.executed_us
        if executed_us is None:
            return True
        if exit_.executed_us is None or deal.executed_us is None:
            ago_us = deal.time_us - exit_.time_us
        else:
            ago_us = deal.executed_us - exit_.executed_us
        return ago_us <= executed_us - self._read_us(request)

    def _find(self) -> Iterator[_Exit]:
        for story in self._account.stories.values():
            before = 0.0
            for deal, after in zip(story.deals, story.open_after(), strict=True):
                lots = min(deal.volume, abs(before)) if deal.entry != "in" else 0.0
                if lots > DUST and self._is_unforeseen(deal):
                    yield _Exit(story, deal, lots)
                before = after

    def _is_unforeseen(self, deal: VenueDeal) -> bool:
        if deal.comment not in self._account.tags:
            return True
        request = self._request_of(deal)
        return request is not None and self._was_late(request)

    def _read_us(self, request: VenueRequest) -> int:
        """Return the earliest moment that a request's sender may have read its position."""
        read_us = request.left_us - READ_US if request.read_us is None else request.read_us
        return read_us - self._tolerance_us

    def _was_late(self, request: VenueRequest) -> bool:
        executed_us = request.executed_us
        return executed_us is not None and executed_us - request.left_us > self._window_us

    def _request_of(self, deal: VenueDeal) -> VenueRequest | None:
        """Return the request behind a deal of ours; ``None`` if it is not listed."""
        with_tag = [request for request in self._account.requests if request.tag == deal.comment]
        if deal.executed_us is not None:
            moment = deal.executed_us
            around = [
                request
                for request in with_tag
                if request.executed_us is not None
                and request.arrived_us <= moment <= request.executed_us
            ]
            with_tag = around or with_tag
        # Of several that fit, the one that was done first is the one that had to be at work.
        return min(
            with_tag,
            key=lambda r: math.inf if r.executed_us is None else r.executed_us,
            default=None,
        )


def _symbol(story: Story) -> str | None:
    return None if story.position is None else story.position.symbol


def _place(deal: VenueDeal) -> tuple[int, int]:
    """Where a deal stands among its account's."""
    return deal.time_us, deal.ticket
