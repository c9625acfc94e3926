"""A key that another key's full success has answered is a used key, whatever dies."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace

import pytest

from audit.filler import FillPolicy
from audit.records import EventType
from engine.brokers.port import MarginMode
from engine.errors import IdempotencyConflict
from engine.mandates import DirectClose
from engine.models import CloseResult, PositionRef
from tests.integration.actors.conftest import Local
from tests.integration.actors.test_exactly_once import records


class Caller:
    """Calls for the same position under keys of its own choice."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._calls = 0

    async def close(
        self, key: str, volume: float | None = None, name: str = "mine", ticket: int = 1
    ) -> CloseResult:
        self._calls += 1
        ref = PositionRef(name, ticket)
        mandate = DirectClose(f"call-{self._calls}", "ann", "by hand", (ref,), key, volume)
        async with asyncio.timeout(20):
            told, durable = await self._local.supervisor.close(mandate)
        (result,) = pickle.loads(told).results
        assert isinstance(result, CloseResult)
        assert durable
        return replace(result, durable=True)


async def all_dies(local: Local) -> None:
    await local.stage.kill_account("ann")
    local.another_life()


async def answered(local: Local, *keys: str) -> tuple[Caller, CloseResult]:
    """Close position 1 under the first key, and have the others answered by that."""
    await local.add("ann")
    caller = Caller(local)
    first, *others = [await caller.close(key) for key in keys]
    assert others == [first] * len(others)
    return caller, first


async def test_a_key_that_another_has_answered_is_used_in_the_next_life(local: Local) -> None:
    caller, first = await answered(local, "k1", "k2")
    for _ in range(2):
        await all_dies(local)
        with pytest.raises(IdempotencyConflict, match="idempotency_key='k2'"):
            await caller.close("k2", volume=0.5)
        assert await caller.close("k2") == first
    assert len(local.stage.broker("ann").sent) == 1
    (closed,) = await records(local, EventType.POSITION_CLOSED)
    (shared,) = await records(local, EventType.CLOSE_ANSWERED)
    assert shared.close_id == closed.close_id == first.close_id
    assert (shared.trigger_id, shared.request_fingerprint) == ("call-2", "1:1:all")


async def test_it_is_used_as_well_once_only_the_store_knows_it(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, first = await answered(local, "k1", "k2")
    audit = local.stage.local_audit
    ledger = audit.actor._ledger
    monkeypatch.setattr(ledger._backlog, "_keep_whole", 0)
    monkeypatch.setattr(ledger._filler, "_policy", FillPolicy(checkpoint_rows=1))
    await all_dies(local)
    assert await caller.close("k3", name="two", ticket=2) != first
    assert await audit.run(ledger.drain, 20)
    assert ledger._backlog.of_owner("account:ann").records == ()
    await all_dies(local)
    with pytest.raises(IdempotencyConflict, match="idempotency_key='k2'"):
        await caller.close("k2", volume=0.5)
    assert await caller.close("k2") == first


async def test_it_keeps_its_answer_though_the_net_position_is_open_anew(local: Local) -> None:
    broker = local.stage.broker("ann")
    broker.account_state = replace(broker.account_state, margin_mode=MarginMode.NETTING)
    caller, first = await answered(local, "k1", "k2")
    broker.add(1)
    await all_dies(local)
    assert await caller.close("k2") == first
    assert 1 in broker.open
    anew = await caller.close("k3")
    assert anew.close_id != first.close_id
    assert 1 not in broker.open
    await all_dies(local)
    assert await caller.close("k2") == first
    assert await caller.close("k4") == anew
