"""Reconciling: what the store says of an account's closes, against what its broker says.

The broker's deals are the only witness that is not ours. Compared are facts of the broker with
facts of the broker: deal numbers, lots, prices, and the amounts that add up to realised P&L.

The broker's clock is not ours, so which deals are older than the engine's first record cannot
simply be read off. Fills whose deals are on record show by how much the clocks differ, if they run
alike; deals from before the first record are then not judged. If no fill shows it, or the clocks
run differently (a replay), only those exits are judged that carry this engine's close tag or
belong to positions that the engine has seen open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from audit.closes import evidence_of
from audit.differences import Difference, DifferenceKind
from audit.records import AuditRecord
from engine.brokers.port import Deal
from engine.identity import close_tag, is_close_tag
from engine.outcomes import Outcome
from engine.realised import (
    VOLUME_DUST,
    DealBook,
    average_price,
    profit_and_loss,
    volume_of,
)

VOLUME_TOLERANCE = VOLUME_DUST
"""Lots."""
PRICE_TOLERANCE = 1e-6
"""Part of the price: a hundredth of a pip, and less than any broker quotes."""
PNL_TOLERANCE = 0.005
"""Half a hundredth of the account's currency: records hold P&L rounded to the hundredth."""
SAME_PACE_MS = 2 * 3_600_000
"""Clocks that drift further apart than this between two fills do not run alike; a change to
summer time is half of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one final record says that the broker must confirm."""

    event_id: str
    close_id: str
    tag: str
    trigger_id: str
    position: str
    outcome: Outcome
    volume: float
    price: float | None
    pnl: float | None
    deals: tuple[int, ...]
    """Numbers of the deals that it rests on; none if the record was cut down to a summary."""
    oldest_ms: int | None
    """Broker's time of the oldest of them."""
    fill: tuple[int, int] | None
    """Our time of the answer to a fill, µs, and the broker's time of its deal, ms."""


def claim_of(record: AuditRecord) -> Claim:
    """Read what a final record claims.

    Raises:
        ValueError: the record is no final record of a close.
    """
    evidence = evidence_of(record)
    tag = close_tag(UUID(record.close_id)) if record.close_id else ""
    ours = [deal.time_ms for deal in evidence.deals if deal.comment == tag]
    filled = [attempt.answered_us for attempt in evidence.attempts if attempt.volume > 0]
    return Claim(
        event_id=record.event_id,
        close_id=record.close_id or "",
        tag=tag,
        trigger_id=record.trigger_id or "",
        position=evidence.position,
        outcome=Outcome(record.outcome or ""),
        volume=record.volume or 0.0,
        price=record.closed_price,
        pnl=record.pnl,
        deals=tuple(deal.ticket for deal in evidence.deals),
        oldest_ms=min((deal.time_ms for deal in evidence.deals), default=None),
        fill=(max(filled), max(ours)) if filled and ours else None,
    )


@dataclass(frozen=True, slots=True)
class Horizon:
    """Which of the broker's deals are judged."""

    since_ms: int
    """Broker's time from which deals have to be read."""
    begins_ms: int | None
    """Broker's time of the engine's first record on the account; ``None`` if nothing shows it."""


