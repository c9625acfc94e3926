"""Verifying a run: the broker's book against the audit store, position by position.

The engine is not asked. What happened is what the broker's deals say; what was written down is
what the store's records say; the two must agree.
"""

from __future__ import annotations

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
    if len(known) != 1:
        found.add(f"{where} has {len(known)} records of a close, expected one")
        return
    (record,) = known
    price, pnl = average_price(list(mine)), profit_and_loss(deals)
    if price is None or record.closed_price is None:
        found.add(f"{where}: closed at {price} in the book, {record.closed_price} in the store")
    elif abs(price - record.closed_price) > PRICE_TOLERANCE:
        found.add(f"{where}: price {price} in the book, {record.closed_price} in the store")
    if record.pnl is None or abs(pnl - record.pnl) > MONEY_TOLERANCE:
        found.add(f"{where}: P&L {pnl} in the book, {record.pnl} in the store")


def _by_position(deals: Iterable[Deal]) -> dict[int, list[Deal]]:
    positions: dict[int, list[Deal]] = defaultdict(list)
    for deal in deals:
        if deal.identifier:
            positions[deal.identifier].append(deal)
    return positions
