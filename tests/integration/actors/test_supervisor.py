"""The supervisor's promises, without Ray."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.messages import EpisodeReport, EpisodeState, Term, WatchReply
from actors.refusing import EngineStopping
from actors.supervisor import Supervisor
from audit.chain import SealedRecord
from audit.closes import result_of
from audit.queries import RecordQuery
from audit.receipts import AppendReceipt
from audit.records import AuditRecord, EventType
from engine.clock_quality import system_quality
from engine.errors import IdempotencyConflict, UnknownAccount
from engine.mandates import DirectClose
from engine.models import (
    BulkCloseResult,
    CloseResult,
    GuardTrigger,
    GuardType,
    PositionRef,
    Severity,
)
from engine.outcomes import Outcome, Verdict
from tests.integration.actors.conftest import Local
from tests.scripted_broker import ScriptedBroker, fill, say


def trigger(user_id: str, **more: object) -> GuardTrigger:
    return GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", **more)  # type: ignore[arg-type]


async def kill_all_tasks() -> None:
    """End whatever the supervisor is doing, at whatever await it stands."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def bulk(report: EpisodeReport) -> BulkCloseResult:
    result: BulkCloseResult = pickle.loads(report.results)
    return result


async def liquidate(local: Local, *triggers: GuardTrigger) -> list[EpisodeReport]:
    return await local.supervisor.reports(await local.supervisor.submit(triggers))


async def records(local: Local, *kinds: EventType) -> list[AuditRecord]:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.records, RecordQuery(event_types=kinds))


async def test_a_trigger_makes_its_account_flat_and_every_close_is_on_disk(local: Local) -> None:
    await local.add("ann", "bob")
    (report,) = await liquidate(local, trigger("ann"))
    assert (report.state, report.closed, report.failed, report.durable) == (
        EpisodeState.FLAT,
        3,
        0,
        True,
    )
    assert local.stage.broker("ann").open == {}
    assert len(local.stage.broker("bob").open) == 3
    closes = await records(local, EventType.POSITION_CLOSED)
    stored = sorted((result_of(r) for r in closes), key=lambda r: r.ticket)
    given = sorted(bulk(report).results, key=lambda r: r.ticket)
    assert [r.close_id for r in stored] == [r.close_id for r in given]
    assert [r.pnl for r in stored] == [r.pnl for r in given]
    audit = local.stage.local_audit
    assert await audit.run(audit.actor.verify) is None


async def test_no_account_waits_for_another(local: Local) -> None:
    await local.add("slow", "quick")
    hold = threading.Event()

    def hang(broker: ScriptedBroker, order: object) -> object:
        assert hold.wait(10)
        return say(Verdict.OPERATOR)(broker, order)  # type: ignore[arg-type]

    local.stage.broker("slow").script.append(hang)  # type: ignore[arg-type]
    slow_id, quick_id = await local.supervisor.submit([trigger("slow"), trigger("quick")])
    (quick,) = await asyncio.wait_for(local.supervisor.reports([quick_id]), 5)
    assert quick.state is EpisodeState.FLAT
    hold.set()
    (slow,) = await local.supervisor.reports([slow_id])
    assert slow.state is EpisodeState.RESIDUAL


async def test_the_same_trigger_is_one_episode(local: Local) -> None:
    await local.add("ann")
    first = trigger("ann", trigger_id="t-1")
    again = trigger("ann", trigger_id="t-1")
    reports = await liquidate(local, first)
    reports += await liquidate(local, again)
    assert reports[0] == reports[1]
    assert len(local.stage.broker("ann").sent) == 3
    assert len(await records(local, EventType.TRIGGER_ACCEPTED)) == 1
    with pytest.raises(IdempotencyConflict, match="'t-1'"):
        await local.supervisor.submit([trigger("ann", trigger_id="t-1", positions=())])


async def test_an_unknown_account_refuses_the_whole_submission(local: Local) -> None:
    await local.add("ann")
    with pytest.raises(UnknownAccount, match="'ghost'"):
        await local.supervisor.submit([trigger("ann"), trigger("ghost")])
    assert len(local.stage.broker("ann").open) == 3


async def test_an_empty_scope_closes_nothing_and_is_flat(local: Local) -> None:
    await local.add("ann")
    (report,) = await liquidate(local, trigger("ann", positions=()))
    assert (report.state, report.closed) == (EpisodeState.FLAT, 0)
    assert len(local.stage.broker("ann").open) == 3


async def test_a_position_that_stays_open_is_a_residual_that_says_so(local: Local) -> None:
    await local.add("ann")
    local.stage.broker("ann").script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    (report,) = await liquidate(local, trigger("ann"))
    assert (report.state, report.closed, report.failed) == (EpisodeState.RESIDUAL, 2, 1)
    (finished,) = await records(local, EventType.EPISODE_FINISHED)
    assert (finished.outcome, finished.meta_data["residual"]) == ("residual", 1)


