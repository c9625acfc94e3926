"""What holds across lives: joined episodes, restarts, locks, silence, leases, closed markets."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from actors.links import ActorLost
from actors.messages import EpisodeReport, EpisodeState
from actors.refusing import TriggerRefused
from audit.closes import result_of
from audit.queries import RecordQuery
from audit.records import AuditRecord, EventType
from engine.brokers.port import ClosedBy, PendingOrder, Side
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


def results(report: EpisodeReport) -> tuple[CloseResult, ...]:
    bulk: BulkCloseResult = pickle.loads(report.results)
    return bulk.results


async def liquidate(local: Local, *triggers: GuardTrigger) -> list[EpisodeReport]:
    async with asyncio.timeout(30):
        return await local.supervisor.reports(await local.supervisor.submit(triggers))


async def records(local: Local, *kinds: EventType) -> list[AuditRecord]:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.records, RecordQuery(event_types=kinds))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # other threads bring it about
            await asyncio.sleep(0.005)


class Held:
    """An order that is held at the broker until a test lets it go."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        broker.script.append(self._hold)  # type: ignore[arg-type]

    def _hold(self, broker: ScriptedBroker, order: object) -> object:
        self.entered.set()
        assert self.go_on.wait(20)
        return fill()(broker, order)  # type: ignore[arg-type]

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 20)


async def test_a_trigger_joins_an_open_episode_and_its_result_covers_its_own_scope(
    local: Local,
) -> None:
    await local.add("ann")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann", trigger_id="first")])
    await held.reached()
    await local.supervisor.submit([trigger("ann", trigger_id="second")])
    held.go_on.set()
    first, second = await local.supervisor.reports(["first", "second"])
    assert len(local.stage.broker("ann").sent) == 3
    assert {r.ticket for r in results(second)} == {1, 2, 3}
    (later,) = await local.another_life().reports(["second"])
    assert [r.close_id for r in results(later)] == [r.close_id for r in results(second)]
    assert sorted(results(first), key=lambda r: r.ticket) == sorted(
        results(second), key=lambda r: r.ticket
    )
    assert len(await records(local, EventType.POSITION_CLOSED)) == 3


async def test_what_failed_is_tried_again_under_the_joining_triggers_own_key(local: Local) -> None:
    await local.add("ann")
    broker = local.stage.broker("ann")
    held = Held(broker)
    broker.script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    await local.supervisor.submit([trigger("ann", trigger_id="first", severity=Severity.WARNING)])
    await held.reached()
    await local.supervisor.submit([trigger("ann", trigger_id="second", severity=Severity.WARNING)])
    held.go_on.set()
    first, second = await local.supervisor.reports(["first", "second"])
    assert (first.state, second.state) == (EpisodeState.RESIDUAL, EpisodeState.FLAT)
    assert broker.open == {}
    assert len(broker.sent) == 4


async def test_an_episode_of_an_earlier_life_is_answered_as_it_was_then(local: Local) -> None:
    await local.add("ann")
    local.stage.broker("ann").script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    (before,) = await liquidate(local, trigger("ann", trigger_id="t", severity=Severity.WARNING))
    local.another_life()
    (after,) = await local.supervisor.reports(["t"])
    told = [pickle.loads(report.results) for report in (before, after)]
    for bulk in told:
        assert isinstance(bulk, BulkCloseResult)
    stored = [result_of(r) for r in await records(local, EventType.POSITION_CLOSED)]
    assert {r.close_id for r in stored} == {r.close_id for r in results(after)}
    for now, then in zip(results(after), results(before), strict=True):
        assert (now.close_id, now.outcome, now.pnl, now.closed_price, now.close_timestamp) == (
            then.close_id,
            then.outcome,
            then.pnl,
            then.closed_price,
            then.close_timestamp,
        )
    assert (after.state, after.closed, after.failed) == (before.state, before.closed, before.failed)


async def test_a_trigger_of_an_earlier_life_opens_nothing(local: Local) -> None:
    await local.add("ann")
    await liquidate(local, trigger("ann", trigger_id="t", severity=Severity.WARNING))
    local.stage.broker("ann").add(9)
    local.another_life()
    (report,) = await liquidate(local, trigger("ann", trigger_id="t"))
    assert {r.ticket for r in results(report)} == {1, 2, 3}
    assert set(local.stage.broker("ann").open) == {9}


