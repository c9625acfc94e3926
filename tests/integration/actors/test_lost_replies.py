"""Replies that are lost, an audit that takes nothing, accounts that go and come: nothing is lost
with them, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
import ray.exceptions

from actors import ray_stage
from actors.links import ActorLost
from actors.messages import EpisodeState, WatchReply
from audit.records import EventType
from engine.brokers.port import Quote
from engine.errors import UnknownAccount
from engine.models import Severity
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.local_stage import LocalAccount, spec
from tests.integration.actors.test_exactly_once import liquidate, records, results, trigger, until
from tests.scripted_broker import say


async def test_a_gap_whose_reply_was_lost_is_told_again(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann")
    broker, link = local.stage.broker("ann"), local.stage.links["ann"]
    price = [1.1]

    async def quote(symbol: str) -> Quote:
        return Quote(symbol, price[0] - 0.0001, price[0] + 0.0001, 0)

    monkeypatch.setattr(broker, "quote", quote)
    call = link._call
    calm: list[WatchReply] = []
    lost: list[WatchReply] = []

    async def lossy(name: str, *arguments: Any) -> Any:
        answer = await call(name, *arguments)
        if name == "watch" and answer.trigger is None:
            calm.append(answer)
        elif name == "watch" and not lost:
            lost.append(answer)
            raise ActorLost("the reply was lost")
        return answer

    monkeypatch.setattr(link, "_call", lossy)
    await local.supervisor.watch(["ann"])
    await until(lambda: bool(calm))
    price[0] = 0.9
    await until(lambda: bool(lost) and not broker.open)
    await until(lambda: bool(local.supervisor._watching.trigger_ids))
    assert local.supervisor._watching.trigger_ids == [lost[0].trigger.trigger_id]


@pytest.mark.parametrize(
    "kind", ["ObjectLostError", "OwnerDiedError", "OutOfMemoryError", "NodeDiedError"]
)
async def test_whatever_ray_loses_the_outcome_is_unknown_and_found_out(
    local: Local, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    error = getattr(ray.exceptions, kind)
    await local.add("ann")
    link = local.stage.links["ann"]
    call = link._call
    lost: list[str] = []

    async def lossy(name: str, *arguments: Any) -> Any:
        if name != "close" or lost:
            return await call(name, *arguments)
        lost.append(name)

        async def act_and_lose() -> None:
            await call(name, *arguments)
            raise error("x", "y", "z") if "O" in kind[:2] and "Mem" not in kind else error("lost")

        made: Awaitable[None] = act_and_lose()
        return await ray_stage.answer(made)

    monkeypatch.setattr(link, "_call", lossy)
    (report,) = await liquidate(local, trigger("ann", severity=Severity.WARNING))
    assert lost == ["close"]
    assert (report.state, report.closed) == (EpisodeState.FLAT, 3)
    assert len(local.stage.broker("ann").sent) == 3


async def test_an_end_goes_on_record_though_nothing_more_of_accounts_is_taken(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann", positions=8)
    monkeypatch.setattr("actors.outbox.MOST_HELD", 5)
    local.stage.local_audit.failures = 4
    await local.supervisor.submit([trigger("ann", trigger_id="t", severity=Severity.WARNING)])
    (report,) = await local.supervisor.reports(["t"])
    assert (report.state, report.durable) == (EpisodeState.FLAT, False)
    local.stage.broker("ann").add(9)
    (report,) = await liquidate(local, trigger("ann", trigger_id="u", severity=Severity.WARNING))
    assert report.state is EpisodeState.FLAT
    await local.supervisor._outbox.drained()
    assert await local.stage.local_audit.open_episodes() == ()


async def test_an_episode_goes_on_when_its_account_is_added_again(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.05)
    local.another_life(session_probe_s=0.05)
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.script += [say(Verdict.MARKET_CLOSED, 10018, "closed")] * 3
    await local.supervisor.submit([trigger("ann", trigger_id="t", severity=Severity.WARNING)])
    waiting = local.supervisor._episodes._episodes["t"]
    await until(lambda: waiting.state is EpisodeState.WAITING)
    await local.supervisor.remove_account("ann")
    await until(lambda: not local.supervisor._episodes.open_count)
    with pytest.raises(UnknownAccount, match=r"'ann', which was removed: add_account\(\)"):
        await local.supervisor.reports(["t"])
    await local.supervisor.add_accounts([spec("ann")])
    (report,) = await local.supervisor.reports(["t"])
    assert (report.state, broker.open) == (EpisodeState.FLAT, {})


async def test_a_shutdown_ends_though_the_journal_is_away(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.supervisor.LONGEST_FAREWELL_S", 0.2)
    monkeypatch.setattr("actors.roster.LONGEST_RELEASE_S", 0.2)
    await local.add("ann")
    local.stage.local_audit.failures = 10**9
    warning = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    submitting = asyncio.create_task(local.supervisor.submit([warning]))
    await until(lambda: not local.stage.broker("ann").open)
    async with asyncio.timeout(10):
        await local.supervisor.shutdown()
    assert local.supervisor._outbox.unacknowledged > 0
    local.stage.local_audit.failures = 0
    async with asyncio.timeout(20):
        await submitting


async def test_what_an_idle_account_had_no_room_for_is_asked_for_when_there_is_room(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.leftovers.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("actors.recording.MOST_IN_ONE_GO", 3)
    await local.add("ann", positions=8)
    warning = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    (report,) = await liquidate(local, warning)
    assert (report.state, report.durable) == (EpisodeState.FLAT, False), "some were left behind"
    life = local.stage.links["ann"].actor._host._life
    assert life is not None
    await until(lambda: life._keeper.held == 0)
    closed = await records(local, EventType.POSITION_CLOSED)
    assert {record.ticket for record in closed} == set(range(1, 9))


async def test_what_a_reply_had_no_room_for_is_found_again_when_its_account_dies(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.recording.MOST_IN_ONE_GO", 3)
    await local.add("ann", positions=8)
    local.stage.local_audit.failures = 10**9
    warning = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    submitting = asyncio.create_task(local.supervisor.submit([warning]))
    await until(lambda: "t" in local.supervisor._episodes._episodes)
    episode = local.supervisor._episodes._episodes["t"]
    await until(lambda: episode.reply is not None)
    await local.stage.kill_account("ann")
    local.stage.local_audit.failures = 0
    async with asyncio.timeout(20):
        await submitting
        (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.FLAT
    assert len(local.stage.broker("ann").sent) == 8, "nothing is closed twice"
    closed = await records(local, EventType.POSITION_CLOSED)
    assert {record.ticket for record in closed} == set(range(1, 9))
    (later,) = await local.another_life().reports(["t"])
    assert {result.ticket for result in results(later)} == set(range(1, 9))


async def test_who_submits_a_trigger_again_is_told_no_sooner_that_it_is_on_disk(
    local: Local,
) -> None:
    await local.add("ann")
    audit = local.stage.local_audit
    audit.failures = 10**9
    warning = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    first = asyncio.create_task(local.supervisor.submit([warning]))
    await until(lambda: not local.stage.broker("ann").open)
    again = asyncio.create_task(local.supervisor.submit([warning]))
    await asyncio.wait({again}, timeout=0.2)
    assert not again.done(), "the trigger is on no disk yet"
    audit.failures = 0
    async with asyncio.timeout(20):
        assert await first == await again == ["t"]


async def test_a_life_out_of_reach_is_waited_for_though_its_successors_reply_was_lost(
    local: Local,
) -> None:
    await local.add("ann")
    stage, roster = local.stage, local.supervisor._roster
    first = stage.links.pop("ann")  # it lives on, and nobody can prove anything about it
    stage._left.append(first)
    second = await stage.start_account("ann")
    assert isinstance(second, LocalAccount)
    second.losses.append("activate:reply")
    roster["ann"].is_lost = True
    with pytest.raises(ActorLost, match="reply of activate"):
        await roster.revive("ann")
    await roster.revive("ann")
    assert [a.opened.incarnation for a in second.activations] == [2], "it was found alive"
    await stage.kill_account("ann")
    roster["ann"].is_lost = True
    await roster.revive("ann")
    third = stage.links["ann"].activations[-1]
    assert third.opened.predecessor_process == second.process
    await local.supervisor._outbox.drained()
    *_, waits_s = [
        record.meta_data["waits_for_predecessor_s"]
        for record in await records(local, EventType.STREAM_OPENED)
        if record.user_id == "ann"
    ]
    assert waits_s > local.config.lease_s / 2, "the first one's lease is still running"
