from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.backlog import Backlog
from audit.chain import SealedRecord, chain_hash
from audit.duckdb_store import DuckDBStore
from audit.filler import Filler
from audit.journal import Journal
from audit.rows import SealedRow, row_of, sealed_row_of
from audit.store import RowsRefused, SealedRowStore
from tests.unit.audit.samples import NOW, ManualClock, a_chain, ids


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    store = DuckDBStore(tmp_path / "audit.duckdb")
    store.open()
    yield store
    store.close()


def _sealed(record: SealedRecord) -> SealedRow:
    row = sealed_row_of(record, NOW, False)
    assert row is not None
    return row


def _changed(record: SealedRecord, old: str, new: str) -> SealedRecord:
    assert old.encode() in record.body
    body = record.body.replace(old.encode(), new.encode())
    return record._replace(body=body, hash=chain_hash(record.prev_hash, body))


def test_rows_are_what_they_would_be_if_taken_apart_here(store: DuckDBStore) -> None:
    assert isinstance(store, SealedRowStore)
    records = a_chain(50)
    assert store.insert_sealed([_sealed(record) for record in records]).inserted == 50
    expected = [row_of(record, NOW, False) for record in records]
    assert repr(store.read_streams(["account:u1:1"], 0, 100)) == repr(expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"attempts":1,"close_id', '"attempts":true,"close_id'),
        ('"attempts":1,"close_id', '"attempts":"1","close_id'),
        ('"attempts":1,"close_id', '"attempts":1.0,"close_id'),
        ('"attempts":1,"close_id', '"attempts":01,"close_id'),
        ('"attempts":1,"close_id', f'"attempts":{2**31},"close_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-13,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-13.340,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-1.334E1,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":NaN,"position_id'),
        ('"ticket":1001,"trigger', f'"ticket":{2**63},"trigger'),
        ('"predecessor":null', '"predecessor":"null'),
        ('"predecessor":null', '"predecessor": null'),
        ('"outcome":"done","pnl":-13.34,', '"pnl":-13.34,"outcome":"done",'),
        ('"config_hash":"c0ffee",', ""),
        ('"config_hash":"c0ffee",', '"config_hash":null,'),
        ('"config_hash":"c0ffee",', '"config_hash":5,'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0ffee","more":1,'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0ffee","config_hash":"c0ffee",'),
        ('"version":"0.1.0"', '"version":{"a":1}'),
        ('"seq":2,', '"seq":3,'),
        ('"stream":"account:u1:1"', '"stream":"account:u1:2"'),
        ('"meta_data":{', '"meta_data":{{'),
        ('"volume":0.5}', '"volume":0.5}}'),
    ],
)
def test_a_row_that_is_not_certain_keeps_its_batch_out(
    store: DuckDBStore, old: str, new: str
) -> None:
    records = a_chain(3)
    records[1] = _changed(records[1], old.replace("-13.34", "-14.34").replace("1001", "1002"), new)
    with pytest.raises(RowsRefused):
        store.insert_sealed([_sealed(record) for record in records])
    assert store.count() == 0


def test_a_label_that_the_content_does_not_bear_out_keeps_the_batch_out(
    store: DuckDBStore,
) -> None:
    first, second = a_chain(2)
    upper = _changed(first, first.event_id, first.event_id.upper())
    for wrong in (
        second._replace(event_id=first.event_id),
        second._replace(seq=7),
        second._replace(stream="account:u2:1"),
        upper._replace(event_id=first.event_id.upper()),
        second._replace(prev_hash=b"", hash=chain_hash(b"", second.body)),
    ):
        with pytest.raises(RowsRefused):
            store.insert_sealed([_sealed(wrong)])
    assert store.count() == 0


def test_a_row_that_is_there_already_keeps_the_batch_out(store: DuckDBStore) -> None:
    rows = [_sealed(record) for record in a_chain(3)]
    store.insert_sealed(rows[:1])
    with pytest.raises(RowsRefused, match="holds a row already"):
        store.insert_sealed(rows)
    assert store.count() == 1
    store.insert_sealed(rows[1:])
    assert store.count() == 3


def test_the_filler_sets_the_damaged_aside_and_stores_the_rest(
    journal: Journal, store: DuckDBStore, clock: ManualClock
) -> None:
    backlog = Backlog(journal)
    filler = Filler(backlog, store, clock=clock)
    records = a_chain(store.fewest_sealed + 10)
    damaged, wrong = records[100], records[300]
    records[100] = damaged._replace(body=damaged.body.replace(b"0.5", b"0.6"))
    records[300] = _changed(wrong, '"attempts":1,"close_id', '"attempts":true,"close_id')
    journal.append(records)
    assert filler.drain(0)
    filler.stop(0)
    backlog.close()
    apart = {item.record.event_id: item.reason for item in journal.set_aside()}
    kept = {row.event_id for row in records if row.event_id not in apart}
    assert damaged.event_id in apart
    assert store.hashes_of(sorted(ids(records))).keys() == kept
    assert len(apart) == 2
    assert "attempts=True is not allowed" in apart[wrong.event_id]
