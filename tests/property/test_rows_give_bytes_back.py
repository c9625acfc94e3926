"""Whatever bytes a record claims to have: what goes into a store can be remade from it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.chain import chain_hash
from audit.rows import row_of, sealed_of
from tests.unit.audit.samples import NOW, a_chain

(RECORD,) = a_chain(1)
_FORMS = (
    repr,
    "{:e}".format,
    "{:E}".format,
    "{:g}".format,
    "{:f}".format,
    "{:.17g}".format,
    lambda number: msgspec.json.encode(number).decode(),
)
_PIECES = st.sampled_from(
    [
        *("null", "true", "1", "-1", "1.0", "01", "9" * 20, "-0.0", "1E400", '"x"', "{}", "[]"),
        *(",", ":", '"', "}", "{", " ", "\\n", "\\u00e9", "é"),
        *('"seq":2,', '"recorded_at":1,', '"hash":null,'),
    ]
)


def _is_remade_or_refused(body: bytes) -> bool:
    """Whether a record was taken; fails if it was, and is not given back."""
    record = RECORD._replace(body=body, hash=chain_hash(RECORD.prev_hash, body))
    try:
        row = row_of(record, NOW, False)
    except ValueError:
        return False
    assert sealed_of(row) == record
    return True


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(_FORMS))
@example(1e16, _FORMS[-1])
@example(9e-5, _FORMS[-1])
def test_numbers_in_any_form(number: float, form: object) -> None:
    assert callable(form)
    text = form(number).encode()
    taken = _is_remade_or_refused(
        RECORD.body.replace(b'"pnl":-13.34,"pos', b'"pnl":%b,"pos' % text)
    )
    assert taken == (text == repr(float(text)).encode())


@given(
    st.lists(st.tuples(st.integers(0, len(RECORD.body)), st.integers(0, 4), _PIECES), max_size=3)
)
def test_bytes_altered_anywhere(changes: list[tuple[int, int, str]]) -> None:
    body = RECORD.body
    for place, length, piece in changes:
        body = body[:place] + piece.encode() + body[place + length :]
    if _is_remade_or_refused(body):
        assert body.isascii()


@pytest.mark.parametrize("place", range(0, len(RECORD.body), 7))
def test_a_byte_left_out(place: int) -> None:
    _is_remade_or_refused(RECORD.body[:place] + RECORD.body[place + 1 :])


@pytest.mark.parametrize("byte", range(256))
def test_any_byte_within_a_text(byte: int) -> None:
    for text in (b'"position_closed"', b'"EURCHF"', b'"c0ffee"', b'"Request executed"'):
        body = RECORD.body.replace(text, text[:3] + bytes([byte]) + text[4:])
        taken = _is_remade_or_refused(body)
        if text == b'"Request executed"' or byte == ord("\\"):
            continue  # meta_data is kept as it is written; and an escape may happen to be right
        assert taken == (0x20 <= byte < 0x7F and byte != ord('"'))
