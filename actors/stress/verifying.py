"""Verifying a run: the broker's book against the audit store, position by position.

The engine is not asked. What happened is what the broker's deals say; what was written down is
what the store's records say; the two must agree.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from actors.messages import AccountBook
from audit.records import AuditRecord
from engine.brokers.port import Deal, DealEntry
from engine.identity import is_close_tag
from engine.outcomes import Outcome
from engine.realised import VOLUME_DUST, average_price, profit_and_loss, volume_of

PRICE_TOLERANCE = 1e-9
MONEY_TOLERANCE = 0.005
"""Half a cent: records and deals are rounded alike, sums of floats are not exact."""


@dataclass(frozen=True, slots=True)
class BookFindings:
    """What the brokers' books show."""

    positions: int
    """Positions that were ever open."""
    closed: int
    """Positions that the engine's own orders have closed in full."""
    open_by_user: Mapping[str, int]
    double_closes: int
    """Positions that more volume left than had entered, or that a close order opened."""
    total_pnl: float


@dataclass(slots=True)
class Mismatches:
    """Where book and store disagree, in words; the first few of many."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Note one disagreement."""
        self.count += 1
        if len(self.examples) < 20:
            self.examples.append(text)


def read_books(books: Iterable[AccountBook]) -> BookFindings:
    """Count what happened at the brokers."""
    positions = closed = doubles = 0
    pnl: list[Deal] = []
    open_by_user: dict[str, int] = {}
    for book in books:
        open_by_user[book.user_id] = len(book.positions)
        for deals in _by_position(book.deals).values():
            positions += 1
            entries = [d for d in deals if d.entry is DealEntry.IN]
            exits = [d for d in deals if d.entry.is_exit]
            surplus = volume_of(exits) - volume_of(entries)
            opened_by_us = any(is_close_tag(d.comment) for d in entries)
            if surplus > VOLUME_DUST or opened_by_us:
                doubles += 1
            if exits and surplus > -VOLUME_DUST and all(is_close_tag(d.comment) for d in exits):
                closed += 1
                pnl.extend(deals)
    return BookFindings(positions, closed, open_by_user, doubles, profit_and_loss(pnl))


def compare(books: Iterable[AccountBook], closes: Sequence[AuditRecord]) -> Mismatches:
    """Hold the store's final close records against the brokers' deals, both ways."""
    found = Mismatches()
    records: dict[tuple[str, str], list[AuditRecord]] = defaultdict(list)
    for record in closes:
        if record.outcome in (Outcome.DONE.value, Outcome.PARTIAL.value):
            position = str(record.meta_data.get("position", record.position_id))
            records[record.user_id, position].append(record)
    for book in books:
        for identifier, deals in _by_position(book.deals).items():
            mine = [d for d in deals if d.entry.is_exit and is_close_tag(d.comment)]
            known = records.pop((book.user_id, str(identifier)), [])
            _compare_position(book.user_id, identifier, deals, mine, known, found)
    for (user_id, position), orphans in records.items():
        found.add(f"{user_id}: {len(orphans)} records of position {position} have no deal")
    return found


def _compare_position(
    user_id: str,
    identifier: int,
    deals: Sequence[Deal],
    mine: Sequence[Deal],
    known: Sequence[AuditRecord],
    found: Mismatches,
) -> None:
    where = f"{user_id}: position {identifier}"
    if not mine and not known:
        return
    full = sum(record.outcome == Outcome.DONE.value for record in known)
    if not known or full > 1:
        found.add(f"{where} has {len(known)} records of closes, {full} of them full")
        return
    volume, recorded = volume_of(mine), math.fsum(r.volume or 0.0 for r in known)
    if abs(volume - recorded) > VOLUME_DUST:
        found.add(f"{where}: {volume} lots closed in the book, {recorded} in the store")
    price, stored = average_price(list(mine)), _recorded_price(known)
    if price is None or stored is None or abs(price - stored) > PRICE_TOLERANCE:
        found.add(f"{where}: closed at {price} in the book, {stored} in the store")
    if not full:
        return  # what entering cost is counted by the close that ends the position
    pnl = profit_and_loss(deals)
    stored_pnl = None if any(r.pnl is None for r in known) else math.fsum(r.pnl or 0 for r in known)
    if stored_pnl is None or abs(pnl - stored_pnl) > MONEY_TOLERANCE:
        found.add(f"{where}: P&L {pnl} in the book, {stored_pnl} in the store")


def _recorded_price(known: Sequence[AuditRecord]) -> float | None:
    """Return the volume-weighted price of a position's close records."""
    if any(r.closed_price is None or not r.volume for r in known):
        return None
    prices = {r.closed_price for r in known}
    if len(prices) == 1:
        return prices.pop()
    paid = math.fsum((r.closed_price or 0.0) * (r.volume or 0.0) for r in known)
    return paid / math.fsum(r.volume or 0.0 for r in known)


def _by_position(deals: Iterable[Deal]) -> dict[int, list[Deal]]:
    positions: dict[int, list[Deal]] = defaultdict(list)
    for deal in deals:
        if deal.identifier:
            positions[deal.identifier].append(deal)
    return positions
