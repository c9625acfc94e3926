"""Kills a writing process in mid-write, and checks what is left."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from audit.ledger import AuditLedger
from audit.queries import RecordQuery

_ROOT = Path(__file__).parents[2]


def kill_a_writer(folder: Path, *, batch: int, after: int) -> tuple[str, int]:
    """Let a process append until it acknowledged ``after`` batches, then SIGKILL it.

    Returns:
        Its stream, and the number of the last record that it said was acknowledged.
    """
    command = [sys.executable, "-m", "tests.chaos.audit_writing_child"]
    arguments = [f"duckdb:///{folder}/audit.duckdb", f"{folder}/journal.sqlite3", str(batch)]
    with subprocess.Popen(
        command + arguments, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as child:
        assert child.stdout is not None
        for _ in range(after):
            assert child.stdout.readline(), "the writer ended by itself"
        child.kill()
        last = child.stdout.read().rsplit("\n", 2)
    lines = [line for line in last if " " in line]
    if not lines:
        return f"account:u1:{_lives(folder)}", batch * after
    stream, _, seq = lines[-1].partition(" ")
    return stream, int(seq)


def check_what_is_left(folder: Path, acknowledged: dict[str, int], *, batch: int) -> None:
    """Every acknowledged record is there, none twice, whole batches only, chains whole."""
    with AuditLedger(f"duckdb:///{folder}/audit.duckdb", folder / "journal.sqlite3") as ledger:
        records = ledger.records(RecordQuery(limit=1_000_000))
        places = [(record.stream, record.seq) for record in records]
        assert len(set(places)) == len(places) == ledger.count()
        for stream, last in acknowledged.items():
            held = {seq for name, seq in places if name == stream}
            assert held >= set(range(1, last + 1))
            assert len(held) % batch == 0
        assert ledger.verify().problem is None
        assert ledger.status().missing == ledger.status().set_aside == 0


def _lives(folder: Path) -> int:
    connection = sqlite3.connect(folder / "journal.sqlite3")
    (lives,) = connection.execute("SELECT max(incarnation) FROM streams").fetchone()
    connection.close()
    return int(lives)
