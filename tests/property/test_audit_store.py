from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.chain import ChainWriter
from audit.duckdb_store import DuckDBStore
from audit.records import AuditRecord, EventType, event_id, parts_of_body
from audit.rows import row_of
from tests.unit.audit.samples import NOW

_text = st.text(max_size=20).map(lambda text: text.replace("\0", ""))
_real = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_whole = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
_time = st.integers(-62_000_000_000_000_000, 250_000_000_000_000_000)
_json = st.dictionaries(
    st.text(max_size=10),
    st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(max_size=10)
    | st.lists(st.booleans(), max_size=3),
    max_size=4,
)
records = st.builds(
    AuditRecord,
    event_id=st.just(""),
    event_type=st.sampled_from(EventType),
    user_id=_text,
    occurred_at=_time,
    description=_text,
    ticket=_whole,
    attempts=st.none() | st.integers(0, 2**31 - 1),
    volume=_real,
    pnl=_real,
    symbol=st.none() | _text,
    sent_at=st.none() | _time,
    meta_data=_json,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    store = DuckDBStore(Path(tmp_path_factory.mktemp("store")) / "audit.duckdb")
    store.open()
    yield store
    store.close()


_streams = iter(range(1, 1_000_000))


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, min_size=1, max_size=5))
def test_the_store_gives_back_exactly_what_it_was_given(
    store: DuckDBStore, records: list[AuditRecord]
) -> None:
    writer = ChainWriter(f"account:u1:{next(_streams)}")
    rows = []
    for number, record in enumerate(records):
        name = event_id(record.event_type, writer.stream, number)
        sealed = writer.seal(replace(record, event_id=name))
        rows.append(row_of(sealed, record.occurred_at, False))
    assert store.insert_batch(rows).inserted == len(rows)
    assert repr(store.read_streams([writer.stream], 0, 100)) == repr(rows)


@settings(deadline=None, max_examples=200)
@given(records)
def test_the_quick_way_to_take_a_record_apart_says_what_the_thorough_one_says(
    record: AuditRecord,
) -> None:
    sealed = ChainWriter("account:u1:1").seal(replace(record, event_id=event_id(record.event_type)))
    values = row_of(sealed, NOW, True)[5:]
    before, meta, after = parts_of_body(sealed.body)
    assert repr(values) == repr((*before.values(), meta, *after.values()))
