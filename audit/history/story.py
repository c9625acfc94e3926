"""One position's story: its deals in order, and the closes that were asked for it.

The checker judges position by position. A *close* is one (position, key): all calls that share
it are the same close, which may be executed once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audit.history.book import VenueDeal, VenuePosition
from audit.history.events import (
    Completion,
    FinalRecord,
    Invocation,
    Outcome,
    PositionResult,
)

DUST = 1e-8
"""Lots below this are the rounding of binary floats."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One call, as far as it concerns one position."""

    call: Invocation
    end: Completion | None
    result: PositionResult | None
    """The final result that it gave for the position; ``None`` if it gave none."""
    refused: bool
    """It was answered that nothing was taken up: whole, or this position's entry."""


@dataclass(slots=True)
class Close:
    """One (position, key)."""

    key: str
    asks: list[Ask] = field(default_factory=list)
    records: list[FinalRecord] = field(default_factory=list)

    @property
    def taken(self) -> list[Ask]:
        """The calls that may have had an effect."""
        return [ask for ask in self.asks if not ask.refused]

    @property
    def result(self) -> PositionResult | None:
        """What it was answered, if it was."""
        return next((ask.result for ask in self.asks if ask.result is not None), None)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, as the result or else the record says; ``None``: nobody knows."""
        if self.result is not None:
            return self.result.outcome
        return self.records[0].outcome if self.records else None

    @property
    def tag(self) -> str:
        """The comment of its orders, as far as known."""
        if self.result is not None and self.result.tag:
            return self.result.tag
        return next((record.tag for record in self.records if record.tag), "")

    @property
    def invoked_us(self) -> float:
        """Nothing of it can have happened before; without a call, no bound is known."""
        return min((ask.call.invoked_us for ask in self.taken), default=-math.inf)

    @property
    def answered_us(self) -> float:
        """All of it had happened by then; without an answer, no bound is known."""
        answers = (a.end.completed_us for a in self.asks if a.result is not None and a.end)
        return min(answers, default=math.inf)

    @property
    def most(self) -> float:
        """The most lots that it may take out."""
        if not self.taken:
            return math.inf
        wants = [ask.call.volume for ask in self.taken]
        return math.inf if None in wants else max(want for want in wants if want is not None)

    @property
    def calls(self) -> str:
        """Its calls' names, for people."""
        return ", ".join(ask.call.call for ask in self.asks)


@dataclass(slots=True)
class Story:
    """One position of one account: the book's part and the clients' part."""

    user_id: str
    name: str
    """The venue's identifier, or the callers' name of a position that the book does not have."""
    position: VenuePosition | None
    deals: Sequence[VenueDeal] = ()
    """In the venue's order."""
    closes: dict[str, Close] = field(default_factory=dict)
    """By key."""

    @property
    def where(self) -> str:
        """How sentences name it."""
        return f"position {self.name} of {self.user_id}"

    @property
    def nets(self) -> bool:
        """Whether the account holds net positions."""
        return self.position is not None and self.position.mode == "netting"

    def open_after(self) -> list[float]:
        """Return the signed lots open after each deal: positive is long."""
        lots, after = 0.0, []
        for deal in self.deals:
            lots += deal.sign * deal.volume
            after.append(0.0 if abs(lots) <= DUST else lots)
        return after

    @property
    def open_at_end(self) -> float:
        """Lots open at the end, unsigned: as the venue lists them, else as the deals leave them."""
        if self.position is not None and self.position.open_volume is not None:
            return self.position.open_volume
        after = self.open_after()
        return abs(after[-1]) if after else 0.0

    @property
    def endings(self) -> int:
        """How many times nothing, or the opposite, was left of what had been open."""
        before, count = 0.0, 0
        for after in self.open_after():
            count += before != 0 and before * after <= 0
            before = after
        return count

    def exits_under(self, tag: str) -> list[VenueDeal]:
        """Return the deals with this tag that took something out, in order."""
        if not tag:
            return []
        return [deal for deal in self.deals if deal.comment == tag and deal.entry != "in"]

    def closed_under(self, tag: str) -> float:
        """Add up the lots that deals with this tag took out.

        A deal that turned a net position around took out only what was open.
        """
        taken, before = 0.0, 0.0
        for deal, after in zip(self.deals, self.open_after(), strict=True):
            if tag and deal.comment == tag and deal.entry != "in":
                turned = deal.entry == "inout"
                taken += min(deal.volume, abs(before)) if turned else deal.volume
            before = after
        return taken

    def exits_of_others(self, tags: Iterable[str]) -> list[VenueDeal]:
        """Return the exits that carry none of ``tags``: stops, stop-outs, people."""
        ours = set(tags)
        return [deal for deal in self.deals if deal.entry != "in" and deal.comment not in ours]


@dataclass(frozen=True, slots=True)
class Names:
    """Which position a name stands for, in one account."""

    by_alias: Mapping[str, int]
    identifiers: frozenset[int]

    @classmethod
    def of(cls, positions: Iterable[VenuePosition]) -> Names:
        """Learn the names of an account's positions."""
        listed = list(positions)
        return cls(
            {alias: p.identifier for p in listed for alias in p.aliases},
            frozenset(p.identifier for p in listed),
        )

    def resolve(self, name: str, ticket: int | None = None) -> str:
        """Return the identifier's digits, or ``name`` itself when the book has no such position.

        An alias goes before the ticket that came with it, and that before the name's digits: a
        caller's name that merely looks like a number may be another position's.
        """
        if name in self.by_alias:
            return str(self.by_alias[name])
        if ticket is not None:
            if str(ticket) in self.by_alias:
                return str(self.by_alias[str(ticket)])
            if ticket in self.identifiers:
                return str(ticket)
        return name
