"""What a real crash leaves of a DuckDB file, and what the ledger makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audit.ledger import AuditLedger
from tests.unit.audit.samples import a_chain

_COUNT = 400


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a ledger as a SIGKILL leaves them, with DuckDB's log not yet merged."""
    folder = tmp_path_factory.mktemp("ledger")
    live, crashed = folder / "live", folder / "crashed"
    with AuditLedger(f"duckdb:///{live}/audit.duckdb", live / "journal.sqlite3") as ledger:
        for first in range(1, _COUNT, 100):
            ledger.append(a_chain(100, f"account:u{first}:1", first))
            assert ledger.drain(10)
        shutil.copytree(live, crashed)
    assert (crashed / "audit.duckdb.wal").stat().st_size > 100_000
    return crashed


@pytest.fixture
def crashed(left_behind: Path, tmp_path: Path) -> Path:
    return shutil.copytree(left_behind, tmp_path / "crashed")


def _reopen(folder: Path) -> AuditLedger:
    return AuditLedger(f"duckdb:///{folder}/audit.duckdb", folder / "journal.sqlite3")


def test_a_whole_log_is_read(crashed: Path) -> None:
    with _reopen(crashed) as ledger:
        assert ledger.count() == _COUNT
        assert ledger.verify().ok
        assert ledger.status().alarms == ()


@pytest.mark.parametrize("cut", [1, 100_000])
def test_a_cut_log_is_filled_up_from_the_journal(crashed: Path, cut: int) -> None:
    log = crashed / "audit.duckdb.wal"
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - cut)
    with _reopen(crashed) as ledger:
        assert ledger.count() == _COUNT
        assert ledger.verify().ok


@pytest.mark.parametrize("part", [0.1, 0.9])
def test_a_flipped_bit_in_the_log_is_never_silence(crashed: Path, part: float) -> None:
    log = crashed / "audit.duckdb.wal"
    data = bytearray(log.read_bytes())
    data[int(len(data) * part)] ^= 1
    log.write_bytes(data)
    with _reopen(crashed) as ledger:
        assert ledger.count() == _COUNT
        assert ledger.verify().ok
        kept_apart = list(crashed.glob("audit.duckdb.damaged-*"))
        assert bool(kept_apart) == bool(ledger.status().alarms)