async def test_the_same_call_after_all_was_lost_returns_the_identical_result(local: Local) -> None:
    await local.add("ann")
    mandate = DirectClose("call-1", "ann", "by hand", (PositionRef("mine", 1),), "key")
    first, _ = await local.supervisor.close(mandate)
    await local.stage.kill_account("ann")
    local.another_life()
    again = DirectClose("call-2", "ann", "by hand", (PositionRef("mine", 1),), "key")
    async with asyncio.timeout(20):
        second, durable = await local.supervisor.close(again)
    (one,), (two,) = pickle.loads(first).results, pickle.loads(second).results
    assert durable
    assert two.durable
    assert [getattr(one, n) for n in one.__slots__ if n != "durable"] == [
        getattr(two, n) for n in two.__slots__ if n != "durable"
    ]
    assert len(local.stage.broker("ann").sent) == 1
    assert len(await records(local, EventType.POSITION_CLOSED)) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"triggered_at": datetime.now(UTC) - timedelta(hours=1)}, "triggered_at"),
        ({"triggered_at": datetime.now(UTC) + timedelta(hours=1)}, "ahead"),
    ],
)
async def test_stale_and_future_triggers_are_refused_on_record(
    local: Local, changes: dict[str, object], named: str
) -> None:
    await local.add("ann")
    with pytest.raises(TriggerRefused, match=named):
        await local.supervisor.submit([trigger("ann", trigger_id="bad", **changes)])
    assert len(local.stage.broker("ann").open) == 3
    (refused,) = await records(local, EventType.TRIGGER_REFUSED)
    assert refused.trigger_id == "bad"


async def test_a_trigger_with_inputs_that_are_no_numbers_is_refused(local: Local) -> None:
    await local.add("ann")
    bad = trigger("ann", trigger_id="bad")
    object.__setattr__(bad, "inputs", {"equity": float("nan")})
    with pytest.raises(TriggerRefused, match="equity"):
        await local.supervisor.submit([bad])
    assert len(local.stage.broker("ann").open) == 3


async def test_a_critical_episode_locks_and_what_appears_is_swept_until_released(
    local: Local,
) -> None:
    local.another_life(sweep_first_s=0.05, sweep_longest_s=0.1)
    await local.add("ann")
    broker = local.stage.broker("ann")
    await liquidate(local, trigger("ann", trigger_id="t"))
    (account,) = (await local.supervisor.status()).accounts
    assert account.locked_by == "t"
    broker.add(7)
    await until(lambda: not broker.open)
    assert await local.supervisor.release("ann", "pat")
    assert not await local.supervisor.release("ann", "pat")
    broker.add(8)
    await asyncio.sleep(0.4)
    assert set(broker.open) == {8}
    (lock,) = await records(local, EventType.ACCOUNT_LOCKED)
    (released,) = await records(local, EventType.ACCOUNT_RELEASED)
    assert (lock.trigger_id, released.initiator) == ("t", "pat")


async def test_a_lock_outlives_the_supervisor(local: Local) -> None:
    await local.add("ann")
    broker = local.stage.broker("ann")
    await liquidate(local, trigger("ann", trigger_id="t"))
    supervisor = local.another_life(sweep_first_s=0.05, sweep_longest_s=0.1)
    await supervisor.accounts()
    broker.add(7)
    await until(lambda: not broker.open)
    sweeps = [r for r in await records(local, EventType.TRIGGER_ACCEPTED) if r.trigger_id != "t"]
    assert [r.meta_data["inputs"]["sweep"] for r in sweeps] == [1]


async def test_pending_orders_are_cancelled_before_the_first_close(local: Local) -> None:
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.pending[50] = PendingOrder(50, "EURUSD", Side.LONG, 1.0, 1.0)
    cancelled_when: list[list[int]] = []

    def note(broker: ScriptedBroker, order: object) -> object:
        cancelled_when.append(list(broker.cancels))
        return fill()(broker, order)  # type: ignore[arg-type]

    broker.script.append(note)  # type: ignore[arg-type]
    await liquidate(local, trigger("ann"))
    assert cancelled_when == [[50]]
    (cancelled,) = await records(local, EventType.PENDING_CANCELLED)
    assert cancelled.ticket == 50


async def test_an_actor_that_hangs_is_killed_and_its_account_goes_on(local: Local) -> None:
    local.another_life(silence_s=0.5, send_deadline_s=0.4, lease_s=0.3)
    await local.add("ann", "bob")
    held = Held(local.stage.broker("ann"))
    ann, bob = await local.supervisor.submit([trigger("ann"), trigger("bob")])
    async with asyncio.timeout(20):
        (quick,) = await local.supervisor.reports([bob])
        assert quick.state is EpisodeState.FLAT
        await until(lambda: local.stage.killed == ["ann"])
        held.go_on.set()
        (slow,) = await local.supervisor.reports([ann])
    assert slow.state is EpisodeState.FLAT
    assert local.stage.broker("ann").open == {}
    (killed,) = await records(local, EventType.ACTOR_KILLED)
    assert killed.user_id == "ann"


