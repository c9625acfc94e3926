"""The supervisor as Ray runs it."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from actors.ray_stage import RayStage
from actors.registry import Registry
from actors.supervisor import Supervisor
from engine.config import EngineConfig


class SupervisorProcess(Supervisor):
    """The supervisor as Ray starts it, and starts it again."""

    def __init__(self, namespace: str) -> None:
        """Read the configuration and begin: nobody has to call for open episodes to go on."""
        config: EngineConfig = Registry(namespace).get("config", "engine")
        super().__init__(RayStage(namespace), config, version("risk-engine"))
        # Ray constructs an asynchronous actor inside its event loop.
        self._beginning = asyncio.get_running_loop().create_task(self.keep_starting())
