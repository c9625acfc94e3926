"""Reconciling real stores with scripted brokers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from actors import reconciling
from audit.differences import AccountReconciled, DifferenceKind
from audit.queries import RecordQuery
from audit.records import AuditRecord, EventType, Status
from engine.brokers.port import ClosedBy, Deal
from engine.errors import BrokerUnavailable, UnknownAccount
from engine.models import GuardTrigger, GuardType
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.scripted_broker import ScriptedBroker, say

Kind = DifferenceKind


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted broker's clock begins in 1970: there would be many pages to today."""
    monkeypatch.setattr(reconciling, "PAGE_PAUSE_S", 0.0)
    monkeypatch.setattr(reconciling, "FIRST_SPAN_MS", 10 * reconciling.LONGEST_SPAN_MS)
    monkeypatch.setattr(reconciling, "LONGEST_SPAN_MS", 10 * reconciling.LONGEST_SPAN_MS)


async def closed(local: Local, *user_ids: str) -> None:
    triggers = [
        GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", trigger_id=f"t-{user_id}")
        for user_id in user_ids
    ]
    await local.supervisor.reports(await local.supervisor.submit(triggers))


async def reconcile(local: Local, user_id: str = "ann") -> AccountReconciled:
    (report,) = await local.supervisor.reconcile(user_id)
    return report


async def noted(local: Local) -> list[AuditRecord]:
    audit = local.stage.local_audit
    query = RecordQuery(event_types=(EventType.RECONCILE_DIFFERENCE,))
    return await audit.run(audit.actor.records, query)


def kinds(report: AccountReconciled) -> list[Kind]:
    return [one.kind for one in report.differences]


def change(broker: ScriptedBroker, choose: Callable[[Deal], bool], **fields: object) -> None:
    (index,) = [n for n, deal in enumerate(broker.deals) if choose(deal)]
    broker.deals[index] = replace(broker.deals[index], **fields)  # type: ignore[arg-type]


