"""A locked account is kept flat: swept, over restarts and closed markets, until it is released."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from actors.messages import EpisodeReport, EpisodeState
from audit.queries import RecordQuery
from audit.records import AuditRecord, EventType
from engine.brokers.port import Answer, CloseOrder, PendingOrder, Side
from engine.identity import sweep_trigger_id
from engine.models import GuardTrigger, GuardType, Severity
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import Held
from tests.integration.actors.test_supervisor import kill_all_tasks
from tests.scripted_broker import ScriptedBroker, fill, say

QUICKLY = {"sweep_first_s": 0.02, "sweep_longest_s": 0.05}


def trigger(user_id: str, **more: object) -> GuardTrigger:
    return GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", **more)  # type: ignore[arg-type]


async def liquidate(local: Local, *triggers: GuardTrigger) -> list[EpisodeReport]:
    return await local.supervisor.reports(await local.supervisor.submit(triggers))


async def records(local: Local, *kinds: EventType) -> list[AuditRecord]:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.records, RecordQuery(event_types=kinds))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # other threads bring it about
        await asyncio.sleep(0.005)


async def locked_by(local: Local, user_id: str) -> str | None:
    (found,) = [a for a in (await local.supervisor.status()).accounts if a.user_id == user_id]
    return found.locked_by


@pytest.fixture(autouse=True)
async def _bounded() -> AsyncIterator[None]:
    """Give a test up that hangs. (A test is another task than its fixtures.)"""

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.cancel("the test hangs")

    limit = asyncio.get_running_loop().call_later(10, give_up)
    yield
    limit.cancel()


async def swept_after(local: Local, appeared: int) -> None:
    """Let a position appear on ann's account, and wait until it is gone and its sweep ended."""
    broker = local.stage.broker("ann")
    finished = local.supervisor._episodes.finished
    broker.add(appeared)
    await until(lambda: not broker.open and local.supervisor._episodes.finished > finished)


async def test_a_lock_is_on_record_before_submit_returns(local: Local) -> None:
    await local.add("ann")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    audit = local.stage.local_audit
    on_record, told = await audit.run(audit.actor.locks), await locked_by(local, "ann")
    held.go_on.set()
    await local.supervisor.reports(["t"])
    assert [(lock.user_id, lock.trigger_id, lock.sweeps) for lock in on_record] == [("ann", "t", 0)]
    assert told == "t"


@pytest.mark.parametrize(
    "harmless", [{"severity": Severity.WARNING}, {"positions": ()}], ids=["warning", "part"]
)
async def test_only_a_critical_trigger_for_all_locks(
    local: Local, harmless: dict[str, object]
) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    await liquidate(local, trigger("ann", **harmless))
    audit = local.stage.local_audit
    assert await audit.run(audit.actor.locks) == ()
    assert await locked_by(local, "ann") is None


async def test_sweeps_are_numbered_on_by_the_first_lock_after_a_restart(local: Local) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    await liquidate(local, trigger("ann", trigger_id="t"))
    await liquidate(local, trigger("ann", trigger_id="later"))
    await swept_after(local, 7)
    await swept_after(local, 8)
    await local.supervisor._outbox.drained()
    local.supervisor._lockout.stop()
    await local.another_life().accounts()
    await swept_after(local, 9)
    accepted = await records(local, EventType.TRIGGER_ACCEPTED)
    sweeps = [r for r in accepted if r.trigger_id not in ("t", "later")]
    assert [r.trigger_id for r in sweeps] == [sweep_trigger_id("t", n) for n in (1, 2, 3)]
    assert {r.meta_data["inputs"]["sweep_of"] for r in sweeps} == {"t"}
    assert len(await records(local, EventType.POSITION_CLOSED)) == 3 + 3


async def test_a_pending_order_is_swept_before_it_opens_anything(local: Local) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    await liquidate(local, trigger("ann"))
    broker = local.stage.broker("ann")
    broker.pending[50] = PendingOrder(50, "EURUSD", Side.LONG, 1.0, 1.0)
    await until(lambda: not broker.pending)
    assert broker.cancels == [50]


async def test_what_an_episode_left_over_is_swept(local: Local) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    broker = local.stage.broker("ann")
    broker.script.append(say(Verdict.OPERATOR, 10017, "trading disabled"))
    (report,) = await liquidate(local, trigger("ann", trigger_id="t"))
    assert report.state is EpisodeState.RESIDUAL
    await until(lambda: not broker.open)


def market_closed_for(ticket: int) -> Callable[[ScriptedBroker, CloseOrder], Answer]:
    """A market that is closed for one position, for good, and open for all others."""

    def reply(broker: ScriptedBroker, order: CloseOrder) -> Answer:
        broker.script.append(reply)
        if order.ticket == ticket:
            return Answer(Verdict.MARKET_CLOSED, 10018, "market closed")
        return fill()(broker, order)

    return reply


async def test_while_one_position_waits_for_its_market_others_are_swept(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 1_000.0)
    local.another_life(session_probe_s=0.01, **QUICKLY)
    await local.add("ann", positions=2)
    broker = local.stage.broker("ann")
    broker.script.append(market_closed_for(1))
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await until(lambda: set(broker.open) == {1})
    for appeared in (7, 8):
        broker.add(appeared)
        await until(lambda: set(broker.open) == {1})
    assert local.supervisor._episodes.open_count, "the first still waits"


