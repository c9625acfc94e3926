"""A journal's file that somebody or something altered: one record suffers, and not in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from audit.backlog import Backlog, Waiting
from audit.chain import chain_hash
from audit.filler import Filler, FillPolicy
from audit.journal import Journal
from audit.journal_file import connect
from audit.rows import EVENT_ID, row_of
from audit.store import AuditStore
from tests.unit.audit.samples import NOW, ManualClock, a_chain, ids

_COUNT = 160
_AT = 121
"""Ordinal of the record that suffers; the batches have 100, so it is read ahead of its own."""
_ODD = ["'text'", "x'00ff'", "7", "2.5", "CAST(x'41ff42' AS TEXT)"]
"""Values of each of SQLite's types; the last is a text that is none."""


@pytest.fixture
def backlog(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal)
    yield backlog
    backlog.close()


@pytest.fixture
def filler(store: AuditStore, backlog: Backlog, clock: ManualClock) -> Filler:
    return Filler(backlog, store, clock=clock, policy=FillPolicy(batch=100))


def _damage(journal: Journal, assignment: str, ordinal: int = _AT) -> None:
    with closing(connect(journal.path)) as other:
        changed = other.execute(
            f"UPDATE records SET {assignment} WHERE ordinal = ?",
            (ordinal,),
        )
        assert changed.rowcount == 1


@pytest.mark.parametrize("value", _ODD)
@pytest.mark.parametrize("column", ["body", "prev_hash", "hash", "event_id"])
def test_a_value_of_another_type_costs_its_record_alone(
    store: AuditStore, journal: Journal, filler: Filler, column: str, value: str
) -> None:
    records = a_chain(_COUNT)
    journal.append(records)
    _damage(journal, f"{column} = {value}")
    assert filler.drain(10), filler.last_error
    assert store.count() == _COUNT - 1
    (apart,) = journal.set_aside()
    assert apart.record.seq == _AT
    assert len(filler.alarms) == 1
    assert f"account:u1:1@{_AT}" in filler.alarms[0]


@pytest.mark.parametrize("value", _ODD)
def test_a_time_of_another_type_stops_nothing(
    store: AuditStore, journal: Journal, filler: Filler, value: str
) -> None:
    """When a record was recorded is not hashed, so nobody can tell what it was."""
    journal.append(a_chain(_COUNT))
    _damage(journal, f"recorded_at = {value}")
    assert filler.drain(10), filler.last_error
    assert store.count() == _COUNT
    assert not filler.alarms


def test_meta_data_nested_deeper_than_one_reads_costs_its_record_alone(
    store: AuditStore, journal: Journal, filler: Filler
) -> None:
    records = a_chain(_COUNT)
    good = records[_AT - 1]
    meta = json.dumps(json.loads(good.body)["meta_data"], sort_keys=True, separators=(",", ":"))
    deep = "[" * 100_000 + "]" * 100_000
    body = good.body.replace(meta.encode(), deep.encode())
    assert body != good.body
    records[_AT - 1] = good._replace(body=body, hash=chain_hash(good.prev_hash, body))
    journal.append(records)
    assert filler.drain(10), filler.last_error
    assert store.count() == journal.newest - 1
    (apart,) = journal.set_aside()
    assert "nested too deep" in apart.reason


def test_a_record_that_is_altered_between_two_readings_of_its_batch_is_not_lost(
    store: AuditStore,
    journal: Journal,
    backlog: Backlog,
    filler: Filler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row that is known makes the store ask for the batch again."""
    records = a_chain(_COUNT)
    journal.append(records[:100])
    assert filler.drain(10)
    store.insert_batch([row_of(records[110], NOW, False)])
    journal.append(records[100:])
    read_again = backlog.whole

    def damage_and_read(ordinals: list[int]) -> list[Waiting]:
        monkeypatch.undo()
        _damage(journal, "body = x'00'")
        return read_again(ordinals)

    monkeypatch.setattr(backlog, "whole", damage_and_read)
    filler.step()
    assert filler.last_error is not None
    assert "changed while they were stored" in filler.last_error
    assert filler.drain(10)
    assert _stored(store) == ids(records) - {records[_AT - 1].event_id}
    (apart,) = journal.set_aside()
    assert apart.record.event_id == records[_AT - 1].event_id


@pytest.mark.parametrize("ordinal", [101, 130, _COUNT])
@pytest.mark.parametrize("is_emptied", [True, False])
def test_a_waiting_record_that_somebody_takes_out_is_missed(
    store: AuditStore, journal: Journal, filler: Filler, ordinal: int, is_emptied: bool
) -> None:
    records = a_chain(_COUNT)
    journal.append(records[:90])
    assert filler.drain(10)
    journal.append(records[90:])
    if is_emptied:
        _damage(journal, "body = NULL", ordinal)
    else:
        with closing(connect(journal.path)) as other:
            other.execute("DELETE FROM records WHERE ordinal = ?", (ordinal,))
    assert filler.drain(10)
    assert store.count() == _COUNT - 1
    (alarm,) = filler.alarms
    assert "lacks 1 records, and the journal no longer holds them" in alarm
    assert f"account:u1:1@{ordinal}.." in alarm
    assert filler.missing == 1


def test_a_record_that_is_stored_and_set_aside_hides_no_other_that_is_gone(
    store: AuditStore, journal: Journal, backlog: Backlog, filler: Filler, clock: ManualClock
) -> None:
    """After a crash the journal gives again what it gave since the last checkpoint."""
    records = a_chain(_COUNT)
    journal.append(records[:90])
    filler.step()
    journal.append(records[90:])
    with closing(connect(journal.path)) as other:
        other.execute("DELETE FROM records WHERE ordinal = ?", (_AT,))
    _damage(journal, "body = x'00'", 30)
    store.close()
    filler = Filler(backlog, store, clock=clock, policy=FillPolicy(batch=100))
    assert filler.drain(10)
    aside, gap = filler.alarms
    assert "account:u1:1@30" in aside
    assert f"account:u1:1@{_AT}.." in gap
    assert filler.missing == 1


@pytest.mark.parametrize("value", _ODD)
def test_a_stored_record_whose_name_is_lost_does_not_keep_the_store_closed(
    store: AuditStore, journal: Journal, filler: Filler, clock: ManualClock, value: str
) -> None:
    records = a_chain(_COUNT)
    journal.append(records)
    assert filler.drain(10)
    clock.us += 40_000_000
    filler.step()
    assert filler.checkpointed == _COUNT
    _damage(journal, f"event_id = {value}", 30)
    filler.distrust(RuntimeError("as after a restart"))
    more = a_chain(3, "account:u2:1", first=900)
    journal.append(more)
    assert filler.drain(10), filler.last_error
    assert _stored(store) == ids([*records, *more])
    filler.distrust(RuntimeError("as after another"))
    filler.step()
    assert filler.last_error is None
    (alarm,) = filler.alarms
    assert "the journal is damaged: 1 records" in alarm
    assert "ordinal 30" in alarm


def _stored(store: AuditStore) -> set[str]:
    return {row[EVENT_ID] for page in store.scan() for row in page}
