"""The supervisor as Ray runs it."""

from __future__ import annotations

from importlib.metadata import version

from actors.ray_stage import RayStage
from actors.registry import Registry
from actors.supervisor import Supervisor
from engine.config import EngineConfig


class SupervisorProcess(Supervisor):
    """The supervisor as Ray starts it."""

    def __init__(self, namespace: str) -> None:
        """Read the configuration; :meth:`start` does the rest."""
        config: EngineConfig = Registry(namespace).get("config", "engine")
        super().__init__(RayStage(namespace), config, version("risk-engine"))