async def test_a_release_during_a_sweep_is_a_release(local: Local) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    broker = local.stage.broker("ann")
    await liquidate(local, trigger("ann", trigger_id="t"))
    held = Held(broker)
    broker.add(7)
    await held.reached()
    assert await local.supervisor.release("ann", "pat")
    held.go_on.set()
    await until(lambda: not local.supervisor._episodes.open_count)
    assert await locked_by(local, "ann") is None
    audit = local.stage.local_audit
    assert await audit.run(audit.actor.locks) == ()
    assert local.supervisor._lockout._locks == {}


async def test_a_release_while_the_locking_episode_works_is_a_release(local: Local) -> None:
    local.another_life(**QUICKLY)
    await local.add("ann")
    held = Held(local.stage.broker("ann"))
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    await held.reached()
    assert await local.supervisor.release("ann", "pat")
    held.go_on.set()
    (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.FLAT
    assert await locked_by(local, "ann") is None
    audit = local.stage.local_audit
    assert await audit.run(audit.actor.locks) == ()


async def test_a_release_outlives_the_supervisor(local: Local) -> None:
    await local.add("ann")
    await liquidate(local, trigger("ann", trigger_id="t"))
    await local.supervisor.release("ann", "pat")
    supervisor = local.another_life(**QUICKLY)
    await supervisor.accounts()
    assert await locked_by(local, "ann") is None
    assert not await supervisor.release("ann", "pat")
    assert len(await records(local, EventType.ACCOUNT_RELEASED)) == 1


async def test_what_is_opened_after_a_release_stays_although_an_episode_waited(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.3)
    local.another_life(session_probe_s=0.05, sweep_first_s=5.0)
    await local.add("ann", positions=1)
    broker = local.stage.broker("ann")
    broker.script += [say(Verdict.MARKET_CLOSED, 10018, "closed")]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    waiting = local.supervisor._episodes._episodes["t"]
    async with asyncio.timeout(10):
        while waiting.state is not EpisodeState.WAITING:  # noqa: ASYNC110  # a thread brings it
            await asyncio.sleep(0.005)
        assert await local.supervisor.release("ann", "pat")
        broker.add(77)
        (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.RESIDUAL
    assert "released" in (report.error or "")
    (left,) = pickle.loads(report.results).results
    assert (left.ticket, left.success) == (1, False)
    assert "closed" in (left.error_message or "")
    assert set(broker.open) == {1, 77}


@pytest.mark.parametrize("life_dies", [False, True])
async def test_what_was_closed_before_a_release_ended_the_wait_is_on_record(
    local: Local, monkeypatch: pytest.MonkeyPatch, life_dies: bool
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 0.5)
    local.another_life(session_probe_s=30.0, sweep_first_s=5.0)
    await local.add("ann", positions=2)
    broker = local.stage.broker("ann")
    closed = say(Verdict.MARKET_CLOSED, 10018, "closed")
    broker.script += [fill(0.5, Verdict.PARTIAL, 10010), closed, closed]
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    waiting = local.supervisor._episodes._episodes["t"]
    async with asyncio.timeout(20):
        await until(lambda: waiting.state is EpisodeState.WAITING)
        if life_dies:
            await local.stage.kill_account("ann")
        assert await local.supervisor.release("ann", "pat")
        broker.add(77)
        sent = len(broker.sent)
        (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.RESIDUAL
    assert "released" in (report.error or "")
    assert len(broker.sent) == sent, "nothing more is sent"
    told = {r.ticket: r for r in pickle.loads(report.results).results}
    assert set(told) == {1, 2}, "what was merely refused is told as well"
    assert (told[1].success, told[1].volume, str(told[1].outcome)) == (False, 0.5, "partial")
    on_record = {r.ticket: r for r in await records(local, EventType.POSITION_CLOSED)}
    assert (on_record[1].outcome, on_record[1].volume) == ("partial", 0.5)
    assert 77 not in on_record
    if not life_dies:
        assert on_record[2].outcome == "rejected"
        assert "not to be waited for" in (told[2].error_message or "")
    (again,) = await local.another_life().reports(["t"])
    first, second = (pickle.loads(said.results).results for said in (report, again))
    assert [replace(r, durable=False) for r in second] == list(first)
    assert (again.state, again.closed, again.failed) == (report.state, report.closed, report.failed)


async def test_a_release_that_nobody_lives_to_conclude_leaves_no_result_of_what_was_only_refused(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session_wait.FIRST_SESSION_PAUSE_S", 30.0)
    local.another_life(sweep_first_s=5.0)
    await local.add("ann", positions=2)
    broker = local.stage.broker("ann")
    broker.script += [say(Verdict.MARKET_CLOSED, 10018, "closed")] * 2
    await local.supervisor.submit([trigger("ann", trigger_id="t")])
    waiting = local.supervisor._episodes._episodes["t"]
    await until(lambda: waiting.state is EpisodeState.WAITING)
    monkeypatch.setattr(local.supervisor._episodes, "let_go", lambda user_id: None)
    assert await local.supervisor.release("ann", "pat")
    await kill_all_tasks()
    await local.stage.kill_account("ann")
    local.another_life()
    (report,) = await local.supervisor.reports(["t"])
    assert report.state is EpisodeState.RESIDUAL, "what is open is counted, and alarmed"
    assert "released" in (report.error or "")
    assert pickle.loads(report.results).results == ()
    assert (len(broker.sent), set(broker.open)) == (2, {1, 2})
