"""The simulated audit actor around a commit: what is on disk, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from actors.simulation.audit_actor import AuditEar, AuditLife, Disk
from actors.simulation.clock import ProcessClock, TrueTime
from actors.simulation.fault_kinds import Disturbance
from actors.simulation.loop import run_in_virtual_time
from actors.simulation.memory_store import MemoryStore
from actors.simulation.process import Process
from audit.chain import ChainWriter, SealedRecord
from audit.errors import JournalUnavailable
from tests.unit.simulation.samples import USER, accepted


class Bench:
    """An audit actor whose deaths and answers are noted."""

    def __init__(self, folder: Path) -> None:
        self.acted: list[tuple[Disturbance, list[str]]] = []
        self.told: list[tuple[bool, Any]] = []
        self.disk = Disk(folder / "journal", MemoryStore(), self._act, Random("bench"))
        self.lives = 0
        self.begin()

    def begin(self) -> None:
        self.lives += 1
        process = Process(f"audit/{self.lives}")
        clock = ProcessClock(TrueTime(asyncio.get_running_loop()), process)
        self.life = AuditLife(process, clock, self.disk, AuditEar())

    def _act(self, kind: Disturbance, users: Iterable[str]) -> None:
        self.acted.append((kind, list(users)))
        if kind is not Disturbance.JOURNAL_FAILING:
            self.life.crash(tail_lost=False)

    async def append(self, batch: tuple[SealedRecord, ...]) -> None:
        self.life.deliver("append", (batch,), lambda good, value: self.told.append((good, value)))
        await asyncio.sleep(0.1)

    @property
    def count(self) -> int:
        """Records on disk, as the next life finds them."""
        count = self.life.ledger.count()
        self.life.process.kill()
        self.life.ledger.close()
        return count


def batch() -> tuple[SealedRecord, ...]:
    return (ChainWriter("supervisor:1").seal(accepted()),)


def played(
    folder: Path, kind: Disturbance, commits: int = 0, appends: int = 1
) -> tuple[Bench, int]:
    async def main() -> tuple[Bench, int]:
        bench = Bench(folder)
        bench.life.ledger.open_streams(["supervisor"])
        bench.disk.deaths.append((kind, commits))
        for _ in range(appends):
            await bench.append(batch())
        if not bench.life.process.is_alive:
            bench.begin()
        return bench, bench.count

    return run_in_virtual_time(main())


def test_a_death_before_the_commit_leaves_nothing_and_tells_nobody(tmp_path: Path) -> None:
    kind = Disturbance.KILL_AUDIT_BEFORE_COMMIT
    bench, count = played(tmp_path, kind)
    assert (bench.acted, bench.told, count) == ([(kind, [USER])], [], 0)


def test_a_death_after_the_commit_leaves_the_records_and_tells_nobody(tmp_path: Path) -> None:
    kind = Disturbance.KILL_AUDIT_AFTER_COMMIT
    bench, count = played(tmp_path, kind)
    assert (bench.acted, bench.told, count) == ([(kind, [USER])], [], 1)


def test_a_death_waits_for_its_commit(tmp_path: Path) -> None:
    kind = Disturbance.KILL_AUDIT_AFTER_COMMIT
    bench, _ = played(tmp_path, kind, commits=2, appends=2)
    assert (bench.acted, len(bench.told)) == ([], 2)


def test_a_commit_that_fails_keeps_nothing_and_the_next_one_goes_well(tmp_path: Path) -> None:
    async def main() -> tuple[Bench, int, int]:
        bench = Bench(tmp_path)
        bench.life.ledger.open_streams(["supervisor"])
        bench.disk.failing = 1.0
        await bench.append(batch())
        left = bench.life.ledger.status().backlog
        bench.disk.failing = 0.0
        await bench.append(batch())
        return bench, left, bench.count

    bench, left, count = run_in_virtual_time(main())
    (failed, well) = bench.told
    assert not failed[0]
    assert isinstance(failed[1], JournalUnavailable)
    assert "the disk reports an error" in str(failed[1])
    assert well[0]
    assert (left, count) == (0, 1)
    assert bench.acted == [(Disturbance.JOURNAL_FAILING, [USER])]
