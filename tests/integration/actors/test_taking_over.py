"""A supervisor's next life takes over what is unfinished, once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.links import ActorLost
from actors.messages import EpisodeState
from audit.receipts import AccountLock, OpenEpisode
from audit.records import EventType
from engine.brokers.port import AccountState, Position
from engine.models import Severity
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import Held
from tests.integration.actors.test_lockout import locked_by, records, trigger, until
from tests.integration.actors.test_supervisor import kill_all_tasks
from tests.scripted_broker import say

CLOSED = say(Verdict.MARKET_CLOSED, 10018, "closed")


async def until_waiting(local: Local, name: str) -> None:
    waiting = local.supervisor._episodes._episodes[name]
    await until(lambda: waiting.state is EpisodeState.WAITING)


@pytest.mark.parametrize("call", ["locks", "open_episodes"])
async def test_a_start_that_breaks_in_the_middle_leaves_nothing_at_work(
    local: Local, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    await local.add("ann")
    local.stage.broker("ann").script += [CLOSED]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await until_waiting(local, "t")
    await kill_all_tasks()

    async def away() -> tuple[AccountLock, ...]:
        raise ActorLost("the audit is away")

    supervisor = local.another_life(sweep_first_s=60.0)
    with monkeypatch.context() as broken:
        broken.setattr(local.stage.local_audit, call, away)
        before = asyncio.all_tasks()
        with pytest.raises(ActorLost):
            await supervisor.accounts()
        assert asyncio.all_tasks() == before, "a second try would set a second set to work"
    (report,) = await supervisor.reports(["t"])
    assert (report.state, report.closed) == (EpisodeState.FLAT, 3)


async def test_an_acceptance_that_cannot_be_read_stops_no_other_and_is_an_alarm(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann", "bob")
    for user_id in ("ann", "bob"):
        local.stage.broker(user_id).script += [CLOSED]
        await local.supervisor.submit([trigger(user_id, trigger_id=f"t-{user_id}")])
        await until_waiting(local, f"t-{user_id}")
    await kill_all_tasks()
    audit, real = local.stage.local_audit, local.stage.local_audit.open_episodes

    async def damaged() -> tuple[OpenEpisode, ...]:
        return tuple(
            replace(one, body=b"{}") if one.trigger_id == "t-ann" else one for one in await real()
        )

    monkeypatch.setattr(audit, "open_episodes", damaged)
    supervisor = local.another_life(sweep_first_s=60.0)
    (report,) = await supervisor.reports(["t-bob"])
    assert report.state is EpisodeState.FLAT
    (alarm,) = [a for a in (await supervisor.status()).alarms if "cannot be read" in a]
    assert "t-ann" in alarm


async def test_an_episode_whose_account_was_released_is_not_taken_up_to_close(
    local: Local,
) -> None:
    local.another_life(session_probe_s=30.0)
    await local.add("ann", positions=2)
    broker = local.stage.broker("ann")
    broker.script += [CLOSED, CLOSED]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await until_waiting(local, "t")
    local.supervisor._episodes.suspend()  # it dies right after the release is on disk
    await asyncio.sleep(0)
    assert await local.supervisor.release("ann", "pat")
    await kill_all_tasks()
    broker.add(77)
    sent = len(broker.sent)
    supervisor = local.another_life()
    (report,) = await supervisor.reports(["t"])
    assert (report.state, "released" in (report.error or "")) == (EpisodeState.RESIDUAL, True)
    assert (set(broker.open), len(broker.sent)) == ({1, 2, 77}, sent)
    assert await locked_by(local, "ann") is None


async def test_a_release_does_not_stop_an_episode_that_is_at_work(local: Local) -> None:
    await local.add("ann")
    broker = local.stage.broker("ann")
    held = Held(broker)
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await held.reached()
    assert await local.supervisor.release("ann", "pat")
    held.go_on.set()
    (report,) = await local.supervisor.reports(["t"])
    assert (report.state, report.closed, broker.open) == (EpisodeState.FLAT, 3, {})


async def test_a_warnings_episode_goes_on_though_its_account_was_released(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.another_life(session_probe_s=30.0, sweep_first_s=60.0)
    await local.add("ann", positions=2)
    broker = local.stage.broker("ann")
    broker.script += [CLOSED, CLOSED, CLOSED, CLOSED]
    await local.supervisor.submit([trigger("ann", trigger_id="w", severity=Severity.WARNING)])
    await until_waiting(local, "w")
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await until_waiting(local, "t")
    local.supervisor._episodes.suspend()
    await asyncio.sleep(0)
    assert await local.supervisor.release("ann", "pat")
    await kill_all_tasks()
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.05)
    (warned, tripped) = await local.another_life(session_probe_s=0.05).reports(["w", "t"])
    assert (warned.state, warned.closed, broker.open) == (EpisodeState.FLAT, 2, {})
    assert len(pickle.loads(warned.results).results) == 2
    assert "released" in (tripped.error or "")


async def test_a_life_begins_though_the_one_before_cannot_disconnect(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.add("ann")

    async def disconnect() -> None:
        raise ConnectionResetError("the link is down")

    monkeypatch.setattr(local.stage.broker("ann"), "disconnect", disconnect)
    local.another_life(journal_wait_s=0.5)  # another configuration: its accounts begin anew
    local.config = local.config.model_copy(update={"settle_window_s": 0.3})
    supervisor = local.another_life()
    (report,) = await supervisor.reports(await supervisor.submit([trigger("ann", trigger_id="t")]))
    assert report.state is EpisodeState.FLAT
    assert len(await records(local, EventType.STREAM_OPENED)) == 2
    assert len(local.stage.links["ann"].activations) == 2, "in the same process"


async def test_a_life_that_could_not_begin_lets_go_of_its_connection(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = local.stage.broker("ann")
    seen: list[str] = []
    connect, disconnect = broker.connect, broker.disconnect

    async def connected() -> AccountState:
        seen.append("connect")
        return await connect()

    async def disconnected() -> None:
        seen.append("disconnect")
        await disconnect()

    async def unreadable(position_id: int | None = None) -> Sequence[Position]:
        raise RuntimeError("a bug in the broker's code")

    monkeypatch.setattr(broker, "connect", connected)
    monkeypatch.setattr(broker, "disconnect", disconnected)
    monkeypatch.setattr(broker, "positions", unreadable)
    with pytest.raises(Exception, match="a bug in the broker's code"):
        await local.add("ann", positions=0)
    assert seen == ["connect", "disconnect"]


@pytest.mark.parametrize("what", ["exposure", "revive"])
async def test_what_waits_for_an_account_outlives_whatever_it_raises(
    local: Local, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await local.add("ann")
    roster = local.supervisor._roster
    troubles: list[Exception] = [RuntimeError("odd"), OSError("odder")]
    if what == "exposure":
        broker = local.stage.broker("ann")
        real = broker.pending_orders

        async def pending() -> object:
            if troubles:
                raise troubles.pop()
            return await real()

        monkeypatch.setattr(broker, "pending_orders", pending)
        life = roster["ann"].incarnation
        assert await local.supervisor._episodes.leftovers.collected("ann", life, 20.0)
    else:
        revive = roster.revive

        async def reviving(user_id: str) -> None:
            if troubles:
                raise troubles.pop()
            await revive(user_id)

        monkeypatch.setattr(roster, "revive", reviving)
        roster["ann"].is_lost = True
        await local.supervisor.watch(["ann"])
        async with asyncio.timeout(10):
            await until(lambda: not roster["ann"].is_lost)
        assert local.supervisor._watching.state("ann") == "watching"
        await local.supervisor.unwatch(None)
    assert not troubles
