"""Kills a writing process at a chosen moment, and checks what is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audit.ledger import AuditLedger
from audit.queries import RecordQuery

_ROOT = Path(__file__).parents[2]

MOMENTS = ("store inserting", "store committing", "store checkpointing", "journal committing")
"""What a process can be doing when it is killed: what :mod:`tests.chaos.audit_writing_child` says,
but for its being idle."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What a killed process had said."""

    stream: str
    acknowledged: int
    """Number of the last record that was acknowledged; 0 if none was."""
    during: frozenset[str]
    """The moments that had begun and not ended."""


def kill_a_writer(folder: Path, *, batch: int, moment: str, after: int) -> Kill:
    """Let a process write, and SIGKILL it as soon as it says that a moment has come.

    Args:
        folder: of store and journal.
        batch: records in a batch.
        moment: one of :data:`MOMENTS`.
        after: how many batches are acknowledged before.
    """
    command = [sys.executable, "-m", "tests.chaos.audit_writing_child"]
    arguments = [f"{folder}/audit.duckdb", f"{folder}/journal.sqlite3", str(batch)]
    said: list[str] = []
    with subprocess.Popen(
        command + arguments, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as child:
        assert child.stdout is not None
        left = after
        for line in child.stdout:
            said.append(line.strip())
            left -= line.startswith("ack ")
            if left <= 0 and said[-1] == moment:
                break
        else:
            raise AssertionError("the writer ended by itself")
        child.kill()
        said.extend(line.strip() for line in child.stdout.read().splitlines())
    return _kill_of(said)


def _kill_of(said: Iterable[str]) -> Kill:
    stream, acknowledged = "", 0
    last = {"store": "idle", "journal": "idle"}
    for line in said:
        match line.split(" "):
            case ["ack", name, seq]:
                stream, acknowledged = name, int(seq)
            case [thread, doing]:
                last[thread] = doing
    during = frozenset(f"{thread} {doing}" for thread, doing in last.items() if doing != "idle")
    return Kill(stream, acknowledged, during)


def check_what_is_left(folder: Path, acknowledged: dict[str, int], *, batch: int) -> None:
    """Every acknowledged record is there, none twice, whole batches only, chains whole."""
    with AuditLedger(f"duckdb:///{folder}/audit.duckdb", folder / "journal.sqlite3") as ledger:
        records = ledger.records(RecordQuery(limit=1_000_000))
        places = [(record.stream, record.seq) for record in records]
        assert len(set(places)) == len(places) == ledger.count()
        assert len({record.event_id for record in records}) == len(records)
        for stream, last in acknowledged.items():
            held = {seq for name, seq in places if name == stream}
            assert held >= set(range(1, last + 1))
            assert len(held) % batch == 0
        assert ledger.verify().problem is None
        assert ledger.status().missing == ledger.status().set_aside == 0
        assert ledger.status().alarms == ()