async def test_a_life_whose_number_is_outdated_sends_nothing(local: Local) -> None:
    local.another_life(lease_s=0.2)
    await local.add("ann")
    audit, broker = local.stage.local_audit, local.stage.broker("ann")
    held = Held(broker)
    link = local.stage.links["ann"]
    lives_at_second_order: list[int] = []

    def note(broker: ScriptedBroker, order: object) -> object:
        lives_at_second_order.append(len(link.activations))
        return fill()(broker, order)  # type: ignore[arg-type]

    broker.script.append(note)  # type: ignore[arg-type]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await held.reached()
    # Somebody else has begun a newer life of the account.
    await audit.run(audit.actor.open_streams, ["account:ann"])
    local.supervisor._roster["ann"].incarnation = 2
    await asyncio.sleep(0.3)
    held.go_on.set()
    (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.FLAT
    assert ("ann", 1) in local.stage.renewals
    assert lives_at_second_order == [2], "the outdated life has sent an order"


async def test_an_episode_waits_for_its_market_and_ends_when_it_opens(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.1)
    local.another_life(session_probe_s=0.05)
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.script += [fill(), say(Verdict.MARKET_CLOSED, 10018, "closed")]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    states = set()

    def ended() -> bool:
        state = local.supervisor._episodes._episodes["t"].state
        states.add(state)
        return state.is_final

    await until(ended)
    (report,) = await local.supervisor.reports(["t"])
    assert (report.state, report.closed) == (EpisodeState.FLAT, 3)
    assert EpisodeState.WAITING in states
    assert len(await records(local, EventType.POSITION_CLOSED)) == 3


async def test_an_account_that_cannot_be_reached_is_given_up_after_its_budget(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.another_life(episode_budget_s=0.3)
    await local.add("ann")

    async def refuse(_: str) -> object:
        raise ActorLost("no node has room")

    monkeypatch.setattr(local.stage, "start_account", refuse)
    local.supervisor._roster["ann"].is_lost = True
    (report,) = await liquidate(local, trigger("ann"))
    assert report.state is EpisodeState.RESIDUAL
    assert "no node has room" in (report.error or "")


async def test_a_dead_predecessor_is_not_waited_for_beyond_the_settle_window(local: Local) -> None:
    await local.add("ann")
    await local.stage.kill_account("ann")
    (report,) = await liquidate(local, trigger("ann"))
    assert report.state is EpisodeState.FLAT
    opened = await records(local, EventType.STREAM_OPENED)
    waits = [r.meta_data["waits_for_predecessor_s"] for r in opened if r.user_id == "ann"]
    assert waits == [0.0, pytest.approx(0.2)]


async def test_a_close_after_a_kill_is_seen_in_the_deals_of_the_life_before(local: Local) -> None:
    await local.add("ann")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await held.reached()
    await local.stage.kill_account("ann")
    held.go_on.set()
    async with asyncio.timeout(20):
        (report,) = await local.supervisor.reports(["t"])
    assert all(r.outcome is Outcome.DONE for r in results(report))


async def test_a_mandate_that_comes_twice_is_not_looked_at_twice(local: Local) -> None:
    await local.add("ann")
    broker, link = local.stage.broker("ann"), local.stage.links["ann"]
    mandate = trigger("ann", trigger_id="t", severity=Severity.WARNING)
    (report,) = await liquidate(local, mandate)
    broker.add(9)
    term = local.supervisor._roster._term(local.supervisor._roster["ann"])
    again = await link.close(term, mandate, report.accepted_us)
    assert again.results == report.results
    assert set(broker.open) == {9}, "what was opened after its end was closed for it"


async def test_a_part_closed_before_the_market_closed_is_told_whoever_closes_the_rest(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.2)
    local.another_life(session_probe_s=0.05)
    await local.add("ann", positions=1)
    broker = local.stage.broker("ann")
    broker.script += [fill(0.4), say(Verdict.MARKET_CLOSED, 10018, "closed")]
    await local.supervisor.submit([trigger("ann", trigger_id="t", severity=Severity.WARNING)])
    waiting = local.supervisor._episodes._episodes["t"]
    await until(lambda: waiting.state is EpisodeState.WAITING)
    broker.take_out(broker.open[1], 0.6, 1.0, "", ClosedBy.STOP_LOSS)
    (report,) = await local.supervisor.reports(["t"])
    (result,) = results(report)
    assert (result.volume, result.attempts) == (0.4, 2)
