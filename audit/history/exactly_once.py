"""Exactly once: no lots leave a position twice, and none that were told to have left are there."""

from __future__ import annotations

from collections.abc import Iterator, Set

from audit.history.stories import Account
from audit.history.story import DUST, Ask, Close, Story
from audit.history.surplus import Surplus, surpluses
from audit.history.verdict import Kind, Violation


def check_position(
    account: Account, story: Story, excused: Set[int] = frozenset()
) -> Iterator[Violation]:
    """Hold one position's closes against its deals.

    Args:
        account: the position's.
        story: the position.
        excused: tickets of deals whose surplus no client can exclude, as
            :meth:`audit.history.surplus.Unforeseen.excused` finds them.
    """
    for surplus in surpluses(account, story):
        if surplus.deal.ticket not in excused:
            yield _too_much_left(story, surplus)
    yield from _ended_twice(story)
    for close in story.closes.values():
        yield from _more_than_asked(story, close)
        yield from _executed_after_all(story, close)
        yield from _not_closed(story, close)
        for ask in close.asks:
            yield from _promised(story, close, ask)


def _too_much_left(story: Story, surplus: Surplus) -> Violation:
    deal = surplus.deal
    return _wrong(
        Kind.DOUBLE_CLOSE,
        story,
        f"{story.where}: deal {deal.ticket} ({deal.comment or deal.who}) of "
        f"{deal.volume:g} lots {surplus.what} {surplus.lots:g} lots",
    )


def _ended_twice(story: Story) -> Iterator[Violation]:
    """Find more full closes with lots of their own than times that the position ended."""
    by_tag = {
        close.tag: close
        for close in story.closes.values()
        if close.outcome == "done" and story.closed_under(close.tag) > DUST
    }
    if len(by_tag) > max(1, story.endings):
        tags = " and ".join(sorted(by_tag))
        yield _wrong(
            Kind.DOUBLE_CLOSE,
            story,
            f"{story.where}: {len(by_tag)} full closes were each executed, with tags {tags}, "
            f"though it ended {story.endings} time(s)",
            ", ".join(close.calls for close in by_tag.values()),
        )


def _more_than_asked(story: Story, close: Close) -> Iterator[Violation]:
    if close.result is not None and close.result.is_full_success:
        return  # it may be another key's, which asked for more
    taken = story.closed_under(close.tag)
    if taken > close.most + DUST:
        yield _wrong(
            Kind.DOUBLE_CLOSE,
            story,
            f"{story.where}: {taken:g} lots left under key {close.key!r} (tag {close.tag}), which "
            f"asked for {close.most:g} at most",
            close.calls,
        )


def _executed_after_all(story: Story, close: Close) -> Iterator[Violation]:
    if close.outcome not in ("rejected", "not_sent", "not_found", "already_closed"):
        return
    taken = story.closed_under(close.tag)
    if taken > DUST:
        yield _wrong(
            Kind.EXECUTED_AFTER_ALL,
            story,
            f"{story.where}: key {close.key!r} was answered {close.outcome}, but deals with its "
            f"tag {close.tag} took {taken:g} lots",
            close.calls,
        )


def _not_closed(story: Story, close: Close) -> Iterator[Violation]:
    """Find results that tell of more than the book shows."""
    outcome, tag = close.outcome, close.tag
    taken = story.closed_under(tag)
    claimed = close.result.volume if close.result else sum(r.volume for r in close.records[:1])
    problem = ""
    if outcome in ("done", "partial") and not story.exits_under(tag):
        problem = f"no deal with its tag {tag}" if tag else "and names no tag to know its deals by"
    elif outcome in ("done", "partial") and taken < claimed - DUST:
        problem = f"{claimed:g} lots, but its deals (tag {tag}) show {taken:g}"
    elif outcome in ("done", "already_closed") and not story.endings:
        problem = "but lots were open throughout" if story.deals else "but the venue never had it"
    elif outcome == "not_found" and _was_open_before(story, close):
        problem = "but the venue had it, and knows it"
    if problem:
        yield _wrong(
            Kind.LOST_CLOSE,
            story,
            f"{story.where}: key {close.key!r} was answered {outcome}, {problem}",
            close.calls,
        )


def _was_open_before(story: Story, close: Close) -> bool:
    opened = story.deals[0].executed_us if story.deals else None
    return bool(story.deals) and (opened is None or opened <= close.invoked_us)


def _promised(story: Story, close: Close, ask: Ask) -> Iterator[Violation]:
    """Check that a position without a result, in a call that was acknowledged, was closed."""
    if ask.end is None or ask.end.status != "ok" or ask.result is not None or ask.refused:
        return
    if close.outcome is not None or not story.deals:
        return  # a result under this key, here or in another call, says what became of it
    if ask.call.positions is None and not _was_open_before(story, close):
        return
    taken = sum(deal.volume for deal in story.deals if deal.entry != "in")
    if ask.call.volume is not None and taken >= ask.call.volume - DUST:
        return
    if not story.open_at_end or _ended_after(story, ask.call.invoked_us):
        return
    yield _wrong(
        Kind.LOST_CLOSE,
        story,
        f"{story.where}: call {ask.call.call} was acknowledged, but {story.open_at_end:g} lots "
        "are open at the end and no result says why",
        ask.call.call,
    )


def _ended_after(story: Story, moment_us: int) -> bool:
    before = 0.0
    for deal, after in zip(story.deals, story.open_after(), strict=True):
        is_end = before != 0 and before * after <= 0
        if is_end and (deal.executed_us is None or deal.executed_us >= moment_us):
            return True
        before = after
    return False


def _wrong(kind: Kind, story: Story, text: str, calls: str = "") -> Violation:
    return Violation(kind, text, story.user_id, story.name, calls)
