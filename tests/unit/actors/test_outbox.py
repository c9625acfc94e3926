"""The outbox: order, company, and an audit that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import cast

import pytest

from actors import outbox
from actors.links import ActorLost, AuditLink
from actors.outbox import AuditOutbox, OutboxFull, RecordsRefused
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt, SetAside
from engine.patience import Patience
from tests.virtual_time import VirtualClock


def record(number: int, stream: str = "supervisor:1") -> SealedRecord:
    name = f"event-{number}" if stream == "supervisor:1" else f"{stream}@{number}"
    return SealedRecord(name, stream, number, b"", b"", b"{}")


class Audit:
    """Takes batches when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.set_aside: tuple[SetAside, ...] = ()
        self.acknowledges = True

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ActorLost("away")
        self.batches.append([r.event_id for r in batch])
        taken = frozenset(r.event_id for r in batch if self.acknowledges)
        return AppendReceipt(taken, self.set_aside)


class InOrder(Audit):
    """Takes the records of a stream only in order, as the journal does."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[str, list[int]] = {}

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        await super().append(batch)
        acknowledged = set()
        expected = {}
        for one in batch:
            taken = self.taken.setdefault(one.stream, [])
            if one.seq <= len(taken) + 1:
                acknowledged.add(one.event_id)
                if one.seq == len(taken) + 1:
                    taken.append(one.seq)
            else:
                expected[one.stream] = len(taken) + 1
        return AppendReceipt(frozenset(acknowledged), expected=expected)


def make(audit: Audit, *, answer_s: float = 30.0) -> tuple[AuditOutbox, VirtualClock]:
    clock = VirtualClock()
    patience = Patience(clock, Random(1), first_s=0.1, longest_s=5)
    box = AuditOutbox(cast("AuditLink", audit), clock, patience, "supervisor:9", answer_s=answer_s)
    return box, clock


@pytest.fixture(autouse=True)
async def _bounded() -> AsyncIterator[None]:
    """Give a test up that hangs. (A test is another task than its fixtures.)"""

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.cancel("the test hangs")

    limit = asyncio.get_running_loop().call_later(10, give_up)
    yield
    limit.cancel()


async def test_records_gather_while_a_batch_is_on_its_way() -> None:
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    first = asyncio.create_task(box.append([record(1)]))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(box.append([record(n)])) for n in range(2, 30)]
    await asyncio.sleep(0.01)
    assert box.unacknowledged == 29
    audit.gate.set()
    await asyncio.gather(first, *rest)
    assert audit.batches == [["event-1"], [f"event-{n}" for n in range(2, 30)]]
    assert box.unacknowledged == 0


async def test_a_batch_is_sent_until_it_is_acknowledged() -> None:
    audit = Audit()
    audit.failures = 4
    box, clock = make(audit)
    await box.append([record(1)])
    assert audit.batches == [["event-1"]]
    waits = [s for s in clock.sleeps if s > 0]
    assert len(waits) == 4
    assert waits == sorted(waits)


async def test_what_was_set_aside_is_an_alarm() -> None:
    audit = Audit()
    audit.set_aside = (SetAside(record(1), "another hash"),)
    box, _ = make(audit)
    await box.append([record(1)])
    assert box.alarms == ["record event-1 was set aside: another hash"]


async def test_the_outbox_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_HELD", 2)
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    first = asyncio.create_task(box.append([record(1), record(2)]))
    await asyncio.sleep(0)
    with pytest.raises(OutboxFull, match="at most 2"):
        await box.append([record(3)])
    audit.gate.set()
    await first


async def test_nothing_to_send_sends_nothing() -> None:
    audit = Audit()
    box, _ = make(audit)
    await box.append([])
    await box.drained()
    assert audit.batches == []


async def test_records_that_are_handed_in_again_are_sent_once_and_waited_for_all_the_same() -> None:
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    first = box.hand_in([record(1), record(2)])
    again = box.hand_in([record(1), record(2), record(3)])
    assert box.unacknowledged == 3
    audit.gate.set()
    await asyncio.gather(first, again)
    assert audit.batches == [["event-1", "event-2", "event-3"]]
    await box.append([record(2), record(3)])  # on disk: nothing is left to wait for
    assert len(audit.batches) == 1


async def test_it_knows_up_to_which_number_each_stream_is_on_disk() -> None:
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    written = box.hand_in([record(1), record(2), record(1, "account:ann:1")])
    assert box.on_disk("supervisor:1") == box.on_disk("account:ann:1") == 0
    audit.gate.set()
    await written
    assert box.on_disk("supervisor:1") == 2
    assert box.on_disk("account:ann:1") == 1
    assert box.on_disk("account:bob:1") == 0


async def test_what_was_set_aside_counts_as_on_disk() -> None:
    audit = Audit()
    audit.set_aside = (SetAside(record(2), "another hash"),)
    box, _ = make(audit)
    await box.append([record(1)])
    audit.acknowledges = False
    await box.append([record(2)])
    assert box.on_disk("supervisor:1") == 2


async def test_what_is_not_on_disk_yet_can_be_asked_for() -> None:
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    written = box.hand_in([record(1), record(1, "account:ann:1")])
    await asyncio.sleep(0.01)  # the first batch is on its way
    later = box.hand_in([record(2)])
    assert box.unwritten("supervisor") == (record(1), record(2))
    assert box.unwritten("account:ann") == (record(1, "account:ann:1"),)
    audit.gate.set()
    await asyncio.gather(written, later)
    assert box.unwritten("supervisor") == ()


async def test_a_gap_refuses_what_is_behind_it_until_the_missing_come_with_it() -> None:
    ann, bob = "account:ann:1", "account:bob:1"
    audit = InOrder()
    box, _ = make(audit)
    behind = box.hand_in([record(2, ann), record(3, ann)])  # 1 was lost on its way
    company = box.hand_in([record(1, bob)])
    with pytest.raises(RecordsRefused, match="account:ann:1@1 first"):
        await behind
    await company
    assert audit.taken == {ann: [], bob: [1]}
    assert box.on_disk(ann) == 0
    assert [text for text in box.alarms if ann in text]
    assert box.unacknowledged == 0

    await box.append([record(1, ann), record(2, ann), record(3, ann)])
    assert audit.taken[ann] == [1, 2, 3]
    assert box.on_disk(ann) == 3


async def test_a_gap_gives_up_on_what_waits_behind_it_too() -> None:
    ann, bob = "account:ann:1", "account:bob:1"
    audit = InOrder()
    box, _ = make(audit)
    audit.gate.clear()
    going = box.hand_in([record(2, ann)])
    await asyncio.sleep(0.01)  # on its way; what follows waits
    waiting = box.hand_in([record(2, ann), record(3, ann)])
    company = box.hand_in([record(1, bob)])
    audit.gate.set()
    for refused in (going, waiting):
        with pytest.raises(RecordsRefused):
            await refused
    await company
    await box.drained()
    assert audit.batches == [["account:ann:1@2"], ["account:bob:1@1"]]
    assert box.unacknowledged == 0


async def test_a_gap_in_one_record_does_not_undo_what_came_before_it() -> None:
    ann = "account:ann:1"
    audit = InOrder()
    box, _ = make(audit)
    await box.append([record(1, ann)])
    with pytest.raises(RecordsRefused, match="@2 first"):
        await box.append([record(3, ann)])
    await box.append([record(1, ann)])
    assert box.on_disk(ann) == 1


async def test_a_full_outbox_still_takes_its_own_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_HELD", 1)
    audit = Audit()
    box, _ = make(audit)
    audit.gate.clear()
    first = box.hand_in([record(1)])
    with pytest.raises(OutboxFull):
        box.hand_in([record(2)])
    own = box.hand_in([record(1, "supervisor:9"), record(2, "supervisor:9")])
    audit.gate.set()
    await asyncio.gather(first, own)
    await box.append([record(2)])  # what was refused is taken when there is room again
    assert sorted(name for batch in audit.batches for name in batch) == [
        "event-1",
        "event-2",
        "supervisor:9@1",
        "supervisor:9@2",
    ]


async def test_a_call_to_the_audit_that_never_returns_is_made_again() -> None:
    class Hangs(Audit):
        hangs = 2

        async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
            if self.hangs:
                self.hangs -= 1
                await asyncio.Event().wait()
            return await super().append(batch)

    audit = Hangs()
    box, clock = make(audit, answer_s=0.02)
    written = box.hand_in([record(1)])
    later = box.hand_in([record(2)])
    await asyncio.gather(written, later)
    assert audit.hangs == 0
    assert audit.batches == [["event-1", "event-2"]]
    assert len(clock.sleeps) == 2
    assert box.trouble is None


async def test_trouble_is_told_while_it_lasts() -> None:
    told: list[str | None] = []

    class Away(Audit):
        async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
            told.append(box.trouble)
            return await super().append(batch)

    audit = Away()
    audit.failures = 1
    box, _ = make(audit)
    await box.append([record(1)])
    assert told == [None, "ActorLost: away"]
    assert box.trouble is None
