"""Answers: the same question gets the same answer, and it is what the deals show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from audit.history.book import VenueDeal
from audit.history.events import PositionResult
from audit.history.stories import Account
from audit.history.story import DUST, Ask, Close, Story
from audit.history.verdict import Kind, Violation

PRICE_TOLERANCE = 1e-9
"""Relative: weighted averages of floats are not exact."""
MONEY_TOLERANCE = 0.005 + 1e-6
"""Half a cent: results are rounded to the hundredth, deals need not be."""


def check_answers(account: Account, story: Story, all_records: bool) -> Iterator[Violation]:
    """Compare a position's results with each other, with its records and with its deals."""
    for close in story.closes.values():
        yield from _same_key(story, close)
        yield from _key_conflicts(story, close)
        yield from _records(story, close, all_records)
        if close.result is not None:
            yield from _as_in_the_book(account, story, close, close.result)
    yield from _shared_tags(story)
    yield from _success_is_final(story)


def _same_key(story: Story, close: Close) -> Iterator[Violation]:
    first = next((ask for ask in close.asks if ask.result is not None), None)
    for ask in close.asks:
        if first is None or ask.result is None:
            continue
        names = _differing(first.result, ask.result)
        if names:
            yield _wrong(
                Kind.RESULTS_DIFFER,
                story,
                f"{story.where}: key {close.key!r} was answered differently to "
                f"{first.call.call} and {ask.call.call}: {names}",
                f"{first.call.call}, {ask.call.call}",
            )


def _differing(one: PositionResult | None, other: PositionResult | None) -> str:
    """Name the fields that differ; whether the record was on disk already may change."""
    if one is None or other is None:
        return ""
    fields = ("outcome", "success", "volume", "closed_price", "pnl", "close_id", "tag")
    return ", ".join(
        f"{name} {getattr(one, name)!r} and {getattr(other, name)!r}"
        for name in fields
        if getattr(one, name) != getattr(other, name)
    )


def _key_conflicts(story: Story, close: Close) -> Iterator[Violation]:
    if _may_repeat_another_key(story, close):
        return  # a full success answers every key, whatever was asked
    answered = [ask for ask in close.asks if ask.result is not None]
    for one, other in combinations(answered, 2):
        tickets = (one.call.ticket, other.call.ticket)
        if one.call.volume != other.call.volume or (
            None not in tickets and tickets[0] != tickets[1]
        ):
            yield _wrong(
                Kind.KEY_CONFLICT,
                story,
                f"{story.where}: key {close.key!r} was answered to {one.call.call} "
                f"({_request(one)}) and to {other.call.call} ({_request(other)}) as if they "
                "were one request",
                f"{one.call.call}, {other.call.call}",
            )
            return


def _may_repeat_another_key(story: Story, close: Close) -> bool:
    result = close.result
    if result is None or not result.is_full_success:
        return False
    if any(record.tag == result.tag for record in close.records):
        return False
    return any(
        other is not close and (other.taken or other.records) and other.tag in ("", result.tag)
        for other in story.closes.values()
    )


def _request(ask: Ask) -> str:
    volume = "all" if ask.call.volume is None else f"{ask.call.volume:g} lots"
    return f"ticket {ask.call.ticket}, {volume}"


def _records(story: Story, close: Close, all_records: bool) -> Iterator[Violation]:
    ids = sorted({record.event_id for record in close.records})
    if len(ids) > 1:
        yield _wrong(
            Kind.SECOND_RECORD,
            story,
            f"{story.where}: key {close.key!r} has {len(ids)} final records: {', '.join(ids)}",
            close.calls,
        )
    if close.result is None:
        return
    for record in close.records:
        said = (close.result.outcome, close.result.tag or record.tag)
        if said != (record.outcome, record.tag or said[1]) or (
            abs(close.result.volume - record.volume) > DUST
        ):
            yield _wrong(
                Kind.RECORD_MISMATCH,
                story,
                f"{story.where}: key {close.key!r} was answered {close.result.outcome}, "
                f"{close.result.volume:g} lots, tag {close.result.tag}; its record "
                f"{record.event_id} says {record.outcome}, {record.volume:g} lots, "
                f"tag {record.tag}",
                close.calls,
            )
    is_durable = any(ask.result is not None and ask.result.durable for ask in close.asks)
    if all_records and is_durable and not _has_record(story, close):
        yield _wrong(
            Kind.LOST_RECORD,
            story,
            f"{story.where}: the result of key {close.key!r} was called durable, but no final "
            "record has it",
            close.calls,
        )


def _has_record(story: Story, close: Close) -> bool:
    """Whether this close is recorded, or the one whose success it repeats."""
    return bool(close.records) or any(
        other.records and other.tag == close.tag and close.tag for other in story.closes.values()
    )


def _has_heir(story: Story, close: Close) -> bool:
    """Whether another close tells that the position is gone: this one then tells its own part."""
    return any(
        other is not close and other.outcome in ("done", "already_closed")
        for other in story.closes.values()
    )


