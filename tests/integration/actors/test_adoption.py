"""A supervisor's next life takes up actors as they are, and waits for none of them."""

from __future__ import annotations

import asyncio

from actors.messages import EpisodeState
from engine.models import GuardTrigger, GuardType
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import Held
from tests.integration.actors.test_supervisor import kill_all_tasks


def trigger(user_id: str) -> GuardTrigger:
    return GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", trigger_id=f"t-{user_id}")


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
