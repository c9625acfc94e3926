"""The simulated audit actor around a commit: what is on disk, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.simulation.audit_actor import FILLING, AuditEar, AuditLife, Disk
from actors.simulation.clock import ProcessClock, TrueTime
from actors.simulation.fault_kinds import AUDIT_DEATHS, Disturbance
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
        if kind in AUDIT_DEATHS:
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


def appended(folder: Path, trouble: Callable[[Disk], None], wait_s: float = 0.0) -> Bench:
    """Append one batch on a disk that is in trouble, and wait."""

    async def main() -> Bench:
        bench = Bench(folder)
        bench.life.ledger.open_streams(["supervisor"])
        trouble(bench.disk)
        assert bench.acted == []
        await bench.append(batch())
        await asyncio.sleep(wait_s)
        bench.life.crash(tail_lost=False)
        return bench

    return run_in_virtual_time(main())


def set_slow(disk: Disk) -> None:
    disk.commit_s = 0.05


def set_full(disk: Disk) -> None:
    disk.is_full = True


def set_store_away(disk: Disk) -> None:
    disk.store.is_away = True


def set_store_full(disk: Disk) -> None:
    disk.store.is_full = True


def set_store_slow(disk: Disk) -> None:
    disk.store_s = 0.5


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(set_slow, Disturbance.JOURNAL_SLOW), (set_full, Disturbance.JOURNAL_FULL)],
)
def test_a_journal_in_trouble_acts_where_it_is_written(
    tmp_path: Path, trouble: Callable[[Disk], None], kind: Disturbance
) -> None:
    assert appended(tmp_path, trouble).acted == [(kind, [USER])]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (set_store_away, Disturbance.STORE_AWAY),
        (set_store_full, Disturbance.STORE_FULL),
        (set_store_slow, Disturbance.STORE_SLOW),
    ],
)
def test_a_store_in_trouble_acts_where_it_is_filled(
    tmp_path: Path, trouble: Callable[[Disk], None], kind: Disturbance
) -> None:
    bench = appended(tmp_path, trouble, wait_s=2 * FILLING.linger_s + 1.0)
    assert {acted for acted, users in bench.acted if users} == {kind}
    assert (kind, [USER]) in bench.acted


def test_a_store_in_trouble_does_nothing_to_whom_it_has_served(tmp_path: Path) -> None:
    async def main() -> Bench:
        bench = Bench(tmp_path)
        bench.life.ledger.open_streams(["supervisor"])
        await bench.append(batch())
        await asyncio.sleep(2 * FILLING.linger_s)
        bench.disk.store.is_full = True
        await asyncio.sleep(20.0)
        bench.life.crash(tail_lost=False)
        return bench

    bench = run_in_virtual_time(main())
    assert [users for _, users in bench.acted if users] == []


def test_a_new_life_waits_for_a_slow_journal(tmp_path: Path) -> None:
    async def main() -> Bench:
        bench = Bench(tmp_path)
        bench.disk.commit_s = 0.05
        owners = ("supervisor", "account:ann")
        bench.life.deliver("open_streams", (owners,), lambda good, _: bench.told.append((good, 0)))
        await asyncio.sleep(0.1)
        bench.life.crash(tail_lost=False)
        return bench

    bench = run_in_virtual_time(main())
    assert bench.told == [(True, 0)]
    assert bench.acted == [(Disturbance.JOURNAL_SLOW, ["ann"])]
