"""Cases of reconciling that made-up histories seldom meet."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from audit.differences import Difference, DifferenceKind, difference_record
from audit.reconciling import SAME_PACE_MS, Claim, Horizon, claim_of, compare, horizon_of
from audit.records import EventType, Status
from engine.brokers.port import ClosedBy, Deal, DealEntry, Side
from engine.identity import close_tag
from engine.outcomes import Outcome
from tests.unit.audit.samples import NOW, a_close

Kind = DifferenceKind
CLOSE = "00000000-0000-5000-8000-000000000001"
TAG = close_tag(UUID(CLOSE))
ALL = Horizon(0, 0)
CLAIM = Claim("event-1", CLOSE, TAG, "t1", "7", Outcome.DONE, 1.0, 1.05, -6.0, (1, 2), 10, None)


def deal(ticket: int, entry: DealEntry = DealEntry.OUT, **more: object) -> Deal:
    side = Side.LONG if entry is DealEntry.IN else Side.SHORT
    tag = "" if entry is DealEntry.IN else TAG
    made = Deal(
        ticket, 100, 7, "EURUSD", entry, side, 1.0, 1.05, 0.0, 0.0, 0.0, 0.0, tag,
        ClosedBy.EXPERT, 10 * ticket,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


ENTRY = deal(1, DealEntry.IN, commission=-1.0, price=1.1)
EXIT = deal(2, profit=-5.0)


def found(claim: Claim = CLAIM, *deals: Deal, horizon: Horizon = ALL) -> list[Difference]:
    return list(compare("ann", [claim], deals, horizon=horizon))


def kinds(differences: list[Difference]) -> list[Kind]:
    return [one.kind for one in differences]


def test_a_record_and_its_deals_agree() -> None:
    assert found(CLAIM, ENTRY, EXIT) == []


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"volume": 0.7}, Kind.VOLUME),
        ({"price": 1.0501}, Kind.PRICE),
        ({"pnl": -6.01}, Kind.PNL),
        ({"pnl": None}, Kind.PNL),
    ],
)
def test_each_amount_is_compared(fields: dict[str, float | None], kind: Kind) -> None:
    differing = found(replace(CLAIM, **fields), ENTRY, EXIT)  # type: ignore[arg-type]
    assert kind in kinds(differing)
    assert len(differing) == 1 or kind is Kind.VOLUME


@pytest.mark.parametrize("pnl", [-6.004, -5.996])
def test_rounding_is_no_difference(pnl: float) -> None:
    assert found(replace(CLAIM, pnl=pnl, price=1.05 + 1e-9), ENTRY, EXIT) == []


def test_a_close_that_was_executed_after_it_was_given_up_is_found() -> None:
    given_up = replace(CLAIM, outcome=Outcome.UNKNOWN, volume=0.0, price=None, pnl=None, deals=(1,))
    (differing,) = found(given_up, ENTRY, EXIT)
    assert (differing.kind, differing.recorded, differing.found) == (Kind.VOLUME, 0.0, 1.0)


def test_a_fill_that_no_deal_shows_is_a_missing_deal() -> None:
    (differing,) = found(replace(CLAIM, deals=(1,)), ENTRY)
    assert (differing.kind, differing.subject) == (Kind.MISSING_DEAL, "event-1")


def test_a_summary_is_compared_with_all_deals_of_its_position() -> None:
    summary = replace(CLAIM, deals=(), oldest_ms=None)
    assert found(summary, ENTRY, EXIT) == []
    assert kinds(found(replace(summary, pnl=0.0), ENTRY, EXIT)) == [Kind.PNL]


def test_a_summary_whose_entry_is_too_old_to_be_read_is_not_judged_by_it() -> None:
    assert found(replace(CLAIM, deals=(), pnl=-6.0), EXIT) == []


def test_an_order_that_turned_a_net_position_around_closed_what_was_open() -> None:
    small = replace(ENTRY, volume=0.4)
    turning = deal(2, DealEntry.INOUT, profit=-5.0)
    for lots in (0.4, 1.0):  # as the deals tell, or as the broker's answer did
        claim = replace(CLAIM, volume=lots, pnl=None)
        assert Kind.VOLUME not in kinds(found(claim, small, turning))
    claim = replace(CLAIM, volume=0.2, pnl=None)
    assert Kind.VOLUME in kinds(found(claim, small, turning))


def test_the_profit_of_an_order_that_turned_a_net_position_around_is_compared() -> None:
    small = replace(ENTRY, volume=0.4)
    turning = deal(2, DealEntry.INOUT, profit=-5.0)
    assert found(replace(CLAIM, volume=0.4), small, turning) == []
    (differing,) = found(replace(CLAIM, volume=0.4, pnl=-99.0), small, turning)
    assert (differing.kind, differing.recorded, differing.found) == (Kind.PNL, -99.0, -6.0)


def test_a_deal_that_came_later_is_a_difference_in_lots_and_not_one_more_in_profit() -> None:
    partly = replace(CLAIM, volume=0.4)
    assert kinds(found(partly, ENTRY, replace(EXIT, volume=0.4), replace(EXIT, ticket=3))) == [
        Kind.VOLUME
    ]


def test_a_close_by_others_that_a_record_covers_is_known() -> None:
    by_stop = replace(EXIT, comment="", closed_by=ClosedBy.STOP_LOSS)
    gone = replace(CLAIM, outcome=Outcome.ALREADY_CLOSED, volume=0.0)
    assert found(gone, ENTRY, by_stop) == []


def test_clocks_that_run_alike_tell_where_the_engine_begins() -> None:
    hour = 3_600_000
    fills = [replace(CLAIM, fill=(us, us // 1000 + 2 * hour)) for us in (NOW + 5_000_000, NOW)]
    horizon = horizon_of(NOW - 1_000_000, fills)
    assert horizon.begins_ms == (NOW - 1_000_000) // 1000 + 2 * hour
    assert horizon.since_ms == CLAIM.oldest_ms, "older deals that records rest on are read, too"


def test_clocks_that_do_not_tell_nothing() -> None:
    replayed = [
        replace(CLAIM, fill=(NOW, 0)),
        replace(CLAIM, fill=(NOW + 1_000, SAME_PACE_MS + 2)),
    ]
    assert horizon_of(NOW, replayed) == horizon_of(NOW, [CLAIM]) == Horizon(0, None)


def test_without_a_beginning_only_what_is_the_engines_is_judged() -> None:
    strange = replace(EXIT, ticket=3, comment=close_tag(UUID(int=9)), identifier=8)
    by_hand = replace(EXIT, ticket=4, comment="", identifier=9)
    blind = Horizon(0, None)
    assert kinds(found(CLAIM, ENTRY, EXIT, strange, by_hand, horizon=blind)) == [Kind.UNKNOWN_CLOSE]
    seen = compare("ann", [CLAIM], [ENTRY, EXIT, by_hand], horizon=blind, seen_open={9})
    assert kinds(list(seen)) == [Kind.FOREIGN_CLOSE]


def test_a_claim_is_read_from_its_record() -> None:
    claim = claim_of(a_close())
    assert (claim.outcome, claim.volume, claim.pnl) == (Outcome.DONE, 0.5, -13.34)
    assert claim.deals == (7001,)


def test_a_difference_becomes_a_record_that_counts_as_nobodys_money() -> None:
    (differing,) = found(replace(CLAIM, pnl=0.0), ENTRY, EXIT)
    record = difference_record(differing, occurred_at=NOW)
    assert record.event_type is EventType.RECONCILE_DIFFERENCE
    assert (record.status, record.trigger_id, record.pnl) == (Status.FAILED, "t1", None)
    assert record.meta_data["found"] == -6.0
    again = difference_record(differing, occurred_at=NOW + 1)
    assert again.event_id == record.event_id
    other = found(replace(CLAIM, pnl=0.0), ENTRY, replace(EXIT, profit=-7.0))
    assert other[0].event_id != record.event_id, "another correction is another fact"
