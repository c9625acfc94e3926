"""The search: is there one serial order of a position's closes that explains answers and book?

It is a linearizability check in the manner of Wing and Gong, made small in two ways. Accounts'
requests are serial (:mod:`audit.history.serial` checks that from the venue's times), and no close
touches two positions, so each position is searched alone. And the venue's deals are already in
order, so only two things are open: between which deals each answer was true, and which call
without an answer is behind a deal that no answer claims.

The sequential specification: a position holds lots. A close takes ``min(wanted, open)`` out, once
per (position, key), in one or more deals with its tag; everyone else's deals happen when they
happen. A close that came back is true at one moment between its invocation and its answer; one
that did not may be executed at any time after its invocation, or never.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from audit.history.book import VenueDeal
from audit.history.story import DUST, Close, Story
from audit.history.verdict import Kind

MOST_STATES = 20_000
"""States that are looked at for one position before the search gives up, undecided."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Why no explanation was found."""

    kind: Kind
    reason: str
    calls: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    """How far an explanation has come."""

    deal: int
    """Deals that have happened."""
    answered: frozenset[str]
    """Keys whose answers have been placed."""
    owners: tuple[tuple[str, str], ...]
    """Tags of ours that have appeared, each with the key of the close behind it."""


def explain(
    story: Story,
    tags: frozenset[str],
    tolerance_us: int = 0,
    most_states: int = MOST_STATES,
    *,
    told_elsewhere: Set[str] = frozenset(),
) -> Unexplained | None:
    """Search for an explanation of one position.

    Args:
        story: the position.
        tags: comments of our own orders.
        tolerance_us: how far the clocks of clients and venue may be apart.
        most_states: the bound.
        told_elsewhere: tags of closes of the account's other positions.

    Returns:
        ``None`` if there is an explanation; else where the attempt that came furthest stopped,
        or :attr:`Kind.UNDECIDED` at the bound.
    """
    search = _Search(story, tags, told_elsewhere, tolerance_us)
    waiting = [_State(0, frozenset(), ())]
    seen = set(waiting)
    furthest = waiting[0]
    looked_at = 0
    while waiting:
        if looked_at == most_states:
            return Unexplained(
                Kind.UNDECIDED, f"no explanation among the first {most_states} states of the search"
            )
        looked_at += 1
        state = search.place_answers(waiting.pop())
        if search.is_end(state):
            return None
        if (state.deal, len(state.answered)) > (furthest.deal, len(furthest.answered)):
            furthest = state
        for following in search.after_next_deal(state):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return search.what_stops(search.place_answers(furthest))


