"""Reconciling made-up histories: what agrees is left in peace, and what is altered is found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from hypothesis import assume, given
from hypothesis import strategies as st

from audit.chain import ChainWriter
from audit.closes import close_record
from audit.differences import Difference, DifferenceKind
from audit.reconciling import Claim, claim_of, compare, horizon_of
from audit.records import record_of
from engine.brokers.port import ClosedBy, Deal
from engine.outcomes import Verdict
from tests.scripted_broker import Reply, ScriptedBroker, fill, say
from tests.unit.closing.conftest import make_desk

Kind = DifferenceKind
THREE_HOURS_MS = 10_800_000
"""By how much the broker's clock is ahead of ours."""

REPLIES: dict[str, Reply] = {
    "fills": fill(),
    "fills a half": fill(0.5, Verdict.PARTIAL, 10010),
    "requotes": say(Verdict.RETRY_NOW, 10004),
    "fills and times out": fill(1.0, Verdict.UNKNOWN, -10005),
    "refuses": say(Verdict.OPERATOR, 10019),
}


@dataclass(frozen=True)
class History:
    """What an account's closes have left behind, here and at its broker."""

    claims: tuple[Claim, ...]
    deals: tuple[Deal, ...]
    first_us: int

    def compared(self) -> tuple[Difference, ...]:
        horizon = horizon_of(self.first_us, self.claims)
        return compare("ann", self.claims, self.deals, horizon=horizon)


async def _play(volumes: list[float], replies: list[str], stopped: set[int]) -> History:
    desk = make_desk()
    broker, clock = desk.broker, desk.clock
    stamp = broker._deal

    def stamped(*given: object, **more: object) -> Deal:
        deal = stamp(*given, **more)  # type: ignore[arg-type]
        return replace(deal, time_ms=clock.wall_us() // 1000 + THREE_HOURS_MS)

    broker._deal = stamped  # type: ignore[method-assign]
    for ticket, volume in enumerate(volumes, start=1):
        broker.add(ticket, volume)
    first_us = clock.wall_us()
    clock.seconds += 60.0
    for ticket in stopped & broker.open.keys():
        _stop_out(broker, ticket)
    broker.script.extend(REPLIES[name] for name in replies)
    for key in ("t1", "t2"):
        await desk.account.close_each(
            [desk.request(ticket, key) for ticket in range(1, len(volumes) + 1)]
        )
    writer = ChainWriter("account:ann:1")
    sealed = [
        writer.seal(close_record(result, evidence, user_id="ann"))
        for result, evidence in desk.ledger.entries
    ]
    claims = tuple(claim_of(record_of(one.body)) for one in sealed)
    return History(claims, tuple(broker.deals), first_us)


def _stop_out(broker: ScriptedBroker, ticket: int) -> None:
    position = broker.open[ticket]
    broker.take_out(position, position.volume, 1.0, "", ClosedBy.STOP_OUT)


@st.composite
def histories(draw: st.DrawFn) -> History:
    volumes = draw(st.lists(st.sampled_from([0.2, 1.0, 3.0]), min_size=1, max_size=4))
    replies = draw(st.lists(st.sampled_from(sorted(REPLIES)), max_size=8))
    stopped = draw(st.sets(st.integers(1, len(volumes)), max_size=2))
    return asyncio.run(_play(volumes, replies, stopped))


@given(histories())
def test_what_really_happened_shows_no_difference(history: History) -> None:
    assert history.compared() == ()


@given(histories(), st.data())
def test_a_record_that_is_gone_is_missed(history: History, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(history.claims))
    others = tuple(claim for claim in history.claims if claim is not gone)
    covered = {ticket for claim in others for ticket in claim.deals}
    exits = [d for d in history.deals if d.entry.is_exit and d.ticket in gone.deals]
    lost = [d for d in exits if d.ticket not in covered]
    # Without any fill on record nothing tells where the engine's records begin.
    assume(any(claim.fill for claim in others))
    found = replace(history, claims=others).compared()
    ours = tuple(d.ticket for d in lost if d.comment)
    assert [one.deals for one in found if one.kind is Kind.UNKNOWN_CLOSE] == (
        [ours] if ours else []
    )
    foreign = {(d.ticket,) for d in lost if not d.comment}
    assert {one.deals for one in found if one.kind is Kind.FOREIGN_CLOSE} == foreign
    assert len(found) == bool(ours) + len(foreign)


@given(histories(), st.data(), st.sampled_from([-5.0, 0.01, 1e6]))
def test_an_altered_amount_is_found_alone(history: History, data: st.DataObject, by: float) -> None:
    counted = [n for n, claim in enumerate(history.claims) if claim.pnl is not None]
    assume(counted)
    number = data.draw(st.sampled_from(counted))
    claim = history.claims[number]
    assert claim.pnl is not None
    altered = replace(claim, pnl=claim.pnl + by)
    claims = (*history.claims[:number], altered, *history.claims[number + 1 :])
    (found,) = replace(history, claims=claims).compared()
    assert (found.kind, found.subject) == (Kind.PNL, claim.event_id)
    assert (found.recorded, found.found) == (altered.pnl, claim.pnl)


@given(histories(), st.data())
def test_a_deal_that_is_gone_is_missed_once(history: History, data: st.DataObject) -> None:
    rested_on = sorted({ticket for claim in history.claims for ticket in claim.deals})
    assume(rested_on)
    gone = data.draw(st.sampled_from(rested_on))
    deals = tuple(deal for deal in history.deals if deal.ticket != gone)
    (found,) = replace(history, deals=deals).compared()
    assert (found.kind, found.subject) == (Kind.MISSING_DEAL, str(gone))


@given(histories(), st.sampled_from([ClosedBy.HAND, ClosedBy.TAKE_PROFIT]), st.booleans())
def test_a_foreign_deal_is_noted_if_it_is_the_engines_time(
    history: History, by: ClosedBy, is_before: bool
) -> None:
    assume(any(claim.fill for claim in history.claims))
    exits = [deal for deal in history.deals if deal.entry.is_exit]
    when = history.first_us // 1000 + THREE_HOURS_MS + (-10 if is_before else 10)
    foreign = replace(exits[0], ticket=9_999, identifier=77, comment="", closed_by=by, time_ms=when)
    found = replace(history, deals=(*history.deals, foreign)).compared()
    expected = [] if is_before else [(Kind.FOREIGN_CLOSE, (9_999,))]
    assert [(one.kind, one.deals) for one in found] == expected


@given(histories())
def test_the_same_difference_has_the_same_name(history: History) -> None:
    deals = history.deals[:-1]
    first, second = (replace(history, deals=deals).compared() for _ in range(2))
    assert [one.event_id for one in first] == [one.event_id for one in second]
    assert len({one.event_id for one in first}) == len(first)
