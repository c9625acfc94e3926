"""A supervisor's next life takes up actors as they are, and waits for none of them."""

from __future__ import annotations

import asyncio

import pytest

from actors.messages import EpisodeState
from audit.records import EventType
from engine.models import GuardTrigger, GuardType, PositionRef
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import Held, records, results, until
from tests.integration.actors.test_supervisor import kill_all_tasks
from tests.scripted_broker import say


def trigger(user_id: str, *tickets: int) -> GuardTrigger:
    return GuardTrigger(
        user_id,
        GuardType.DRAWDOWN,
        "equity fell",
        positions=tuple(PositionRef(str(ticket), ticket) for ticket in tickets) or None,
        trigger_id=f"t-{user_id}",
    )


async def begin_and_die(local: Local, doomed: GuardTrigger, state: EpisodeState) -> None:
    """Let the supervisor die when ``doomed`` is in ``state``, before anything is on disk."""
    audit = local.stage.local_audit
    audit.failures = 10**9
    submitting = asyncio.create_task(local.supervisor.submit([doomed]))
    await until(lambda: doomed.trigger_id in local.supervisor._episodes._episodes)
    episode = local.supervisor._episodes._episodes[doomed.trigger_id]
    await until(lambda: episode.reply is not None and episode.state is state)
    await kill_all_tasks()
    assert submitting.cancelled()
    audit.failures = 0


async def test_a_busy_account_is_adopted_without_being_waited_for(local: Local) -> None:
    await local.add("ann", "bob")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann")])
    await held.reached()
    await kill_all_tasks()
    supervisor = local.another_life()
    try:
        async with asyncio.timeout(5):
            assert sorted(await supervisor.accounts()) == ["ann", "bob"]
            await supervisor.submit([trigger("bob")])
            (bob,) = await supervisor.reports(["t-bob"])
        assert bob.state is EpisodeState.FLAT
        assert len(local.stage.broker("ann").sent) == 1, "it is still in its first order"
    finally:
        held.go_on.set()
    async with asyncio.timeout(10):
        (ann,) = await supervisor.reports(["t-ann"])
    assert (ann.state, ann.closed) == (EpisodeState.FLAT, 3)
    assert [order.ticket for order in local.stage.broker("ann").sent] == [1, 2, 3]
    assert [a.opened.incarnation for a in local.stage.links["ann"].activations] == [1]
    assert [a.opened.incarnation for a in local.stage.links["bob"].activations] == [1]


async def test_another_configuration_begins_new_lives_that_close_nothing_twice(
    local: Local,
) -> None:
    await local.add("ann")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann")])
    await held.reached()
    await kill_all_tasks()
    supervisor = local.another_life(most_attempts=3)
    held.go_on.set()
    async with asyncio.timeout(10):
        (ann,) = await supervisor.reports(["t-ann"])
    assert ann.state is EpisodeState.FLAT
    assert sorted(order.ticket for order in local.stage.broker("ann").sent) == [1, 2, 3]
    assert [a.opened.incarnation for a in local.stage.links["ann"].activations] == [1, 2]


async def test_what_an_adopted_account_holds_gets_on_disk_though_it_never_answers_again(
    local: Local,
) -> None:
    await local.add("ann")
    await begin_and_die(local, trigger("ann"), EpisodeState.CLOSING)
    local.stage.links["ann"].losses += ["exposure"] * 100
    supervisor = local.another_life()
    assert await supervisor.accounts() == ["ann"]
    await until(lambda: not supervisor._recovering)
    await supervisor._outbox.drained()
    closed = await records(local, EventType.POSITION_CLOSED)
    assert {record.ticket for record in closed} == {1, 2, 3}


async def test_a_name_whose_mandate_died_unwritten_covers_what_its_next_mandate_says(
    local: Local,
) -> None:
    await local.add("ann")
    await begin_and_die(local, trigger("ann", 1), EpisodeState.CLOSING)
    assert set(local.stage.broker("ann").open) == {2, 3}
    supervisor = local.another_life()
    async with asyncio.timeout(10):
        (report,) = await supervisor.reports(await supervisor.submit([trigger("ann")]))
    assert (report.state, local.stage.broker("ann").open) == (EpisodeState.FLAT, {})
    assert {result.ticket for result in results(report)} == {1, 2, 3}
    assert [order.ticket for order in local.stage.broker("ann").sent] == [1, 2, 3]


async def test_what_waited_for_a_mandate_that_died_unwritten_is_not_closed_for_another(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.another_life(session_probe_s=0.05)
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.script += [say(Verdict.MARKET_CLOSED, 10018, "closed")] * 3
    await begin_and_die(local, trigger("ann"), EpisodeState.WAITING)
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.05)
    supervisor = local.another_life()
    async with asyncio.timeout(10):
        (report,) = await supervisor.reports(await supervisor.submit([trigger("ann", 1)]))
    assert (report.state, set(broker.open)) == (EpisodeState.FLAT, {2, 3})
    assert {result.ticket for result in results(report)} == {1}
