"""The outbox: order, company, and an audit that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import cast

import pytest

from actors import outbox
from actors.links import ActorLost, AuditLink
from actors.outbox import AuditOutbox, OutboxFull
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt, SetAside
from engine.patience import Patience
from tests.virtual_time import VirtualClock


def record(number: int) -> SealedRecord:
    return SealedRecord(f"event-{number}", "supervisor:1", number, b"", b"", b"{}")


class Audit:
    """Takes batches when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.set_aside: tuple[SetAside, ...] = ()

    async def append(self, batch: Sequence[SealedRecord]) -> AppendReceipt:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ActorLost("away")
        self.batches.append([r.event_id for r in batch])
        return AppendReceipt(frozenset(r.event_id for r in batch), self.set_aside)


def make(audit: Audit) -> tuple[AuditOutbox, VirtualClock]:
    clock = VirtualClock()
    patience = Patience(clock, Random(1), first_s=0.1, longest_s=5)
    return AuditOutbox(cast("AuditLink", audit), clock, patience, "supervisor:9"), clock


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