async def test_store_and_broker_agree(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    report = await reconcile(local)
    assert report.error is None
    assert (report.closes, report.deals, report.differences) == (3, 6, ())
    assert report.is_clean
    assert await noted(local) == []


async def test_a_correction_by_the_broker_is_put_on_record_once(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    broker = local.stage.broker("ann")
    change(broker, lambda d: d.identifier == 2 and d.entry.is_exit, profit=-99.0)
    first, second = await reconcile(local), await reconcile(local)
    assert kinds(first) == kinds(second) == [Kind.PNL]
    assert [one.is_new for one in (*first.differences, *second.differences)] == [True, False]
    (record,) = await noted(local)
    assert record.status is Status.FAILED
    assert record.stream.startswith("supervisor:")
    assert record.trigger_id == "t-ann"
    assert record.meta_data["found"] == -100.0
    assert record.pnl is None, "nobody is to count it as P&L"
    assert local.stage.local_audit.actor.verify() is None
    assert (await local.supervisor.status()).audit["set_aside"] == 0


async def test_what_others_closed_is_noted_and_no_fault(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    broker = local.stage.broker("ann")
    position = broker.add(50)
    broker.take_out(position, 1.0, 1.0, "", ClosedBy.STOP_LOSS)
    report = await reconcile(local)
    assert kinds(report) == [Kind.FOREIGN_CLOSE]
    assert "stop loss" in report.differences[0].text
    assert report.is_clean
    assert [record.status for record in await noted(local)] == [Status.WARNING]


async def test_a_close_under_our_tag_that_no_record_covers_is_found(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    broker = local.stage.broker("ann")
    position = broker.add(50)
    broker.take_out(position, 1.0, 1.0, "R" + "Q" * 26, ClosedBy.EXPERT)
    report = await reconcile(local)
    assert kinds(report) == [Kind.UNKNOWN_CLOSE]
    assert not report.is_clean


async def test_a_record_without_its_deal_is_found(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    broker = local.stage.broker("ann")
    del broker.deals[-1]
    assert kinds(await reconcile(local)) == [Kind.MISSING_DEAL]


async def test_what_was_before_the_engine_is_not_judged(local: Local) -> None:
    broker = local.stage.broker("ann")
    for ticket in (70, 71):
        broker.take_out(broker.add(ticket), 1.0, 1.0, "", ClosedBy.HAND)
    ours = replace(broker.deals[-1], ticket=5, identifier=72, comment="R" + "Q" * 26)
    broker.deals.append(ours)
    await local.add("ann")
    # From here on the broker's clock shows a day later than for the deals above.
    made = broker._deal

    def later(*given: object, **more: object) -> Deal:
        deal = made(*given, **more)  # type: ignore[arg-type]
        return replace(deal, time_ms=deal.time_ms + 86_400_000)

    broker._deal = later  # type: ignore[method-assign]
    await closed(local, "ann")
    report = await reconcile(local)
    assert report.begins_ms is not None
    assert report.differences == ()


async def test_an_account_without_closes_has_nothing_to_compare(local: Local) -> None:
    await local.add("ann")
    report = await reconcile(local)
    assert (report.error, report.closes, report.differences) == (None, 0, ())


async def test_an_unknown_account_is_an_error(local: Local) -> None:
    await local.add("ann")
    with pytest.raises(UnknownAccount, match="'nobody'"):
        await local.supervisor.reconcile("nobody")


async def test_one_account_that_cannot_be_read_stops_no_other(local: Local) -> None:
    await local.add("ann", "bob")
    await closed(local, "ann", "bob")
    local.stage.broker("ann").unreadable = 10_000
    ann, bob = await local.supervisor.reconcile(None)
    assert ann.error is not None
    assert BrokerUnavailable.__name__ in ann.error
    assert not ann.is_clean
    assert bob.is_clean
    assert bob.closes == 3


async def test_an_account_that_waits_for_its_market_is_left_alone(local: Local) -> None:
    await local.add("ann", positions=1)
    local.stage.broker("ann").script.extend([say(Verdict.MARKET_CLOSED, 10018)] * 100)
    await local.supervisor.submit([GuardTrigger("ann", GuardType.DRAWDOWN, "equity fell")])
    while local.supervisor._episodes.waiting_positions("ann") != 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    report = await reconcile(local)
    assert report.error is not None
    assert "waits for a market" in report.error


class Asked(ScriptedBroker):
    """A broker whose history is read page by page, with something between two pages."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[tuple[int, int]] = []
        self.between: Callable[[], None] = lambda: None

    async def deals_between(self, since_ms: int, until_ms: int) -> tuple[Deal, ...]:
        self.spans.append((since_ms, until_ms))
        self.between()
        return await super().deals_between(since_ms, until_ms)


async def test_a_close_in_between_goes_first_and_the_look_begins_anew(local: Local) -> None:
    broker = local.stage.brokers["ann"] = Asked()
    await local.add("ann")
    await local.supervisor.reports(
        await local.supervisor.submit(
            [GuardTrigger("ann", GuardType.DRAWDOWN, "x", trigger_id="first", positions=())]
        )
    )
    loop, opened = asyncio.get_running_loop(), threading.Event()

    def trip() -> None:
        if len(broker.spans) == 2:
            asyncio.run_coroutine_threadsafe(closed(local, "ann"), loop)
            opened.set()

    broker.between = trip
    report = await reconcile(local)
    assert opened.is_set()
    assert (report.closes, report.deals, report.differences) == (3, 6, ())
    begins = [n for n, (since, _) in enumerate(broker.spans) if since == broker.spans[0][0]]
    assert len(begins) >= 2, "the look began anew"
    assert not broker.open


async def test_pages_are_seamless(local: Local) -> None:
    broker = local.stage.brokers["ann"] = Asked()
    await local.add("ann")
    await closed(local, "ann")
    await reconcile(local)
    ends = [until for _, until in broker.spans]
    assert [since for since, _ in broker.spans[1:]] == ends[:-1]
    assert len(broker.spans) > 3


async def test_its_outcome_is_plain_json(local: Local) -> None:
    await local.add("ann")
    await closed(local, "ann")
    del local.stage.broker("ann").deals[-1]
    data = json.loads(json.dumps((await reconcile(local)).data()))
    assert data["differences"][0]["kind"] == "missing deal"
