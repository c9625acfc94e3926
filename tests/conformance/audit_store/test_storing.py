"""What goes in: once, whole, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.chain import ChainWriter
from audit.opening import make_store
from audit.records import AuditRecord, event_id
from audit.rows import COLUMNS, Row, record_of_row, row_of, sealed_of
from audit.store import AuditStore, RowsRefused
from tests.conformance.audit_store.conftest import DATABASES, new_url
from tests.property.test_audit_store import records
from tests.unit.audit.samples import NOW, a_chain, a_close

MANY = 200
"""So many rows go in another way than a few do."""


def rows_of(count: int, stream: str = "account:u1:1", first: int = 1) -> list[Row]:
    return [row_of(record, NOW + 5, False) for record in a_chain(count, stream, first)]


def changed(row: Row, **values: object) -> Row:
    return tuple(values.get(name, value) for name, value in zip(COLUMNS, row, strict=True))


@pytest.mark.parametrize("count", [3, MANY])
def test_rows_come_back_exactly_also_after_reopening(store: AuditStore, count: int) -> None:
    odd = replace(
        a_close(5000),
        description="ü 😀 '\";--%s \\ \t\n\r",
        pnl=0.1 + 0.2,
        volume=-0.0,
        closed_price=5e-324,
        ticket=2**63 - 1,
        sent_at=-62_000_000_000_000_001,
        filled_at=250_000_000_000_000_001,
        meta_data={"x": [1e22, -0.0, 1.0, 1, None, True, "\0 \ud800 😀"], "a": {}, "b": 2**70},
    )
    rows = [*rows_of(count), row_of(ChainWriter("account:u1:9").seal(odd), NOW, True)]
    assert store.insert_batch(rows).inserted == count + 1
    store.close()
    store.open()
    back = store.read_streams(["account:u1:1", "account:u1:9"], 0, 1000)
    assert back == rows
    assert repr(back) == repr(rows)
    assert sealed_of(back[-1]) == sealed_of(rows[-1])
    assert record_of_row(back[-1]).late


@pytest.fixture(scope="module", params=DATABASES)
def lasting_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AuditStore]:
    folder: Path = tmp_path_factory.mktemp("store")
    store = make_store(new_url(request.param, request, folder))
    store.open()
    yield store
    store.close()


_streams = iter(range(1, 1_000_000))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, min_size=1, max_size=5), st.booleans())
def test_a_store_gives_back_exactly_what_it_was_given(
    lasting_store: AuditStore, several: list[AuditRecord], is_many: bool
) -> None:
    writer = ChainWriter(f"account:u1:{next(_streams)}")
    rows = []
    for number, record in enumerate(several * (20 if is_many else 1)):
        name = event_id(record.event_type, writer.stream, number)
        sealed = writer.seal(replace(record, event_id=name))
        rows.append(row_of(sealed, record.occurred_at, False))
    assert lasting_store.insert_batch(rows * 10 if is_many else rows).inserted == len(rows)
    assert repr(lasting_store.read_streams([writer.stream], 0, 1000)) == repr(rows)


@pytest.mark.parametrize("count", [6, MANY])
def test_what_is_known_is_passed_over(store: AuditStore, count: int) -> None:
    rows = rows_of(count)
    assert store.insert_batch(rows[:-2]).inserted == count - 2
    report = store.insert_batch(rows)
    assert (report.inserted, report.known, report.contradictions) == (2, count - 2, {})
    again = store.insert_batch(rows)
    assert (again.inserted, again.known, again.contradictions) == (0, count, {})
    assert store.insert_batch([]).inserted == 0
    assert store.count() == count


@pytest.mark.parametrize("count", [1, MANY])
def test_a_row_twice_in_a_batch_is_stored_once(store: AuditStore, count: int) -> None:
    rows = rows_of(count)
    report = store.insert_batch([*rows, rows[0]])
    assert (report.inserted, report.known, report.contradictions) == (count, 1, {})


@pytest.mark.parametrize("more", [0, MANY])
def test_contradictions_are_named_and_the_rest_inserted(store: AuditStore, more: int) -> None:
    first, second, third = rows_of(3)
    others = rows_of(more, "account:u9:1", 1000)
    store.insert_batch([first])
    (same_place,) = rows_of(1, first=8)
    (same_event,) = rows_of(1, "account:u1:2")
    report = store.insert_batch([second, same_place, same_event, third, *others])
    assert (report.inserted, report.known) == (2 + more, 0)
    assert report.contradictions == {
        sealed_of(same_place).event_id: (
            f"its place in its stream is taken by event {sealed_of(first).event_id}"
        ),
        sealed_of(same_event).event_id: "the store holds the same event with another hash",
    }
    assert store.read_streams(["account:u1:1"], 0, 10) == [first, second, third]


@pytest.mark.parametrize("more", [0, MANY])
def test_of_contradictions_within_a_batch_the_first_is_stored(store: AuditStore, more: int) -> None:
    (row,) = rows_of(1)
    (same_place,) = rows_of(1, first=8)
    others = rows_of(more, "account:u9:1", 1000)
    report = store.insert_batch([*others, row, same_place, changed(row, hash=bytes(32))])
    assert (report.inserted, report.known) == (1 + more, 0)
    assert len(report.contradictions) == 2
    assert store.read_streams(["account:u1:1"], 0, 10) == [row]


@pytest.mark.parametrize("count", [3, MANY])
@pytest.mark.parametrize(
    "wrong",
    [
        {"meta_data": "{broken"},
        {"description": None},
        {"symbol": "a lone \ud800 surrogate"},
        {"status": 2**40},
        {"event_id": "no uuid"},
        {"attempts": 2**31},
        {"occurred_at": -(2**63) + 1},
    ],
    ids=str,
)
def test_a_refused_row_leaves_nothing_of_its_batch(
    store: AuditStore, wrong: dict[str, object], count: int
) -> None:
    rows = rows_of(count)
    bad = changed(rows[1], **wrong)
    with pytest.raises(RowsRefused) as refusal:
        store.insert_batch([rows[0], bad, *rows[2:]])
    assert "store=" in str(refusal.value)
    assert store.is_open
    assert store.count() == 0
    assert store.insert_batch(rows).inserted == count
