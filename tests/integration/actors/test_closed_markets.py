"""Closed markets of brokers that know, or think that they know, when they open."""

from __future__ import annotations

import asyncio

import pytest

from actors.messages import EpisodeState
from engine.brokers.port import Position
from engine.models import Severity
from engine.outcomes import Verdict
from tests.integration.actors.conftest import Local
from tests.integration.actors.local_stage import LocalStage
from tests.integration.actors.test_exactly_once import trigger, until
from tests.scripted_broker import ScriptedBroker, say


class SessionsBroker(ScriptedBroker):
    """A broker that knows its sessions, and calls the market open although it refuses."""

    looks = 0

    async def opens_in_s(self, symbol: str) -> float | None:
        return 0.0

    async def positions(self, ticket: int | None = None) -> tuple[Position, ...]:
        self.looks += 1
        return await super().positions(ticket)


@pytest.fixture(name="broker")
def _broker(local: Local) -> SessionsBroker:
    stage: LocalStage = local.stage
    broker = stage.brokers["ann"] = SessionsBroker()
    return broker


async def test_a_market_that_refuses_though_it_is_in_session_is_not_asked_without_a_pause(
    local: Local, broker: SessionsBroker
) -> None:
    await local.add("ann", positions=1)
    broker.script += [say(Verdict.MARKET_CLOSED, 10018)] * 1_000
    await local.supervisor.submit([trigger("ann", trigger_id="t", severity=Severity.WARNING)])
    waiting = local.supervisor._episodes._episodes["t"]
    await until(lambda: waiting.state is EpisodeState.WAITING)
    looks = broker.looks
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert broker.looks == looks
    assert waiting.state is EpisodeState.WAITING
