"""Which process of the operating system each actor of an engine lives in at this moment.

An account's actor is busy while it closes, and a dead one answers nothing, so they are not asked:
the cluster keeps a table of its actors. Its Python interface is private to Ray: this is its one
wrapper.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

import psutil
import ray
from ray._private import state

from actors import placement


class ActorProcesses:
    """The processes of some named actors on this machine.

    Args:
        namespace: the engine's.
        names: the actors'; they exist.
    """

    def __init__(self, namespace: str, names: Sequence[str]) -> None:
        """Find the actors; their ids stay the same through all their lives."""
        self._ids = {name: placement.find(namespace, name)._actor_id.hex() for name in names}
        self._node = ray.get_runtime_context().get_node_id()
        self._killed: set[int] = set()

    def pid(self, name: str) -> int | None:
        """Return the number of an actor's live process.

        ``None`` while it is being started again, and if it lives on another machine.
        """
        entry: dict[str, Any] = state.actors(actor_id=self._ids[name])
        if entry.get("State") != "ALIVE" or entry["Address"]["NodeID"] != self._node:
            return None
        pid = int(entry["Pid"])
        # The table learns of a death a moment later than the killer.
        return None if pid in self._killed or not _is_alive(pid) else pid

    def kill(self, pid: int) -> bool:
        """End a process by SIGKILL; ``False`` if it was gone already."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self._killed.add(pid)
        return True


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
