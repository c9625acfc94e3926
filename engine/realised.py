"""What a close realised, read from the broker's deals: the only source for price and P&L."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.brokers.port import ClosedBy, Deal, DealEntry
from engine.identity import is_close_tag

VOLUME_DUST = 1e-8
"""Lots below this are rounding noise of binary floats (0.3 - 0.1 is not 0.2)."""


@dataclass(frozen=True, slots=True)
class DealBook:
    """All deals of one position, sorted by what they did to it."""

    deals: tuple[Deal, ...] = ()
    entries: tuple[Deal, ...] = ()
    exits: tuple[Deal, ...] = ()

    @classmethod
    def of(cls, deals: Iterable[Deal]) -> DealBook:
        """Sort a position's deals into entries and exits."""
        all_deals = tuple(deals)
        entries = tuple([d for d in all_deals if d.entry is DealEntry.IN])
        exits = tuple([d for d in all_deals if d.entry is not DealEntry.IN])
        return cls(all_deals, entries, exits)

    def tagged(self, tag: str) -> tuple[Deal, ...]:
        """Return the exits that carry a close tag."""
        return tuple([d for d in self.exits if d.comment == tag])

    def closed_under(self, tag: str) -> float:
        """Add up the lots that orders with this tag have closed.

        A deal that turned a net position around closed only what was open before it.
        """
        closed, before = 0.0, 0.0
        for deal in self.deals:
            if deal.comment == tag and deal.entry.is_exit:
                turned = deal.entry is DealEntry.INOUT
                closed += min(deal.volume, abs(before)) if turned else deal.volume
            before += deal.side.sign * deal.volume
        return closed

    @property
    def net(self) -> float:
        """Lots that all deals leave open: above zero long, below zero short."""
        return math.fsum(d.side.sign * d.volume for d in self.deals)

    @property
    def is_fully_closed(self) -> bool:
        """Whether exits have brought the position to nothing (and not to its opposite)."""
        return bool(self.exits) and abs(self.net) <= VOLUME_DUST


def volume_of(deals: Iterable[Deal]) -> float:
    """Add up lots."""
    return math.fsum(d.volume for d in deals)


def average_price(deals: Sequence[Deal]) -> float | None:
    """Return the volume-weighted price; ``None`` without volume.

    A single price, or equal ones, come back exactly, free of the rounding of a division.
    """
    prices = {d.price for d in deals if d.volume > 0}
    if len(prices) == 1:
        return prices.pop()
    volume = volume_of(deals)
    if volume <= 0:
        return None
    return math.fsum(d.price * d.volume for d in deals) / volume


def profit_and_loss(deals: Iterable[Deal]) -> float:
    """Add up profit, commission, swap and fee, to the hundredth of the account's currency."""
    return round(math.fsum(part for d in deals for part in _parts(d)), 2)


def _parts(deal: Deal) -> tuple[float, float, float, float]:
    return deal.profit, deal.commission, deal.swap, deal.fee


def closed_by(exits: Sequence[Deal]) -> str:
    """Say who closed a position, from its last exit."""
    if not exits:
        return ""
    last = exits[-1]
    if last.closed_by in (ClosedBy.EXPERT, ClosedBy.HAND) and is_close_tag(last.comment):
        return "risk-engine"
    return last.closed_by.value