class _Search:
    """The moves of the search, for one position."""

    def __init__(
        self, story: Story, tags: frozenset[str], told_elsewhere: Set[str], tolerance_us: int
    ) -> None:
        self._story = story
        self._told_elsewhere = told_elsewhere
        self._deals = story.deals
        self._tags = tags
        self._tolerance_us = tolerance_us
        self._closes: Mapping[str, Close] = {
            key: close for key, close in story.closes.items() if close.taken or close.records
        }
        self._to_answer = {k for k, close in self._closes.items() if close.outcome is not None}
        self._last = {deal.comment: number for number, deal in enumerate(story.deals, start=1)}
        self._first_known = _first_known_times(story)
        self._last_known = _last_known_times(story)
        self._ended = _ended_by(story)

    def is_end(self, state: _State) -> bool:
        return state.deal == len(self._deals) and len(state.answered) == len(self._to_answer)

    def place_answers(self, state: _State) -> _State:
        """Place every answer that is true now: placing one early only frees others."""
        answered = set(state.answered)
        while True:
            ready = {
                key
                for key in self._to_answer - answered
                if self._may_answer(state, key) and self._are_answered_before(key, answered)
            }
            if not ready:
                return replace(state, answered=frozenset(answered))
            answered |= ready

    def after_next_deal(self, state: _State) -> Iterator[_State]:
        """Let the next deal happen, once for each close that may be behind it."""
        if state.deal == len(self._deals):
            return
        deal = self._deals[state.deal]
        moment = math.inf if deal.executed_us is None else deal.executed_us - self._tolerance_us
        late = self._to_answer - state.answered
        if deal.executed_us is not None and any(
            self._closes[key].answered_us < moment for key in late
        ):
            return  # an answer that had to be true before this deal was not
        following = replace(state, deal=state.deal + 1)
        if deal.comment not in self._tags or deal.entry == "in":
            yield following
            return
        if self._story.nets and deal.comment in self._told_elsewhere:
            # Sent for a position that was gone, it met this one: no client can exclude that.
            yield following
            return
        owners = dict(state.owners)
        if deal.comment in owners:
            yield following
            return
        for key in self._candidates(state, deal):
            yield replace(following, owners=(*state.owners, (deal.comment, key)))

    def _candidates(self, state: _State, deal: VenueDeal) -> Iterator[str]:
        """Yield the closes that may be behind a tag that appears for the first time.

        Closes without an answer that want the same are alike once they are invoked, so one of
        them stands for all.
        """
        taken = {key for _, key in state.owners}
        volume = self._story.closed_under(deal.comment)
        tried: set[float] = set()
        for key, close in self._closes.items():
            known = close.tag == deal.comment
            anonymous = close.outcome in (None, "unknown") and not close.tag
            if key in taken or not (known or anonymous):
                continue
            when = deal.executed_us
            if when is not None and close.invoked_us > when + self._tolerance_us:
                continue
            if not self._are_answered_before(key, state.answered):
                continue
            if volume > close.most + DUST:
                continue
            if key in state.answered and close.outcome != "unknown":
                continue
            if anonymous:
                if close.most in tried:
                    continue
                tried.add(close.most)
            yield key

    def _may_answer(self, state: _State, key: str) -> bool:
        """Whether the answer of a close is true after the deals that have happened."""
        close = self._closes[key]
        last, following = self._last_known[state.deal], self._first_known[state.deal]
        if last > close.answered_us + self._tolerance_us:
            return False
        if following < close.invoked_us - self._tolerance_us:
            return False
        if close.outcome in ("done", "partial"):
            owned = close.tag in dict(state.owners)
            all_there = owned and self._last.get(close.tag, 0) <= state.deal
            return all_there and (close.outcome == "partial" or self._ended[state.deal])
        if close.outcome == "already_closed":
            return self._ended[state.deal]
        if close.outcome == "not_found":
            return state.deal == 0
        return True

    def _are_answered_before(self, key: str, answered: frozenset[str] | set[str]) -> bool:
        """Whether every close that came back before this one was invoked has its place."""
        invoked = self._closes[key].invoked_us
        return not any(
            self._closes[other].answered_us < invoked for other in self._to_answer - answered
        )

    def what_stops(self, state: _State) -> Unexplained:
        """Say why the attempt that came furthest cannot go on."""
        for key in sorted(self._to_answer - state.answered):
            close = self._closes[key]
            if state.deal == len(self._deals) or self._must_be_before_next(state, close):
                return Unexplained(
                    Kind.NO_EXPLANATION,
                    f"the answer {close.outcome} of key {key!r} was true at no moment between "
                    f"its invocation ({_moment(close.invoked_us)}) and its return "
                    f"({_moment(close.answered_us)})",
                    close.calls,
                )
        deal = self._deals[state.deal]
        what = f"deal {deal.ticket} of {deal.volume:g} lots (tag {deal.comment})"
        for close in self._closes.values():
            if close.tag == deal.comment:
                return Unexplained(
                    Kind.NO_EXPLANATION,
                    f"{what}, executed at {deal.executed_us} µs, cannot come from key "
                    f"{close.key!r}, invoked at {_moment(close.invoked_us)} and answered at "
                    f"{_moment(close.answered_us)}",
                    close.calls,
                )
        return Unexplained(
            Kind.UNCLAIMED_CLOSE,
            f"{what} belongs to no result or record, and no call without an answer can have "
            "caused it",
        )

    def _must_be_before_next(self, state: _State, close: Close) -> bool:
        executed = self._deals[state.deal].executed_us
        return executed is not None and close.answered_us < executed - self._tolerance_us


def _first_known_times(story: Story) -> list[float]:
    """Return, for each number of deals that have happened, when the next one is known to come."""
    times = [math.inf]
    for deal in reversed(story.deals):
        times.append(times[-1] if deal.executed_us is None else deal.executed_us)
    return times[::-1]


def _last_known_times(story: Story) -> list[float]:
    """Return, for each number of deals that have happened, when the last one is known to be."""
    times = [-math.inf]
    for deal in story.deals:
        times.append(times[-1] if deal.executed_us is None else deal.executed_us)
    return times


def _ended_by(story: Story) -> list[bool]:
    """Return, for each number of deals that have happened, whether nothing is open then."""
    return [False, *(not lots for lots in story.open_after())]


def _moment(time_us: float) -> str:
    return f"{time_us:.0f} µs" if math.isfinite(time_us) else "not known"