def _as_in_the_book(
    account: Account, story: Story, close: Close, result: PositionResult
) -> Iterator[Violation]:
    """Compare volume, price and P&L with the deals; what fell short is a lost close already."""
    answered = [ask.call for ask in close.asks if ask.result is not None]
    is_part = result.outcome == "partial" and result.success
    if is_part and not answered[0].volume and not _has_heir(story, close):
        yield _mismatch(story, close, "is a success in part, but the call was for all")
    if result.outcome not in ("done", "partial", "already_closed"):
        return
    own = story.exits_under(result.tag)
    taken = story.closed_under(result.tag)
    if result.outcome != "already_closed" and not own:
        return
    if result.volume > taken + DUST and result.outcome == "already_closed":
        yield _mismatch(story, close, f"says {result.volume:g} lots, but took none itself")
    elif result.volume < taken - DUST:
        yield _mismatch(
            story, close, f"says {result.volume:g} lots, the deals with its tag {taken:g}"
        )
    deals = _until_ended(story, result.tag)
    exits = own or [deal for deal in deals if deal.entry != "in"]
    price = average_price(exits)
    if (
        result.closed_price is not None
        and price is not None
        and not math.isclose(result.closed_price, price, rel_tol=PRICE_TOLERANCE)
    ):
        yield _mismatch(story, close, f"says price {result.closed_price!r}, the deals {price!r}")
    others = account.tags - {result.tag}
    if result.outcome == "partial":
        counted = own
    elif result.outcome == "done":
        counted = [deal for deal in deals if deal.entry == "in" or deal.comment not in others]
    else:
        counted = list(deals)
    parts = [deal.result for deal in counted]
    if result.pnl is None or None in parts:
        return
    pnl = math.fsum(part for part in parts if part is not None)
    if abs(result.pnl - pnl) > MONEY_TOLERANCE:
        yield _mismatch(story, close, f"says P&L {result.pnl!r}, the deals {pnl!r}")


def average_price(deals: Sequence[VenueDeal]) -> float | None:
    """Return the volume-weighted price; ``None`` without volume."""
    volume = math.fsum(deal.volume for deal in deals)
    return math.fsum(d.price * d.volume for d in deals) / volume if volume > 0 else None


def _until_ended(story: Story, tag: str) -> Sequence[VenueDeal]:
    """Return the deals up to the one that ended the position, with or after this close."""
    last = max((n for n, deal in enumerate(story.deals) if deal.comment == tag), default=0)
    for number, after in enumerate(story.open_after()):
        if number >= last and not after:
            return story.deals[: number + 1]
    return story.deals


def _shared_tags(story: Story) -> Iterator[Violation]:
    """A tag is one close's. Other keys may repeat it only to pass on its full success."""
    by_tag: dict[str, list[Close]] = defaultdict(list)
    for close in story.closes.values():
        if close.result is not None and close.tag:
            by_tag[close.tag].append(close)
    for tag, closes in by_tag.items():
        for other in closes[1:]:
            assert closes[0].result is not None
            assert other.result is not None
            names = _differing(closes[0].result, other.result)
            if names or not other.result.is_full_success:
                yield _wrong(
                    Kind.RESULTS_DIFFER,
                    story,
                    f"{story.where}: keys {closes[0].key!r} and {other.key!r} share the close "
                    f"with tag {tag}, which {'has ' + names if names else 'is no full success'}",
                    f"{closes[0].calls}, {other.calls}",
                )


def _success_is_final(story: Story) -> Iterator[Violation]:
    """Find closes begun after a full success was told that were not answered with it.

    A key that was used before may have a final answer of its own, and keeps it.
    """
    answered = [
        (ask.end.completed_us, ask.call.call, close, ask.result)
        for close in story.closes.values()
        for ask in close.asks
        if ask.result is not None and ask.end is not None
    ]
    answered.sort(key=lambda one: one[:2])
    first = next((one for one in answered if one[3].is_full_success), None)
    if first is None or (story.nets and story.endings > 1):
        return  # a net position that was opened anew has a new close
    known_us, told, _, full = first
    for _, name, close, result in answered:
        if close.invoked_us <= known_us:
            continue
        differing = _differing(full, result)
        if differing:
            yield _wrong(
                Kind.SUCCESS_NOT_FINAL,
                story,
                f"{story.where}: {told} was told that it is gone; later {name} was answered "
                f"otherwise: {differing}",
                f"{told}, {name}",
            )


def _mismatch(story: Story, close: Close, what: str) -> Violation:
    text = f"{story.where}: the result of key {close.key!r} {what}"
    return _wrong(Kind.RESULT_MISMATCH, story, text, close.calls)


def _wrong(kind: Kind, story: Story, text: str, calls: str) -> Violation:
    return Violation(kind, text, story.user_id, story.name, calls)
