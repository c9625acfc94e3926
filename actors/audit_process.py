"""The audit actor as Ray runs it."""

from __future__ import annotations

from actors.audit import AuditActor
from actors.registry import Registry
from audit.fill_batch import prepare_process
from engine.config import EngineConfig


class AuditProcess(AuditActor):
    """The audit actor as Ray starts it."""

    def __init__(self, namespace: str) -> None:
        """Read the configuration; journal and store are opened at the first call."""
        prepare_process()  # appending and filling share it
        config: EngineConfig = Registry(namespace).get("config", "engine")
        super().__init__(config.journal_path, config.store_url, config.digests_file)
