"""The awaitable handle: the same surface, over the same actors."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from actors import AsyncRiskEngine, RiskEngine
from actors.calls import EngineNotFound
from engine.errors import IdempotencyConflict
from engine.models import GuardTrigger, GuardType
from tests.cluster.conftest import EngineStarter, actors_of
from tests.cluster.replaying import PRICES, account, path


def surface(handle: type) -> dict[str, list[tuple[str, Any, Any]]]:
    """Return the public methods with names, kinds and defaults of their parameters."""
    methods = inspect.getmembers_static(
        handle, lambda m: inspect.isfunction(getattr(m, "__func__", m))
    )
    return {
        name: [
            (parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(getattr(handle, name)).parameters.values()
        ]
        for name, _ in methods
        if not name.startswith("_")
    }


def test_both_handles_have_the_same_methods_and_parameters() -> None:
    blocking, awaitable = surface(RiskEngine), surface(AsyncRiskEngine)
    assert {"start", "attach", "submit", "close_position", "shutdown"} <= set(blocking)
    assert awaitable == blocking


def test_every_method_of_the_awaitable_handle_is_awaitable() -> None:
    assert [
        name
        for name in surface(AsyncRiskEngine)
        if not inspect.iscoroutinefunction(getattr(AsyncRiskEngine, name))
    ] == []


async def test_an_engine_is_used_by_awaiting(new_engine: EngineStarter, tmp_path: Path) -> None:
    with new_engine(tmp_path) as blocking:
        namespace = blocking.calls.namespace
        engine = await AsyncRiskEngine.attach(namespace=namespace)
        await engine.share(PRICES, path(1.10, 1.09))
        await engine.add_account(account("ann", 4, latency_ms=100))
        one, other, *_ = [p.ticket for p in (await engine.book("ann")).positions]
        first = await engine.close_position(f"p{one}", one, "ann", "test")
        assert first.success
        assert first.durable
        assert await engine.close_position(f"p{one}", one, "ann", "test") == first
        with pytest.raises(IdempotencyConflict) as caught:
            await engine.close_position(f"p{one}", other, "ann", "test")
        assert type(caught.value) is IdempotencyConflict
        trigger_id = await engine.submit(GuardTrigger("ann", GuardType.MARGIN, "margin call"))
        with pytest.raises(TimeoutError):
            await engine.result(trigger_id, timeout=0.05)
        bulk = await engine.result(trigger_id, timeout=60)
        assert (bulk.successful_closes, bulk.failed_closes) == (3, 0)
        assert all(result.durable for result in bulk.results)
        assert await engine.verify_records() is None
        await engine.shutdown()
        assert actors_of(namespace) == []
        with pytest.raises(EngineNotFound):
            await AsyncRiskEngine.attach(namespace=namespace)
