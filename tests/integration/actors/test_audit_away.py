"""The audit is away for a whole liquidation: accounts become flat, and nothing is lost."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Sequence

from actors.links import ActorLost
from actors.messages import EpisodeReport, EpisodeState
from audit.chain import SealedRecord
from audit.queries import RecordQuery
from audit.receipts import AppendReceipt
from audit.records import AuditRecord, EventType
from engine.models import BulkCloseResult, GuardTrigger, GuardType
from tests.integration.actors.conftest import AWAY, Local
from tests.integration.actors.test_supervisor import kill_all_tasks


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # other threads bring it about
        await asyncio.sleep(0.005)


def trigger(user_id: str) -> GuardTrigger:
    return GuardTrigger(user_id, GuardType.DRAWDOWN, "equity fell", trigger_id=f"t-{user_id}")


async def records(local: Local, *kinds: EventType) -> list[AuditRecord]:
    audit = local.stage.local_audit
    return await audit.run(audit.actor.records, RecordQuery(event_types=kinds))


def tickets(report: EpisodeReport) -> set[int]:
    bulk: BulkCloseResult = pickle.loads(report.results)
    return {result.ticket for result in bulk.results}


def is_flat(local: Local) -> bool:
    return not any(local.stage.broker(user_id).open for user_id in ("ann", "bob"))


async def all_is_there(local: Local) -> None:
    audit = local.stage.local_audit
    closed = [(r.user_id, r.ticket) for r in await records(local, EventType.POSITION_CLOSED)]
    assert sorted(closed) == [(user_id, n) for user_id in ("ann", "bob") for n in (1, 2, 3)]
    assert await audit.run(audit.actor.verify) is None
    assert await audit.run(audit.actor.open_episodes) == ()
    for user_id in ("ann", "bob"):
        assert sorted(o.ticket for o in local.stage.broker(user_id).sent) == [1, 2, 3]


async def test_accounts_are_flat_at_once_and_results_come_when_the_audit_is_back(
    away: Local,
) -> None:
    submitting = asyncio.create_task(away.supervisor.submit([trigger("ann"), trigger("bob")]))
    await until(lambda: is_flat(away))
    told = asyncio.create_task(away.supervisor.reports(["t-ann", "t-bob"]))
    await until(lambda: away.supervisor._outbox.unacknowledged >= 2 * 2 + 2 * 3 + 2)
    assert not submitting.done(), "the trigger is not on disk"
    assert not told.done(), "no result before its record is on disk"
    assert await records(away, EventType.TRIGGER_ACCEPTED, EventType.POSITION_CLOSED) == []

    away.stage.local_audit.failures = 0
    assert await submitting == ["t-ann", "t-bob"]
    for report in await told:
        assert (report.state, report.durable) == (EpisodeState.FLAT, True)
        assert tickets(report) == {1, 2, 3}
    await all_is_there(away)
    assert away.supervisor._outbox.unacknowledged == 0
    assert [text for text in away.supervisor._outbox.alarms if "before its trigger" in text]


async def test_a_supervisor_that_dies_meanwhile_loses_no_close(away: Local) -> None:
    # The triggers were on disk; the closes, and the ends, only in the accounts and in its hands.
    away.stage.local_audit.failures = 0
    append = away.stage.local_audit.append
    taken: list[int] = []

    async def once(batch: Sequence[SealedRecord]) -> AppendReceipt:
        if taken:
            raise ActorLost("the audit is away")
        taken.append(len(batch))
        away.stage.local_audit.failures = AWAY  # shipments fail from here on
        return await away.stage.local_audit.run(away.stage.local_audit.actor.append, batch)

    away.stage.local_audit.append = once  # type: ignore[method-assign]
    await away.supervisor.submit([trigger("ann"), trigger("bob")])
    await until(lambda: is_flat(away))
    await until(lambda: away.supervisor._outbox.unacknowledged >= 2 * 3 + 2)
    assert await records(away, EventType.POSITION_CLOSED) == []
    await kill_all_tasks_but_this()

    away.stage.local_audit.append = append  # type: ignore[method-assign]
    away.stage.local_audit.failures = 0
    reports = await away.another_life().reports(["t-ann", "t-bob"])
    for report in reports:
        assert (report.state, report.closed, report.durable) == (EpisodeState.FLAT, 3, True)
        assert tickets(report) == {1, 2, 3}
    await all_is_there(away)


async def kill_all_tasks_but_this() -> None:
    async with asyncio.timeout(10):
        await kill_all_tasks()


async def test_an_actor_that_dies_meanwhile_leaves_its_answers_with_the_supervisor(
    away: Local,
) -> None:
    submitting = asyncio.create_task(away.supervisor.submit([trigger("ann"), trigger("bob")]))
    await until(lambda: is_flat(away))
    await until(lambda: away.supervisor._outbox.unacknowledged >= 2 * 2 + 2 * 3 + 2)
    await away.stage.kill_account("ann")
    away.stage.local_audit.failures = 0
    await submitting
    for report in await away.supervisor.reports(["t-ann", "t-bob"]):
        assert (report.state, report.closed) == (EpisodeState.FLAT, 3)
    await all_is_there(away)
