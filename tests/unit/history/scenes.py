"""Hand-made histories: one account, times in plain µs, everything of one lot unless said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
    check,
)
from audit.history.verdict import Violation

WINDOW_US = 1_000


def position(identifier: int = 7, **changed: Any) -> VenuePosition:
    return replace(VenuePosition("ann", identifier, "EURUSD", "long", "hedging"), **changed)


def entry(identifier: int = 7, at: int = 0, **changed: Any) -> VenueDeal:
    deal = VenueDeal(
        "ann", identifier * 100, identifier, "in", "long", 1.0, 1.5, at, result=-2.0, executed_us=at
    )
    return replace(deal, **changed)


def leaving(identifier: int = 7, at: int = 120, tag: str = "T7", **changed: Any) -> VenueDeal:
    """Make a deal that takes one lot out of a long position, ours if it has a tag."""
    deal = VenueDeal(
        user_id="ann",
        ticket=identifier * 100 + at,
        identifier=identifier,
        entry="out",
        side="short",
        volume=1.0,
        price=1.25,
        time_us=at,
        comment=tag,
        who="expert",
        result=-25.0,
        arrived_us=at - 10,
        executed_us=at,
    )
    return replace(deal, **changed)


def request(ticket: int = 7, at: int = 120, tag: str = "T7", **changed: Any) -> VenueRequest:
    """Make the request behind :func:`leaving`: there for 10 µs, executed and answered at once."""
    sent = VenueRequest("ann", ticket, tag, 1.0, at - 10, at, at, 1.0)
    return replace(sent, **changed)


def invoked(call: str = "c1", at: int = 100, **changed: Any) -> Invocation:
    made = Invocation(call, "guard", "ann", "close", "k1", at, positions=("7",), ticket=7)
    return replace(made, **changed)


def result(**changed: Any) -> PositionResult:
    done = PositionResult("7", "k1", "done", True, 1.0, 1.25, -27.0, "id7", "T7")
    return replace(done, **changed)


def completed(
    call: str = "c1", at: int = 200, *results: PositionResult, **changed: Any
) -> Completion:
    return replace(Completion(call, "ok", at, results or (result(),)), **changed)


def record(**changed: Any) -> FinalRecord:
    return replace(FinalRecord("ann", "7", "k1", "done", 1.0, "event-1", "T7"), **changed)


def good(**changed: Any) -> History:
    """Make the history of one position that one call closed; parts of it can be exchanged."""
    history = History(
        Header(settle_window_us=WINDOW_US),
        invocations=(invoked(),),
        completions=(completed(),),
        positions=(position(),),
        deals=(entry(), leaving()),
        requests=(request(),),
    )
    return replace(history, **changed)


def kinds(history: History) -> set[str]:
    return {violation.kind.value for violation in check(history).violations}


def only(history: History) -> Violation:
    (violation,) = check(history).violations
    return violation
