"""Which processes a process has brought about, so that a test can say that none is left."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable

from tests.cluster.waiting import wait_until

_TRACKER = "multiprocessing.resource_tracker"
"""Python's own companion of process pools; it lives as long as the interpreter that used one."""


def _table() -> dict[int, tuple[int, str, str]]:
    """Map every process that is not yet a zombie to its parent, its start and its command."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,lstart=,command="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    table = {}
    for line in listing.splitlines():
        pid, parent, state, *rest = line.split()
        if not state.startswith("Z"):
            # lstart is five words; with it a number that was given away again is not mistaken.
            table[int(pid)] = (int(parent), " ".join(rest[:5]), " ".join(rest[5:]))
    return table


def descendants(pid: int) -> dict[int, str]:
    """Return all processes below ``pid`` with their starts; but not this listing itself."""
    table = _table()
    children = defaultdict(list)
    for child, (parent, _, _) in table.items():
        children[parent].append(child)
    found: dict[int, str] = {}
    waiting = children[pid]
    while waiting:
        child = waiting.pop()
        _, started, command = table[child]
        if not command.startswith("ps -A") and _TRACKER not in command:
            found[child] = started
            waiting.extend(children[child])
    return found


def survivors(processes: Iterable[tuple[int, str]]) -> list[str]:
    """Return the commands of those that are still there."""
    table = _table()
    return [
        f"{pid}: {table[pid][2]}"
        for pid, started in processes
        if pid in table and table[pid][1] == started
    ]


def assert_all_end(processes: dict[int, str], *, within_s: float = 30.0) -> None:
    """Wait until all of them have ended, and fail with what is left."""
    wait_until(
        lambda: not survivors(processes.items()),
        within_s=within_s,
        what=lambda: f"processes were left behind: {survivors(processes.items())}",
    )
