"""A supervisor over local actors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from actors.supervisor import Supervisor
from engine.config import EngineConfig
from tests.integration.actors.local_stage import LocalStage, spec


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
