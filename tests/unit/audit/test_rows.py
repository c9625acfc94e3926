from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from audit.chain import ChainWriter, SealedRecord, chain_hash
from audit.rows import SEALED_COLUMNS, record_of_row, row_of, sealed_of, sealed_row_of
from tests.unit.audit.samples import NOW, a_chain, a_close


def _changed(record: SealedRecord, old: str, new: str) -> SealedRecord:
    """Alter the content as a writer of another make might have: with a hash that fits."""
    assert old.encode() in record.body
    body = record.body.replace(old.encode(), new.encode())
    return record._replace(body=body, hash=chain_hash(record.prev_hash, body))


def test_a_row_gives_the_record_back() -> None:
    record = a_chain(1)[0]
    row = row_of(record, NOW, True)
    assert sealed_of(row) == record
    assert record_of_row(row).late
    assert record_of_row(row).recorded_at == NOW


BAD: list[tuple[str, str, str]] = [
    ('"attempts":1,"close_id', '"attempts":true,"close_id', "attempts=True is not allowed"),
    ('"pnl":-13.34,"position_id', '"pnl":-13,"position_id', "pnl=-13 is not allowed"),
    ('"ticket":1001,"trigger', f'"ticket":{2**63},"trigger', "must fit into 64 bits"),
    ('"symbol":"EURCHF","ticket":1001,"tr', '"symbol":"\\u0000","ticket":1001,"tr', "NUL"),
    ('"user_id":"u1",', '"user_id":"\\ud800",', "lone surrogate"),
    ('"config_hash":"c0ffee",', "", "lacks members"),
    ('"outcome":"done","pnl":-13.34,', '"pnl":-13.34,"outcome":"done",', "lacks members"),
    ('"event_id":"', '"event_id":"A', "it must be a UUID"),
    ('"seq":1,', '"seq":2,', "another event or place"),
    ('"stream":"account:u1:1"', '"stream":"account:u1:2"', "another event or place"),
    (',"meta_data":', ',"meta":', "lacks its members"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_what_does_not_fit_the_columns_is_refused_whatever_came_before(
    old: str, new: str, said: str
) -> None:
    record = a_chain(1)[0]
    row_of(record, NOW, False)  # its kind is known to be good from now on
    with pytest.raises(ValueError, match=said):
        row_of(_changed(record, old, new), NOW, False)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda one: one._replace(body=one.body + b" "), "does not have the hash"),
        (lambda one: one._replace(event_id=a_chain(2)[1].event_id), "another event or place"),
        (
            lambda one: one._replace(prev_hash=b"", hash=chain_hash(b"", one.body)),
            "wrong length",
        ),
        (
            lambda one: one._replace(body=b"[1]", hash=chain_hash(bytes(32), b"[1]")),
            "lacks its members",
        ),
    ],
)
def test_what_is_damaged_is_refused(
    damage: Callable[[SealedRecord], SealedRecord], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        row_of(damage(a_chain(1)[0]), NOW, False)


def test_a_sealed_row_is_the_record_with_its_meta_data_cut_out() -> None:
    record = a_chain(1)[0]
    row = sealed_row_of(record, NOW, False)
    assert row is not None
    named = dict(zip(SEALED_COLUMNS, row, strict=True))
    assert (named["event_id"], named["stream"], named["seq"]) == record[:3]
    assert f'"initiator":"drawdown","meta_data":{named["meta_data"]},"occ' in record.body.decode()
    whole = str(named["members"]).replace(
        ',"occurred_at":', f',"meta_data":{named["meta_data"]},"occurred_at":'
    )
    assert whole.encode() == record.body


def test_what_must_be_looked_at_makes_no_sealed_row() -> None:
    record = a_chain(1)[0]
    assert sealed_row_of(record._replace(body=record.body + b" "), NOW, False) is None
    assert sealed_row_of(record._replace(hash=bytes(32)), NOW, False) is None
    nothing = record._replace(body=b"{}", hash=chain_hash(record.prev_hash, b"{}"))
    assert sealed_row_of(nothing, NOW, False) is None
    for text in ('"', "ü", "\\", "\n"):
        odd = ChainWriter("account:u1:1").seal(replace(a_close(1), description=text))
        assert sealed_row_of(odd, NOW, False) is None
        assert record_of_row(row_of(odd, NOW, False)).description == text
    hidden = ChainWriter("account:u1:1").seal(replace(a_close(1), meta_data={"x": 'ü"\\'}))
    assert sealed_row_of(hidden, NOW, False) is not None, "meta_data is kept as it is"
