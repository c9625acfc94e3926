"""What a real crash and a damage leave of store and journal, and what the ledger makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import ChainWriter
from audit.journal import Journal
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


def _cut(log: Path, left: int) -> None:
    assert 0 <= left < log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(left)


def _check_refilled(folder: Path) -> None:
    """Everything is there again, and a person was told."""
    with _reopen(folder) as ledger:
        assert ledger.count() == _COUNT
        assert ledger.verify().ok
        alarms = ledger.status().alarms
        moved = list(folder.glob("audit.duckdb.damaged-*"))
        assert any("could not be read" in alarm for alarm in alarms) == bool(moved)
        assert "that it had committed: refilled from the journal" in alarms[-1]
    with _reopen(folder) as ledger:
        assert (ledger.count(), ledger.status().alarms) == (_COUNT, ())


@pytest.mark.parametrize("cut", [1, 9, 4_000, 100_000])
def test_a_cut_log_is_filled_up_from_the_journal(crashed: Path, cut: int) -> None:
    log = crashed / "audit.duckdb.wal"
    _cut(log, log.stat().st_size - cut)
    _check_refilled(crashed)


@pytest.mark.parametrize("left", [0, 1, 13, 1_000, 300_000])
def test_the_beginning_of_a_log_is_filled_up_from_the_journal(crashed: Path, left: int) -> None:
    _cut(crashed / "audit.duckdb.wal", left)
    _check_refilled(crashed)


def test_a_log_that_is_gone_is_filled_up_from_the_journal(crashed: Path) -> None:
    (crashed / "audit.duckdb.wal").unlink()
    _check_refilled(crashed)


def test_a_store_that_is_gone_is_filled_from_the_journal(crashed: Path) -> None:
    (crashed / "audit.duckdb.wal").unlink()
    (crashed / "audit.duckdb").unlink()
    _check_refilled(crashed)


def test_a_cut_log_that_the_journal_cannot_mend_is_named(crashed: Path) -> None:
    journal = Journal(crashed / "journal.sqlite3")
    with journal.writing() as rows:  # as after 20,000 more records that the store has for good
        rows.execute("UPDATE records SET body = NULL WHERE ordinal <= 390")
        rows.execute("UPDATE progress SET stored = 400")
    journal.close()
    _cut(crashed / "audit.duckdb.wal", 1_000)
    with _reopen(crashed) as ledger:
        assert ledger.count() == 10
        assert [str(gap) for gap in ledger.gaps()] == [
            "account:u1:1@1..100 (100)",
            "account:u101:1@1..100 (100)",
            "account:u201:1@1..100 (100)",
            "account:u301:1@1..90 (90)",
        ]
        assert "account:u301:1@1..90 (90)" in ledger.status().alarms[-1]
        assert not ledger.histories(["u1"])[0].is_complete


@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.9999])
def test_a_flipped_bit_in_the_log_is_never_silence(crashed: Path, part: float, bit: int) -> None:
    log = crashed / "audit.duckdb.wal"
    data = bytearray(log.read_bytes())
    data[int(len(data) * part)] ^= 1 << bit
    log.write_bytes(data)
    _check_refilled(crashed)


def test_a_flipped_bit_in_the_journals_own_log_is_never_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backlog, "merge", lambda _: None)  # as before the filler comes to it
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    with _reopen(live) as ledger:
        for number in range(4):
            stream = ledger.open_stream(f"account:u{number}").stream
            ledger.append(a_chain(100, stream, 1 + 100 * number))
        assert ledger.drain(10)
        shutil.copytree(live, crashed)
    log = crashed / "journal.sqlite3-wal"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1  # SQLite drops this frame and all that follow
    log.write_bytes(data)
    with _reopen(crashed) as ledger:
        assert "the store goes on where the journal ends" in ledger.status().alarms[0]
        assert ledger.count() == _COUNT
        opened = ledger.open_stream("account:u3")
        assert opened.incarnation == 2
        assert opened.predecessor is not None
        assert opened.predecessor.seq == 100
        writer = ChainWriter(opened.stream, opened.predecessor)
        ledger.append(a_chain(3, opened.stream, 1_000, writer))
        assert ledger.verify().ok
        (history,) = ledger.histories(["u3"])
        assert (history.is_complete, len(history.closes)) == (True, 103)
