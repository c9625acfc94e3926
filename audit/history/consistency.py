"""Whether the venue's own lines agree; a book that contradicts itself proves nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from audit.history.history import History
from audit.history.stories import Account
from audit.history.story import DUST, Story
from audit.history.verdict import Kind, Violation


def check_book(history: History) -> Iterator[Violation]:
    """Check the deals' numbers and positions, and the order of each request's times."""
    tickets = Counter((deal.user_id, deal.ticket) for deal in history.deals)
    for (user_id, ticket), count in tickets.items():
        if count > 1:
            yield _wrong(user_id, "", f"{user_id}: deal {ticket} is listed {count} times")
    known = {(position.user_id, position.identifier) for position in history.positions}
    for deal in history.deals:
        if (deal.user_id, deal.identifier) not in known:
            text = f"deal {deal.ticket} belongs to position {deal.identifier}, which is not listed"
            yield _wrong(deal.user_id, str(deal.identifier), f"{deal.user_id}: {text}")
    for request in history.requests:
        for name, end in (
            ("answered_us", request.answered_us),
            ("executed_us", request.executed_us),
        ):
            if end is not None and end < request.arrived_us:
                yield _wrong(
                    request.user_id,
                    str(request.identifier or request.ticket),
                    f"{request.user_id}: {name}={end} of the request for ticket {request.ticket} "
                    f"({request.tag}) is before arrived_us={request.arrived_us}",
                )


def check_account(account: Account, all_requests: bool) -> Iterator[Violation]:
    """Check what is open at the end, and requests against the deals with their tags."""
    for story in account.stories.values():
        left = abs(story.open_after()[-1]) if story.deals else 0.0
        if abs(left - story.open_at_end) > DUST:
            yield _wrong(
                account.user_id,
                story.name,
                f"{story.where}: the venue lists {story.open_at_end:g} lots open at the end, its "
                f"deals leave {left:g}",
            )
        yield from _wrong_way(story)
    asked: dict[str, float] = defaultdict(float)
    for request in account.requests:
        asked[request.tag] += request.executed_volume
    dealt: dict[str, float] = defaultdict(float)
    for story in account.stories.values():
        for deal in story.deals:
            if deal.comment in account.tags:
                dealt[deal.comment] += deal.volume
    for tag in sorted(account.tags):
        if (all_requests or tag in asked) and abs(asked[tag] - dealt[tag]) > DUST:
            yield _wrong(
                account.user_id,
                "",
                f"{account.user_id}: requests with tag {tag} executed {asked[tag]:g} lots, the "
                f"deals with it show {dealt[tag]:g}",
            )


def _wrong_way(story: Story) -> Iterator[Violation]:
    """Find exits that add to the position and entries that take from it."""
    before = 0.0
    for deal, after in zip(story.deals, story.open_after(), strict=True):
        adds = deal.sign * before > 0
        if before and adds != (deal.entry == "in"):
            yield _wrong(
                story.user_id,
                story.name,
                f"{story.where}: deal {deal.ticket} ({deal.entry}, {deal.side}) "
                f"{'adds to' if adds else 'takes from'} the {abs(before):g} lots open before it",
            )
        before = after


def _wrong(user_id: str, position: str, text: str) -> Violation:
    return Violation(Kind.INCONSISTENT_BOOK, text, user_id, position)