def horizon_of(first_us: int, claims: Iterable[Claim]) -> Horizon:
    """Work out which deals are to be read and judged.

    Args:
        first_us: when the engine's first record on the account was made, µs UTC.
        claims: all that the store says of the account's closes.
    """
    claims = list(claims)
    oldest = [claim.oldest_ms for claim in claims if claim.oldest_ms is not None]
    fills = sorted(claim.fill for claim in claims if claim.fill is not None)
    offsets = [deal_ms - answered_us // 1000 for answered_us, deal_ms in fills]
    begins_ms = None
    if offsets and max(offsets) - min(offsets) <= SAME_PACE_MS:
        begins_ms = first_us // 1000 + offsets[0]  # a fill is answered after it was made
    read = [*oldest, *([] if begins_ms is None else [begins_ms])]
    return Horizon(max(0, min(read)) if begins_ms is not None else 0, begins_ms)


def compare(
    user_id: str,
    claims: Sequence[Claim],
    deals: Iterable[Deal],
    *,
    horizon: Horizon,
    seen_open: Collection[int] = (),
) -> tuple[Difference, ...]:
    """Compare what the store says with the broker's deals.

    Args:
        user_id: the account.
        claims: all final records of the account.
        deals: the account's deals since the horizon, oldest first.
        horizon: from :func:`horizon_of`.
        seen_open: identifiers of positions that the engine has seen open.
    """
    return tuple(_Comparison(user_id, claims, deals, horizon, seen_open).differences())


class _Comparison:
    def __init__(
        self,
        user_id: str,
        claims: Sequence[Claim],
        deals: Iterable[Deal],
        horizon: Horizon,
        seen_open: Collection[int],
    ) -> None:
        self._user_id = user_id
        self._claims = claims
        self._deals = {deal.ticket: deal for deal in deals}
        self._horizon = horizon
        self._seen_open = frozenset(seen_open)
        self._tagged: dict[str, list[Deal]] = {}
        self._of_position: dict[str, list[Deal]] = {}
        for deal in self._deals.values():
            self._of_position.setdefault(str(deal.identifier), []).append(deal)
            if deal.entry.is_exit and is_close_tag(deal.comment):
                self._tagged.setdefault(deal.comment, []).append(deal)

    def differences(self) -> Iterable[Difference]:
        missed: set[int] = set()
        for claim in self._claims:
            missing = [ticket for ticket in claim.deals if ticket not in self._deals]
            for ticket in missing:
                if ticket not in missed:
                    missed.add(ticket)
                    yield self._missing(claim, str(ticket), f"deal {ticket}", (ticket,))
            if missing:
                continue
            book = DealBook.of(self._book(claim))
            if claim.volume > VOLUME_TOLERANCE and not book.exits:
                what = f"a fill of {claim.volume:.10g} lots"
                yield self._missing(claim, claim.event_id, what, ())
                continue
            yield from self._amounts(claim, book)
        yield from self._unknown()

    def _book(self, claim: Claim) -> list[Deal]:
        """The broker's version of the deals that a record rests on, and of late ones of its own.

        A summary names no deals: all of its position's are taken.
        """
        if not claim.deals and claim.volume > 0:
            return self._of_position.get(claim.position, [])
        numbers = {*claim.deals, *(deal.ticket for deal in self._tagged.get(claim.tag, ()))}
        return [deal for ticket, deal in self._deals.items() if ticket in numbers]

    def _amounts(self, claim: Claim, book: DealBook) -> Iterable[Difference]:
        ours = book.tagged(claim.tag)
        counted, exits = ours, ours
        if claim.outcome is Outcome.ALREADY_CLOSED:
            counted, exits = book.deals, book.exits
        elif claim.outcome is Outcome.DONE:
            others = (d for d in book.exits if not is_close_tag(d.comment))
            counted = (*book.entries, *ours, *others)
            entered, left = volume_of(book.entries), volume_of(book.exits)
            if not claim.deals and entered < left - VOLUME_TOLERANCE:
                counted = ()  # a summary, and its entries are older than what was read
        least = book.closed_under(claim.tag)
        if claim.outcome is not Outcome.ALREADY_CLOSED:
            # A deal that turned a net position around has closed a part of its lots only.
            most = volume_of(ours) + VOLUME_TOLERANCE
            if not least - VOLUME_TOLERANCE <= claim.volume <= most:
                yield self._amount(DifferenceKind.VOLUME, claim, claim.volume, least, ours)
        price = average_price(exits)
        if None not in (price, claim.price) and not _is_near(claim.price, price):
            yield self._amount(DifferenceKind.PRICE, claim, claim.price, price, exits)
        if counted and exits and claim.volume >= least - VOLUME_TOLERANCE:
            pnl = profit_and_loss(counted)
            if claim.pnl is None or abs(claim.pnl - pnl) > PNL_TOLERANCE:
                yield self._amount(DifferenceKind.PNL, claim, claim.pnl, pnl, counted)

    def _unknown(self) -> Iterable[Difference]:
        known = {ticket for claim in self._claims for ticket in claim.deals}
        tags = {claim.tag for claim in self._claims}
        for tag, deals in self._tagged.items():
            strange = [d for d in deals if d.ticket not in known and self._is_judged(d)]
            if tag not in tags and strange:
                lots = volume_of(strange)
                yield Difference(
                    DifferenceKind.UNKNOWN_CLOSE,
                    self._user_id,
                    tag,
                    f"{lots:.10g} lots of position {strange[0].identifier} "
                    f"({strange[0].symbol}) were closed under tag {tag}, and no record says so",
                    position=str(strange[0].identifier),
                    found=lots,
                    deals=tuple(d.ticket for d in strange),
                )
        for deal in self._deals.values():
            if deal.ticket in known or not deal.entry.is_exit or is_close_tag(deal.comment):
                continue
            if self._is_judged(deal):
                yield Difference(
                    DifferenceKind.FOREIGN_CLOSE,
                    self._user_id,
                    str(deal.ticket),
                    f"deal {deal.ticket} took {deal.volume:.10g} lots out of position "
                    f"{deal.identifier} ({deal.symbol}): {deal.closed_by.value}",
                    position=str(deal.identifier),
                    found=deal.volume,
                    deals=(deal.ticket,),
                )

    def _is_judged(self, deal: Deal) -> bool:
        if self._horizon.begins_ms is not None:
            return deal.time_ms >= self._horizon.begins_ms
        return is_close_tag(deal.comment) or deal.identifier in self._seen_open

    def _missing(self, claim: Claim, subject: str, what: str, deals: tuple[int, ...]) -> Difference:
        return Difference(
            DifferenceKind.MISSING_DEAL,
            self._user_id,
            subject,
            f"the record of close {claim.close_id} of position {claim.position} rests on {what}, "
            "and the broker has none such",
            position=claim.position,
            close_id=claim.close_id,
            trigger_id=claim.trigger_id,
            recorded=claim.volume,
            deals=deals,
        )

    def _amount(
        self,
        kind: DifferenceKind,
        claim: Claim,
        recorded: float | None,
        found: float | None,
        deals: Sequence[Deal],
    ) -> Difference:
        return Difference(
            kind,
            self._user_id,
            claim.event_id,
            f"close {claim.close_id} of position {claim.position}: recorded "
            f"{_shown(recorded)}, by the broker's deals {_shown(found)}",
            position=claim.position,
            close_id=claim.close_id,
            trigger_id=claim.trigger_id,
            recorded=recorded,
            found=found,
            deals=tuple(deal.ticket for deal in deals),
        )


def _is_near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= PRICE_TOLERANCE * max(abs(one), abs(other))


def _shown(amount: float | None) -> str:
    return "nothing" if amount is None else f"{amount:.10g}"
