"""Takes a history apart into the stories of its positions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from audit.history.book import VenueDeal, VenuePosition, VenueRequest
from audit.history.events import Completion, Invocation, PositionResult
from audit.history.history import History
from audit.history.story import Ask, Close, Names, Story


@dataclass(frozen=True, slots=True)
class Account:
    """One account's part of a history."""

    user_id: str
    stories: Mapping[str, Story]
    """By the position's name, as :meth:`audit.history.story.Names.resolve` returns it."""
    requests: tuple[VenueRequest, ...]
    """In the order of their arrival."""
    tags: frozenset[str]
    """The comments of our own orders, as requests, results and records name them."""


def accounts_of(history: History) -> list[Account]:
    """Take a history apart, account by account, in the order of their names."""
    users = {
        line.user_id
        for lines in (
            history.invocations,
            history.positions,
            history.deals,
            history.requests,
            history.records,
        )
        for line in lines
    }
    parts = _Parts(history)
    return [parts.account(user_id) for user_id in sorted(users)]


class _Parts:
    """A history's lines by account."""

    def __init__(self, history: History) -> None:
        self.ends = {end.call: end for end in history.completions}
        self.calls: dict[str, list[Invocation]] = defaultdict(list)
        for call in sorted(history.invocations, key=lambda c: c.invoked_us):
            self.calls[call.user_id].append(call)
        self.positions: dict[str, list[VenuePosition]] = defaultdict(list)
        for position in history.positions:
            self.positions[position.user_id].append(position)
        self.deals: dict[tuple[str, int], list[VenueDeal]] = defaultdict(list)
        for deal in sorted(history.deals, key=lambda d: (d.time_us, d.ticket)):
            self.deals[deal.user_id, deal.identifier].append(deal)
        self.requests: dict[str, list[VenueRequest]] = defaultdict(list)
        for request in sorted(history.requests, key=lambda r: r.arrived_us):
            self.requests[request.user_id].append(request)
        self.records = history.records

    def account(self, user_id: str) -> Account:
        names = Names.of(self.positions[user_id])
        stories = {
            str(p.identifier): Story(
                user_id, str(p.identifier), p, tuple(self.deals.get((user_id, p.identifier), ()))
            )
            for p in self.positions[user_id]
        }

        def close_of(name: str, key: str) -> Close:
            story = stories.setdefault(name, Story(user_id, name, None))
            return story.closes.setdefault(key, Close(key))

        for call in self.calls[user_id]:
            end = self.ends.get(call.call)
            for name, (key, result) in _covered(call, end, names, stories).items():
                close_of(name, key).asks.append(_ask(call, end, result))
        for record in self.records:
            if record.user_id == user_id:
                close_of(names.resolve(record.position), record.key).records.append(record)
        tags = {request.tag for request in self.requests[user_id]}
        tags |= {close.tag for story in stories.values() for close in story.closes.values()}
        return Account(user_id, stories, tuple(self.requests[user_id]), frozenset(tags - {""}))


def _covered(
    call: Invocation, end: Completion | None, names: Names, stories: Mapping[str, Story]
) -> dict[str, tuple[str, PositionResult | None]]:
    """Return the positions that a call is about, each with its key and the result, if any."""
    covered: dict[str, tuple[str, PositionResult | None]] = {}
    if call.positions is not None:
        for alias in call.positions:
            covered[names.resolve(alias, call.ticket)] = (call.key or alias, None)
    else:
        for name, story in stories.items():
            if _may_be_open(story, call, end):
                covered[name] = (call.key or name, None)
    for result in end.results if end is not None else ():
        covered[names.resolve(result.position, call.ticket)] = (result.key, result)
    return covered


def _may_be_open(story: Story, call: Invocation, end: Completion | None) -> bool:
    """Whether a position may have been open at some moment between invocation and completion."""
    until = end.completed_us if end is not None and end.status != "unknown" else math.inf
    if story.deals and (story.deals[0].executed_us or -math.inf) > until:
        return False
    closed = story.deals[-1].executed_us if story.deals and not story.open_after()[-1] else None
    return closed is None or closed >= call.invoked_us


def _ask(call: Invocation, end: Completion | None, result: PositionResult | None) -> Ask:
    if result is not None:
        final = result if result.is_final else None
        return Ask(
            call, end, final, refused=final is None and not (end and end.status == "unknown")
        )
    return Ask(
        call, end, None, refused=end is not None and end.status == "fail" and not end.results
    )
