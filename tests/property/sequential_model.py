"""A tiny correct system that writes histories: one account after another, one close at a time.

It is what the history checker holds real systems to, so it stays simple enough to be believed:
a memory of results, a book of lots, and a clock. Clients overlap, answers get lost, requests get
lost; nothing is ever closed twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from audit.history import (
    Completion,
    FinalRecord,
    Header,
    History,
    Invocation,
    PositionResult,
    VenueDeal,
    VenuePosition,
    VenueRequest,
)
from audit.history.history import Event

WINDOW_US = 1_000


@dataclass(frozen=True)
class Step:
    """One thing that happens on an account."""

    what: str
    """``call``, ``liquidate`` or ``stop`` (someone else takes from the position)."""
    position: int
    tenths: int | None
    """Lots in tenths; ``None`` is all."""
    key: str
    fate: str
    """Of a call: ``answered``, ``answer lost``, ``never arrived``."""
    troubles: tuple[str, ...]
    """Of its requests before the one that is executed: ``refused``, ``lost``; ``part`` splits the
    execution, ``give up`` ends in a rejection."""
    overlap_us: int
    """How long before its turn the call is made."""


@dataclass
class Book:
    """One position."""

    line: VenuePosition
    tenths: int
    deals: list[VenueDeal]


@dataclass
class Account:
    """One account, its clock, and all that is written down."""

    user_id: str
    now: int = 100
    number: int = 0
    books: dict[str, Book] = field(default_factory=dict)
    results: dict[tuple[str, str], PositionResult] = field(default_factory=dict)
    wanted: dict[tuple[str, str], int | None] = field(default_factory=dict)
    full: dict[str, PositionResult] = field(default_factory=dict)
    lines: list[Event] = field(default_factory=list)

    def write(self, *lines: Invocation | Completion | VenueRequest | FinalRecord) -> None:
        self.lines.extend(lines)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def open(self, identifier: int, tenths: int) -> None:
        line = VenuePosition(self.user_id, identifier, "EURUSD", "long", "hedging")
        self.books[str(identifier)] = Book(line, tenths, [])
        self.deal(str(identifier), tenths, "", "in")

    def deal(self, name: str, tenths: int, tag: str, entry: str = "out") -> None:
        """Execute ``tenths`` now; an exit takes them out."""
        book, number = self.books[name], self.next_number()
        price = 1.5 if number % 2 else 1.25
        deal = VenueDeal(
            self.user_id,
            number,
            book.line.identifier,
            "in" if entry == "in" else "out",
            "long" if entry == "in" else "short",
            tenths / 10,
            price,
            self.now,
            comment=tag,
            who="expert" if tag else "stop loss",
            result=float(number),
            executed_us=self.now,
        )
        book.deals.append(deal)
        if entry != "in":
            book.tenths -= tenths

    def request(self, name: str, tenths: int, tag: str, fate: str) -> None:
        """Let a request reach the venue."""
        arrived = self.now
        self.now += 10
        executed = answered = None
        if fate == "executed":
            self.deal(name, tenths, tag)
            executed = self.now
        if fate != "lost":
            self.now += 10
            answered = self.now
        else:
            self.now = arrived + WINDOW_US
        sent = VenueRequest(
            self.user_id,
            int(name),
            tag,
            tenths / 10,
            arrived,
            answered,
            executed,
            tenths / 10 if executed else 0.0,
        )
        self.write(sent)

    def take(self, step: Step) -> None:
        """Let one step happen."""
        name = list(self.books)[step.position % len(self.books)]
        if step.what == "stop":
            if self.books[name].tenths:
                self.deal(name, min(self.books[name].tenths, step.tenths or 100), "")
            self.now += 5
            return
        names = [n for n, book in self.books.items() if book.tenths]
        is_all = step.what == "liquidate"
        call = Invocation(
            f"{self.user_id}-{self.next_number()}",
            "client",
            self.user_id,
            "liquidate" if is_all else "close",
            step.key,
            max(0, self.now - step.overlap_us),
            None if is_all else (name,),
            None if is_all else int(name),
            None if is_all or step.tenths is None else step.tenths / 10,
        )
        self.write(call)
        if step.fate == "never arrived":
            return
        tenths = None if is_all else step.tenths
        results = tuple(self.close(n, tenths, step) for n in (names if is_all else [name]))
        self.now += 5
        if step.fate == "answered":
            refused = None in results
            said = tuple(r for r in results if r is not None)
            self.write(
                Completion(call.call, "fail" if refused and not said else "ok", self.now, said)
            )
            self.now += 1

    def close(self, name: str, tenths: int | None, step: Step) -> PositionResult | None:
        """Answer from memory, or close and remember; ``None`` is a conflict."""
        entry = name, step.key
        if entry in self.wanted and self.wanted[entry] != tenths:
            refused = PositionResult(name, step.key, "not_sent", False)
            return refused if step.what == "liquidate" else None
        known = self.results.get(entry)
        if known is None and name in self.full:
            known = replace(self.full[name], key=step.key)
        if known is None:
            known = self.close_anew(name, tenths, step)
            self.wanted[entry], self.results[entry] = tenths, known
            if known.is_full_success:
                self.full[name] = known
            self.write(
                FinalRecord(
                    self.user_id,
                    name,
                    step.key,
                    known.outcome,
                    known.volume,
                    f"event-{known.close_id}",
                    known.tag,
                )
            )
        return known

    def close_anew(self, name: str, tenths: int | None, step: Step) -> PositionResult:
        book = self.books[name]
        close_id = f"{self.user_id}/{name}/{step.key}"
        said = PositionResult(
            name, step.key, "already_closed", True, close_id=close_id, tag=f"T{close_id}"
        )
        said = replace(said, durable=True)
        if not book.tenths:
            exits = [deal for deal in book.deals if deal.entry == "out"]
            return replace(said, closed_price=average(exits), pnl=money(book.deals))
        lots = min(book.tenths, tenths or book.tenths)
        for trouble in step.troubles:
            if trouble in ("refused", "lost"):
                self.request(name, lots, said.tag, trouble)
        if "give up" in step.troubles:
            return replace(said, outcome="rejected", success=False)
        parts = [lots - 1, 1] if "part" in step.troubles and lots > 1 else [lots]
        for part in parts:
            self.request(name, part, said.tag, "executed")
        own = [deal for deal in book.deals if deal.comment == said.tag]
        counted = own
        if not book.tenths:
            counted = [deal for deal in book.deals if deal.comment in ("", said.tag)]
        return replace(
            said,
            outcome="partial" if book.tenths else "done",
            volume=lots / 10,
            closed_price=average(own),
            pnl=money(counted),
        )

    def written(self) -> list[Event]:
        """Return the account's lines, its book included."""
        for book in self.books.values():
            self.lines.append(replace(book.line, open_volume=book.tenths / 10))
            self.lines.extend(book.deals)
        return self.lines


def average(deals: list[VenueDeal]) -> float:
    lots = math.fsum(deal.volume for deal in deals)
    return math.fsum(deal.volume * deal.price for deal in deals) / lots


def money(deals: list[VenueDeal]) -> float:
    return math.fsum(deal.result or 0.0 for deal in deals)


def history_of(accounts: list[tuple[list[int], list[Step]]], *, records: bool) -> History:
    """Run every account: the tenths of its positions, and its steps."""
    lines: list[Event] = [Header(settle_window_us=WINDOW_US, records=records)]
    for n, (positions, steps) in enumerate(accounts):
        account = Account(f"user-{n}")
        for identifier, tenths in enumerate(positions, start=1):
            account.open(identifier, tenths)
        account.now += 10
        for step in steps:
            account.take(step)
        lines.extend(account.written())
    if not records:
        lines = [line for line in lines if not isinstance(line, FinalRecord)]
    return History.of(lines)
