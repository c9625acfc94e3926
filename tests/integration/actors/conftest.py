"""A supervisor over local actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from actors.links import ActorLost
from actors.supervisor import Supervisor
from audit.chain import SealedRecord
from audit.receipts import AppendReceipt
from engine.config import EngineConfig
from tests.integration.actors.local_stage import LocalSide, LocalStage, spec

AWAY = 1_000_000
"""Failures in a row: more than a test waits for."""


@dataclass
class Local:
    """A supervisor and its stage."""

    stage: LocalStage
    supervisor: Supervisor
    config: EngineConfig

    async def add(self, *user_ids: str, positions: int = 3) -> None:
        for user_id in user_ids:
            for ticket in range(1, positions + 1):
                self.stage.broker(user_id).add(ticket)
        await self.supervisor.add_accounts([spec(user_id) for user_id in user_ids])

    def another_life(self, **changes: object) -> Supervisor:
        self.config = self.config.model_copy(update=changes)
        self.supervisor = Supervisor(self.stage, self.config, "test", random=Random(2))
        self.stage.supervisor = self.supervisor
        return self.supervisor


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    config = EngineConfig(data_dir=tmp_path, settle_window_s=0.2)
    stage = LocalStage(tmp_path)
    local = Local(stage, Supervisor(stage, config, "test", random=Random(1)), config)
    stage.supervisor = local.supervisor
    yield local
    await stage.stop()


class Nowhere:
    """Records that are on their way to an audit that is not there."""

    def receipt(self) -> AppendReceipt | None:
        raise ActorLost("the audit is away")


@pytest.fixture
async def away(local: Local, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Local]:
    """Two accounts whose audit goes away once they are there, and takes nothing from anybody."""
    local.another_life(journal_wait_s=0.02)
    await local.add("ann", "bob")
    local.stage.local_audit.failures = AWAY
    ship = LocalSide.ship

    def nowhere(side: LocalSide, life: int, records: Sequence[SealedRecord]) -> object:
        return Nowhere() if local.stage.local_audit.failures else ship(side, life, records)

    monkeypatch.setattr(LocalSide, "ship", nowhere)

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.cancel("the test hangs")

    limit = asyncio.get_running_loop().call_later(20, give_up)
    yield local
    limit.cancel()
