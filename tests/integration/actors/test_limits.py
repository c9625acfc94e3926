"""Where the promises of the whole engine end: what really happens there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.links import ActorLost
from actors.messages import EpisodeState
from actors.refusing import TriggerRefused
from audit.journal import Journal
from audit.receipts import OpenedStream
from audit.records import EventType
from engine.brokers.port import AccountState, DealEntry, PendingOrder, Side
from engine.models import GuardTrigger, Severity
from engine.outcomes import Outcome
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import liquidate, records, results, trigger, until
from tests.integration.actors.test_supervisor import kill_all_tasks


def warning(name: str) -> GuardTrigger:
    return trigger("ann", trigger_id=name, severity=Severity.WARNING)


async def test_a_trigger_older_than_the_names_that_are_known_opens_a_new_episode(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann")
    await liquidate(local, warning("old"))
    await liquidate(local, warning("new"))
    names = Journal.finished_names
    monkeypatch.setattr(Journal, "finished_names", lambda journal: names(journal, 1))
    await local.stage.kill_account("ann")
    local.another_life()
    broker = local.stage.broker("ann")
    broker.add(9)
    (known,) = await liquidate(local, warning("new"))
    assert (known.closed, set(broker.open)) == (0, {9})
    (anew,) = await liquidate(local, warning("old"))
    assert {r.ticket for r in results(anew)} == {1, 2, 3, 9}, "its key keeps what it was told"
    assert broker.open == {}
    assert len(await records(local, EventType.POSITION_CLOSED)) == 4
    assert [order.ticket for order in broker.sent].count(1) == 1, "nothing is closed twice"


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_only_the_dead_knew_is_at_the_broker_and_on_record_once_its_trigger_comes_again(
    away: Local, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    if is_late:  # as if it came when no life that died could have begun it
        monkeypatch.setattr("engine.predecessor._CLOCKS_DIFFER_US", -(10**15))
    submitting = asyncio.create_task(away.supervisor.submit([warning("t")]))
    broker = away.stage.broker("ann")
    await until(lambda: not broker.open)
    await kill_all_tasks()
    await away.stage.kill_account("ann")
    assert submitting.cancelled(), "nobody was told that the trigger was accepted"
    away.stage.local_audit.failures = 0
    away.another_life()
    await liquidate(away, warning("another"))
    assert [deal.entry for deal in broker.deals].count(DealEntry.OUT) == 3
    assert await records(away, EventType.POSITION_CLOSED) == []
    (report,) = await liquidate(away, warning("t"))
    told = {(r.ticket, r.outcome) for r in results(report)}
    assert told == {(ticket, Outcome.DONE) for ticket in (1, 2, 3)}, "known by their tags"
    assert len(await records(away, EventType.POSITION_CLOSED)) == len(broker.sent) == 3


async def test_a_life_that_begins_while_the_journal_is_away_waits_for_its_number(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann")
    audit = local.stage.local_audit
    open_streams, refused, is_away = audit.open_streams, [0], [True]

    async def away_for_a_while(owners: Sequence[str]) -> tuple[OpenedStream, ...]:
        if is_away[0]:
            refused[0] += 1
            raise ActorLost("the audit is away")
        return await open_streams(owners)

    monkeypatch.setattr(audit, "open_streams", away_for_a_while)
    await local.stage.kill_account("ann")
    await local.supervisor.submit([warning("t")])
    await until(lambda: refused[0] >= 3)
    assert local.stage.broker("ann").sent == []
    is_away[0] = False
    (report,) = await local.supervisor.reports(["t"])
    assert (report.state, report.closed) == (EpisodeState.FLAT, 3)


async def test_a_refused_trigger_is_no_episode_and_may_come_again_in_order(local: Local) -> None:
    await local.add("ann")
    good = warning("t")
    with pytest.raises(TriggerRefused):
        await local.supervisor.submit(
            [replace(good, triggered_at=good.triggered_at.replace(year=2001))]
        )
    assert await records(local, EventType.TRIGGER_ACCEPTED) == []
    assert len(local.stage.broker("ann").open) == 3
    (report,) = await liquidate(local, good)
    assert (report.state, report.closed) == (EpisodeState.FLAT, 3)


async def test_who_observes_sends_and_cancels_nothing_and_leaves_residuals(local: Local) -> None:
    local.another_life(mode="observe", sweep_first_s=60.0)
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.pending[50] = PendingOrder(50, "EURUSD", Side.LONG, 1.0, 1.0)
    (report,) = await liquidate(local, trigger("ann", trigger_id="t"))
    assert (report.state, report.failed) == (EpisodeState.RESIDUAL, 3)
    assert (broker.sent, broker.cancels, len(broker.open)) == ([], [], 3)
    assert len(await records(local, EventType.POSITION_CLOSED)) == 3, "what it decided is on record"


async def test_specifications_of_accounts_are_in_no_record(local: Local) -> None:
    """Their options may hold secrets: whoever starts the next engine gives them again."""
    await local.add("ann")
    await liquidate(local, warning("t"))
    written = [str(record) for record in await records(local)]
    assert len(written) > 5
    assert not [text for text in written if "local_stage" in text]


@pytest.mark.parametrize(
    "trouble", [ConnectionRefusedError("the gateway restarts"), RuntimeError("session expired")]
)
async def test_a_connect_that_raises_whatever_is_tried_again(
    local: Local, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    await local.add("ann")
    broker = local.stage.broker("ann")
    real, troubles = broker.connect, [trouble]

    async def connect() -> AccountState:
        if troubles:
            raise troubles.pop()
        return await real()

    monkeypatch.setattr(broker, "connect", connect)
    await local.stage.kill_account("ann")
    (report,) = await liquidate(local, warning("t"))
    assert report.state is EpisodeState.FLAT
    assert (broker.open, troubles) == ({}, [])


async def test_what_an_account_holds_is_handed_over_though_it_cannot_disconnect(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann")

    async def disconnect() -> None:
        raise ConnectionResetError("the link is down")

    monkeypatch.setattr(local.stage.broker("ann"), "disconnect", disconnect)
    await local.supervisor.remove_account("ann")
    closed = await records(local, EventType.STREAM_CLOSED)
    assert [record.user_id for record in closed] == ["ann"]