@pytest.mark.parametrize("loss", ["close", "close:reply"])
async def test_a_lost_call_is_made_again_in_the_same_life(local: Local, loss: str) -> None:
    await local.add("ann")
    link = local.stage.links["ann"]
    link.losses.append(loss)
    (report,) = await liquidate(local, trigger("ann"))
    assert report.state is EpisodeState.FLAT
    assert local.stage.broker("ann").open == {}
    assert len(local.stage.broker("ann").sent) == 3
    assert [a.opened.incarnation for a in link.activations] == [1]


async def test_a_killed_actor_gets_a_new_life_and_closes_nothing_twice(local: Local) -> None:
    await local.add("ann")
    first = local.stage.links["ann"]
    hold, entered = threading.Event(), threading.Event()

    def hang(broker: ScriptedBroker, order: object) -> object:
        entered.set()
        assert hold.wait(10)
        return fill()(broker, order)  # type: ignore[arg-type]

    local.stage.broker("ann").script.append(hang)  # type: ignore[arg-type]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await asyncio.to_thread(entered.wait, 10)
    await local.stage.kill_account("ann")
    hold.set()
    async with asyncio.timeout(20):
        (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.FLAT
    assert local.stage.broker("ann").open == {}
    assert len({order.ticket for order in local.stage.broker("ann").sent}) == 3
    (second,) = local.stage.links["ann"].activations
    assert second.opened.incarnation == 2
    assert not second.opened.predecessor_ended_cleanly
    assert second.opened.predecessor_process == first.process


async def test_a_failing_audit_holds_up_no_close_and_loses_no_record(local: Local) -> None:
    await local.add("ann")
    local.stage.local_audit.failures = 3
    began = asyncio.get_running_loop().time()
    task = asyncio.create_task(local.supervisor.submit([trigger("ann", trigger_id="t")]))
    while local.stage.broker("ann").open:  # noqa: ASYNC110  # another thread empties it
        await asyncio.sleep(0.005)
    flat_after = asyncio.get_running_loop().time() - began
    (report,) = await local.supervisor.reports(await task)
    assert flat_after < report_delay(report), "flat before its trigger was on disk"
    assert report.durable
    assert len(await records(local, EventType.POSITION_CLOSED)) == 3


def report_delay(report: EpisodeReport) -> float:
    assert report.durable_us is not None
    return (report.durable_us - report.accepted_us) / 1e6


async def test_results_of_many_accounts_ride_together(local: Local) -> None:
    await local.add(*(f"user-{n}" for n in range(20)))
    local.stage.local_audit.batches.clear()
    await liquidate(local, *(trigger(f"user-{n}") for n in range(20)))
    batches = local.stage.local_audit.batches
    assert sum(batches) == 20 + 20 + 20 + 20 * 3, "triggers, locks, ends and closes"
    assert len(batches) < 20


async def test_a_supervisor_in_its_next_life_finishes_what_was_open(local: Local) -> None:
    await local.add("ann")
    hold = threading.Event()

    def hang(broker: ScriptedBroker, order: object) -> object:
        hold.wait(10)
        return fill()(broker, order)  # type: ignore[arg-type]

    local.stage.broker("ann").script.append(hang)  # type: ignore[arg-type]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await kill_all_tasks()
    hold.set()
    (report,) = await local.another_life().reports(["t"])
    assert report.state is EpisodeState.FLAT
    assert local.stage.broker("ann").open == {}


def direct(user_id: str, ticket: int, key: str | None = None, call: str = "call-1") -> DirectClose:
    where = (PositionRef(str(ticket), ticket),)
    return DirectClose(call, user_id, "by hand", where, key or str(ticket))


async def close(local: Local, mandate: DirectClose) -> CloseResult:
    results, durable = await local.supervisor.close(mandate)
    assert durable
    bulk: BulkCloseResult = pickle.loads(results)
    (result,) = bulk.results
    return result


async def test_a_direct_close_is_an_episode_and_recorded_before_it_returns(local: Local) -> None:
    await local.add("ann")
    result = await close(local, direct("ann", 1))
    assert result.outcome is Outcome.DONE
    assert await close(local, direct("ann", 1, call="call-2")) == result
    assert len(await records(local, EventType.POSITION_CLOSED)) == 1
    assert len(await records(local, EventType.CLOSE_ACCEPTED)) == 2
    assert len(await records(local, EventType.EPISODE_FINISHED)) == 2


async def test_a_direct_close_with_a_used_key_and_another_ticket_is_refused(local: Local) -> None:
    await local.add("ann")
    await close(local, direct("ann", 1, "key"))
    other = DirectClose("call-2", "ann", "by hand", (PositionRef("1", 2),), "key")
    with pytest.raises((IdempotencyConflict, ValueError)):
        await local.supervisor.close(other)
    assert len(local.stage.broker("ann").sent) == 1
    assert len(await records(local, EventType.EPISODE_FINISHED)) == 2


async def test_shutdown_releases_accounts_and_says_so(local: Local) -> None:
    await local.add("ann")
    await local.supervisor.shutdown()
    assert local.stage.ended == ["ann"]
    kinds = [r.event_type for r in await records(local)]
    assert EventType.STREAM_CLOSED in kinds
    assert kinds[-1] is EventType.ENGINE_STOPPED


async def test_the_same_trigger_id_for_two_accounts_is_a_conflict(local: Local) -> None:
    await local.add("ann", "bob")
    with pytest.raises(IdempotencyConflict, match="'T1'"):
        await local.supervisor.submit(
            [trigger("ann", trigger_id="T1"), trigger("bob", trigger_id="T1")]
        )
    assert len(local.stage.broker("ann").open) == len(local.stage.broker("bob").open) == 3


async def test_the_first_order_waits_for_the_triggers_entry_on_disk(local: Local) -> None:
    patient = local.config.model_copy(update={"journal_wait_s": 30.0})
    local.supervisor = Supervisor(local.stage, patient, "test")
    await local.add("ann")
    released = asyncio.Event()
    audit = local.stage.local_audit
    append = audit.append

    async def held(batch: Sequence[SealedRecord]) -> AppendReceipt:
        await released.wait()
        assert local.stage.broker("ann").sent == []
        audit.append = append  # type: ignore[method-assign]
        return await append(batch)

    audit.append = held  # type: ignore[method-assign]
    task = asyncio.create_task(local.supervisor.submit([trigger("ann", trigger_id="t")]))
    await asyncio.sleep(0.2)
    released.set()
    async with asyncio.timeout(10):
        await task
        (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.FLAT


async def test_to_stop_watching_loses_neither_records_nor_a_trigger(local: Local) -> None:
    # A slice of watching is under way when the guards are stopped.
    await local.add("ann")
    broker, link = local.stage.broker("ann"), local.stage.links["ann"]
    in_slice, go_on = threading.Event(), threading.Event()
    watch = link.actor.watch

    def slow(term: Term, slice_s: float) -> WatchReply:
        watch(term, slice_s)
        in_slice.set()
        assert go_on.wait(10)
        broker.account_state = replace(broker.account_state, equity=850.0)
        warned = watch(term, slice_s)
        broker.account_state = replace(broker.account_state, equity=500.0)
        tripped = watch(term, slice_s)
        return replace(tripped, records=warned.records + tripped.records)

    link.actor.watch = slow  # type: ignore[method-assign]
    await local.supervisor.watch(None)
    while not in_slice.is_set():  # noqa: ASYNC110  # another thread sets it
        await asyncio.sleep(0.005)
    stopping = asyncio.create_task(local.supervisor.unwatch(None))
    await asyncio.sleep(0.02)
    go_on.set()
    async with asyncio.timeout(10):
        await stopping
        while broker.open:  # noqa: ASYNC110  # another thread closes
            await asyncio.sleep(0.005)
    await local.supervisor.shutdown()
    assert len(await records(local, EventType.GUARD_ALERT)) == 1
    audit = local.stage.local_audit
    assert await audit.run(audit.actor.verify) is None


async def test_guards_watch_on_in_the_supervisors_next_life(local: Local) -> None:
    await local.add("ann", "bob")
    await local.supervisor.watch(["ann"])
    await kill_all_tasks()
    states = {a.user_id: a.state for a in (await local.another_life().status()).accounts}
    assert states == {"ann": "watching", "bob": "idle"}
    await local.supervisor.unwatch(None)
    states = {a.user_id: a.state for a in (await local.another_life().status()).accounts}
    assert states == {"ann": "idle", "bob": "idle"}


async def test_a_trigger_during_shutdown_is_refused_and_waiting_episodes_stay_open(
    local: Local,
) -> None:
    await local.add("ann")
    local.stage.broker("ann").script += [say(Verdict.MARKET_CLOSED, 10018, "closed")]
    mandate = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    await local.supervisor.submit([mandate])
    waiting = local.supervisor._episodes._episodes["t"]
    async with asyncio.timeout(10):
        while waiting.state is not EpisodeState.WAITING:  # noqa: ASYNC110  # a thread brings it
            await asyncio.sleep(0.005)
        await local.supervisor.shutdown()
    with pytest.raises(EngineStopping):
        await local.supervisor.submit([trigger("ann")])
    audit = local.stage.local_audit
    (still_open,) = await audit.run(audit.actor.open_episodes)
    assert still_open.trigger_id == "t"


async def test_the_clock_is_recorded_with_each_beginning(local: Local) -> None:
    await local.add("ann")
    begun = await records(local, EventType.ENGINE_STARTED, EventType.STREAM_OPENED)
    assert {record.event_type for record in begun} == {
        EventType.ENGINE_STARTED,
        EventType.STREAM_OPENED,
    }
    for record in begun:
        clock = record.meta_data["clock"]
        assert set(clock) == {"source", "error_bound_us"}
        assert clock["source"] == system_quality().source
