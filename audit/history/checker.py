"""Judges a history: is there a serial, exactly-once explanation of all that was seen?

Named rules come first, because they can say what is wrong; then, for every position on which no
rule has found anything, the search decides whether calls, answers and book fit together at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit.history.answers import check_answers
from audit.history.consistency import check_account, check_book
from audit.history.exactly_once import check_position
from audit.history.explaining import MOST_STATES, explain
from audit.history.history import History
from audit.history.serial import check_fresh, check_serial
from audit.history.stories import Account, accounts_of
from audit.history.story import Story
from audit.history.surplus import Unforeseen
from audit.history.verdict import Kind, Verdict, Violation


def check(history: History, *, most_states: int = MOST_STATES) -> Verdict:
    """Judge a history.

    Args:
        history: what was seen; see :func:`audit.history.reading.read_history`.
        most_states: how much is searched for each position before it is called undecided.

    Returns:
        The verdict; accepted only if an explanation was found for every position.

    Raises:
        ValueError: lines of the history contradict each other; the message says how.
    """
    history.refuse_contradictions()
    violations = list(check_book(history))
    for account in accounts_of(history):
        violations.extend(_check_account(account, history, most_states))
    return Verdict(
        calls=len(history.invocations),
        positions=len(history.positions),
        requests=len(history.requests),
        violations=tuple(violations),
    )


def _check_account(account: Account, history: History, most_states: int) -> Iterator[Violation]:
    header = history.header
    yield from check_account(account, header.requests)
    yield from check_serial(account, header.settle_window_us)
    unforeseen = Unforeseen(account, header.settle_window_us, header.clock_tolerance_us)
    excused = unforeseen.excused()
    for story in account.stories.values():
        found = [
            *check_position(account, story, excused),
            *check_answers(account, story, header.records),
            *check_fresh(account, story, unforeseen),
        ]
        yield from found or _search(account, story, header.clock_tolerance_us, most_states)
    yield from _unlisted(account)


def _search(
    account: Account, story: Story, tolerance_us: int, most_states: int
) -> Iterator[Violation]:
    elsewhere = {
        close.tag
        for other in account.stories.values()
        for close in (() if other is story else other.closes.values())
    }
    stopped = explain(story, account.tags, tolerance_us, most_states, told_elsewhere=elsewhere)
    if stopped is not None:
        text = f"{story.where}: {stopped.reason}"
        yield Violation(stopped.kind, text, story.user_id, story.name, stopped.calls)


def _unlisted(account: Account) -> Iterator[Violation]:
    """A call on a position that the book does not have, acknowledged without a result."""
    for story in account.stories.values():
        for close in story.closes.values() if story.position is None else ():
            for ask in close.asks:
                promised = ask.end is not None and ask.end.status == "ok" and not ask.refused
                if promised and close.outcome is None:
                    yield Violation(
                        Kind.LOST_CLOSE,
                        f"{story.where}: call {ask.call.call} was acknowledged, but the book has "
                        "no such position and no result says so",
                        story.user_id,
                        story.name,
                        ask.call.call,
                    )
