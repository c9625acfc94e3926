from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.digest_keeper import DigestPolicy
from audit.digest_registry import DigestEnd
from audit.digests import Digests, read_digests
from audit.errors import JournalUnavailable
from audit.filler import FillPolicy
from audit.journal import Journal
from audit.ledger import AuditLedger
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import ManualClock, a_chain

CHECKPOINT_S = 30.0
INTERVAL_S = 60.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "digests.jsonl"


@pytest.fixture
def ledger(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> Iterator[AuditLedger]:
    """One whose steps the test makes."""
    with _opened(store, journal_path, clock, path) as ledger:
        yield ledger


def _opened(store: MemoryStore, journal: Path, clock: ManualClock, path: Path) -> AuditLedger:
    return AuditLedger(
        store,
        journal,
        clock=clock,
        policy=FillPolicy(checkpoint_s=CHECKPOINT_S),
        digests=path,
        digest_policy=DigestPolicy(interval_s=INTERVAL_S, first_wait_s=1.0, longest_wait_s=4.0),
        fills_by_itself=False,
    )


def _pass(clock: ManualClock, seconds: float) -> None:
    clock.us += int(seconds * 1e6)


def _heads(digests: Digests) -> dict[str, int]:
    return {name: head.seq for name, head in digests.heads_at(max(digests.times)).items()}


def test_a_digest_names_only_what_was_checkpointed(
    ledger: AuditLedger, store: MemoryStore, clock: ManualClock, path: Path
) -> None:
    ledger.append(a_chain(3))
    ledger.fill_step()
    assert store.checkpoints == 0
    assert not path.exists()
    _pass(clock, CHECKPOINT_S)
    ledger.fill_step()
    assert store.checkpoints == 1
    digests = read_digests(path)
    assert _heads(digests) == {"account:u1:1": 3}
    assert digests.times == {1: clock.us}
    assert digests.named["account:u1:1"][3].hash == ledger.heads()[0].hash


def test_the_next_names_only_what_went_on_and_not_before_its_time(
    ledger: AuditLedger, clock: ManualClock, path: Path
) -> None:
    u1, u2 = a_chain(5), a_chain(2, "account:u2:1", 50)
    ledger.append([*u1[:3], *u2])
    ledger.fill_step()
    _pass(clock, CHECKPOINT_S)
    ledger.fill_step()
    ledger.append(u1[3:])
    ledger.fill_step()
    _pass(clock, CHECKPOINT_S)
    assert ledger.fill_step() == pytest.approx(INTERVAL_S - CHECKPOINT_S)
    assert read_digests(path).last_number == 1
    _pass(clock, INTERVAL_S - CHECKPOINT_S)
    ledger.fill_step()
    digests = read_digests(path)
    assert digests.last_number == 2
    assert {
        name for name, known in digests.named.items() if any(o.line == 2 for o in known.values())
    } == {"account:u1:1"}
    assert ledger.verify().ok


def test_nothing_new_makes_no_line(ledger: AuditLedger, clock: ManualClock, path: Path) -> None:
    for _ in range(5):
        _pass(clock, INTERVAL_S)
        assert ledger.fill_step() is None
    assert not path.exists()


def test_a_clean_close_writes_the_last_heads(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> None:
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.append(a_chain(3))
        ledger.fill_step()
        _pass(clock, CHECKPOINT_S)
        ledger.fill_step()
        ledger.append(a_chain(2, "account:u2:1", 50))
    assert _heads(read_digests(path)) == {"account:u1:1": 3, "account:u2:1": 2}


def test_what_a_crash_left_undigested_is_named_by_the_next_life(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> None:
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.append(a_chain(3))
    path.write_bytes(path.read_bytes()[:-7])  # the crash came while the line was written, ...
    journal = Journal(journal_path)
    with journal.writing() as rows:
        rows.execute("DELETE FROM digest_end")  # ... so the journal knows nothing of it
    journal.close()
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.fill_step()
        assert "ended in a line that was cut short" in ledger.status().alarms[0]
        assert _heads(read_digests(path)) == {"account:u1:1": 3}
        assert ledger.verify().ok


def test_a_file_that_cannot_be_written_is_an_alarm_and_tried_again(
    ledger: AuditLedger, clock: ManualClock, path: Path
) -> None:
    path.mkdir(parents=True)  # a folder where the file should be
    ledger.append(a_chain(3))
    ledger.fill_step()
    _pass(clock, CHECKPOINT_S)
    waits = []
    for _ in range(4):
        wait = ledger.fill_step()
        assert wait is not None
        waits.append(wait)
        _pass(clock, wait)
    assert waits == [1.0, 2.0, 4.0, 4.0]
    (alarm,) = ledger.status().alarms
    assert "no digest of the trail can be written" in alarm
    assert str(path) in alarm
    assert ledger.count() == 3  # the store is filled all the same
    path.rmdir()
    ledger.fill_step()
    assert _heads(read_digests(path)) == {"account:u1:1": 3}
    assert "written again" in ledger.status().alarms[-1]


def test_a_file_that_was_moved_away_is_begun_anew_with_all_heads(
    ledger: AuditLedger, clock: ManualClock, path: Path
) -> None:
    u1 = a_chain(5)
    ledger.append([*u1[:3], *a_chain(2, "account:u2:1", 50)])
    ledger.fill_step()
    _pass(clock, CHECKPOINT_S)
    ledger.fill_step()
    path.rename(path.with_name("archived.jsonl"))
    ledger.append(u1[3:])
    ledger.fill_step()
    _pass(clock, INTERVAL_S)
    ledger.fill_step()
    assert "changed by someone else" in ledger.status().alarms[0]
    _pass(clock, 1.0)
    ledger.fill_step()
    digests = read_digests(path)
    assert _heads(digests) == {"account:u1:1": 5, "account:u2:1": 2}
    assert (digests.damage, digests.begins_after, digests.last_number) == (None, 1, 2)
    assert "the lines from number 1 are missing" in ledger.status().alarms[1]
    damage = ledger.verify().damage
    assert damage is not None
    assert "follows on number 1" in damage.reason
    assert ledger.verify(digests=read_digests(path.with_name("archived.jsonl"), path)).ok


def _ended(store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path) -> list[str]:
    """Let an engine write three lines and end; return them."""
    with _opened(store, journal_path, clock, path) as ledger:
        for number in range(3):
            ledger.append(a_chain(2, f"account:u{number}:1", 50 * number + 1))
            ledger.fill_step()
            _pass(clock, INTERVAL_S)
            ledger.fill_step()
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 3
    return lines


@pytest.mark.parametrize("kept", [2, 0, None])
def test_an_engine_started_on_digests_without_their_end_says_so(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path, kept: int | None
) -> None:
    lines = _ended(store, journal_path, clock, path)
    if kept is None:
        path.unlink()
    else:
        path.write_text("".join(lines[:kept]))
    missing = "behind number 2" if kept else "from number 1"
    with _opened(store, journal_path, clock, path) as ledger:
        before = ledger.verify().damage
        assert before is not None
        assert missing in before.reason
        ledger.fill_step()
        (alarm,) = ledger.status().alarms
        assert f"the lines {missing} are missing, up to number 3" in alarm
        assert str(path) in alarm
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.fill_step()
        assert not ledger.verify().ok, "what is gone stays gone, whoever starts again"
    archived = path.with_name("archived.jsonl")
    if not kept:
        archived.write_text("".join(lines))
        assert read_digests(archived, path).trouble is None


def test_starts_as_they_should_be_are_silent(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> None:
    for life in range(1, 4):
        with _opened(store, journal_path, clock, path) as ledger:
            ledger.fill_step()
            ledger.append(a_chain(2, f"account:u{life}:1", 50 * life))
            ledger.drain()
            assert ledger.verify().ok
            assert ledger.status().alarms == ()
    journal = Journal(journal_path)
    assert journal.digest_end() == DigestEnd(str(path), 3, read_digests(path).last_hash, clock.us)
    with journal.writing() as rows:
        rows.execute("DELETE FROM digest_end")  # as an older version left it
    journal.close()
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.fill_step()
        assert ledger.status().alarms == ()
    journal = Journal(journal_path)
    end = journal.digest_end()
    journal.close()
    assert end is not None
    assert end.number == 3


def test_a_digest_that_the_journal_could_not_note_is_noted_later(
    ledger: AuditLedger, clock: ManualClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(a_chain(3))
    ledger.fill_step()
    _pass(clock, CHECKPOINT_S)
    with monkeypatch.context() as patch:

        def fail(_: object, __: object) -> None:
            raise JournalUnavailable("the disk is full")

        patch.setattr(Journal, "note_digest", fail)
        assert ledger.fill_step() == 1.0
    assert "the disk is full" in ledger.status().alarms[0]
    _pass(clock, 1.0)
    ledger.fill_step()
    assert read_digests(path).last_number == 1
    assert "written again" in ledger.status().alarms[-1]
    assert len(ledger.status().alarms) == 2
    assert ledger.verify().ok


def test_a_store_that_lacks_what_the_digests_name_is_an_alarm_at_once(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> None:
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.append(a_chain(3))
    text = path.read_bytes()
    gone = next(name for name, row in store.rows.items() if 3 in row)
    del store.rows[gone]
    for file in journal_path.parent.iterdir():
        file.unlink()
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.fill_step()
        assert any(
            "does not hold account:u1:1@3 as the digests name it" in alarm
            for alarm in ledger.status().alarms
        )
        problem = ledger.verify().problem
        assert problem is not None
        assert (problem.stream, problem.seq) == ("account:u1:1", 3)
    assert path.read_bytes() == text  # it never takes back what it said


def test_a_damaged_line_is_an_alarm_and_the_file_goes_on(
    store: MemoryStore, journal_path: Path, clock: ManualClock, path: Path
) -> None:
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.append(a_chain(3))
    path.write_text("damaged\n" + path.read_text())
    with _opened(store, journal_path, clock, path) as ledger:
        ledger.append(a_chain(2, "account:u2:1", 50))
        ledger.drain()
        ledger.fill_step()
    digests = read_digests(path)
    assert digests.damage is not None
    assert digests.damage.line == 1
    assert _heads(digests) == {"account:u1:1": 3, "account:u2:1": 2}


def test_a_ledger_without_digests_writes_none(
    store: MemoryStore, journal_path: Path, clock: ManualClock, tmp_path: Path
) -> None:
    with AuditLedger(store, journal_path, clock=clock, fills_by_itself=False) as ledger:
        ledger.append(a_chain(3))
    assert [file.name for file in tmp_path.rglob("*.jsonl")] == []
