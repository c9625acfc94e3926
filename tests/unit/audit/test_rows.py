from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from audit.chain import ChainWriter, SealedRecord, chain_hash
from audit.rows import record_of_row, row_of, sealed_of
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
    ('"event_id":"3', '"event_id":"x', "it must be a UUID"),
    ('"event_id":"3', '"event_id":"-', "it must be a UUID"),
    ('"event_id":"35', '"event_id":"3A', "it must be a UUID"),
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"attempts":1,"close_id', '"attempts":"1","close_id'),
        ('"attempts":1,"close_id', '"attempts":1.0,"close_id'),
        ('"attempts":1,"close_id', '"attempts":01,"close_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-13.340,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-1.334E1,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":NaN,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":1e16,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":-1.5e16,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":0.00001,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":1.5e-7,"position_id'),
        ('"pnl":-13.34,"position_id', '"pnl":1e999,"position_id'),
        ('"ticket":1001,"trigger', f'"ticket":{-(2**63)},"trigger'),
        ('"predecessor":null', '"predecessor": null'),
        ('"predecessor":null', '"predecessor":5'),
        ('"config_hash":"c0ffee",', '"config_hash":null,'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0ffee","more":1,'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0ffee","config_hash":"c0ffee",'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0\\u0066fee",'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0\\/fee",'),
        ('"config_hash":"c0ffee",', '"config_hash":"c0ffeé",'),
        ('"version":"0.1.0"', '"version":{"a":1}'),
        ('"meta_data":{', '"meta_data":{{'),
        ('"volume":0.5}', '"volume":0.5}}'),
        ('{"attempts"', '{"recorded_at":5,"attempts"'),
        ('{"attempts"', '{"late":null,"attempts"'),
        ('"volume":0.5}', '"volume":0.5,"hash":"00"}'),
    ],
)
def test_what_its_columns_would_not_give_back_to_the_byte_is_refused(old: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed|canonical|lacks|JSON|Expecting|Extra|ascii"):
        row_of(_changed(a_chain(1)[0], old, new), NOW, False)


@pytest.mark.parametrize(
    "text", ['"', "ü", "\\", "\n", "\x7f", "\\u0041", "</a>", "", "\U0001f4c8"]
)
def test_any_text_comes_back(text: str) -> None:
    close = replace(a_close(1), description=text, symbol=text, meta_data={"x": text})
    record = ChainWriter("account:u1:1").seal(close)
    row = row_of(record, NOW, False)
    assert sealed_of(row) == record
    read = record_of_row(row)
    assert (read.description, read.symbol, read.meta_data) == (text, text, {"x": text})


@pytest.mark.parametrize(
    "number", [0.0, -0.0, 1e16, -9.9e15, 1e-4, 9e-5, 1e-7, 5e-324, 1.7976931348623157e308, 0.1]
)
def test_any_number_comes_back(number: float) -> None:
    record = ChainWriter("account:u1:1").seal(replace(a_close(1), pnl=number))
    row = row_of(record, NOW, False)
    assert sealed_of(row) == record
    assert repr(record_of_row(row).pnl) == repr(number)
