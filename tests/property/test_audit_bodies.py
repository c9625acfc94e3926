from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.bodies import body_of, is_intact
from audit.canonical import encode_anything
from audit.chain import chain_hash
from audit.records import AFTER_META, BEFORE_META
from audit.rows import COLUMNS, Row, sealed_of

_text = st.text(st.characters(exclude_categories=["Cs"]))
_value = (
    st.none()
    | _text
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
_meta = st.dictionaries(_text, _value, max_size=3).map(encode_anything)
_NAMES = (*BEFORE_META, *AFTER_META)


@st.composite
def _rows(draw: st.DrawFn) -> Row:
    """Rows of any values, whether or not a record could hold them."""
    found = dict(zip(_NAMES, draw(st.tuples(*[_value] * len(_NAMES))), strict=True))
    link = draw(st.binary(min_size=32, max_size=32))
    own = {
        "recorded_at": 1,
        "late": False,
        "hash_version": 1,
        "prev_hash": link,
        "hash": b"",
        "meta_data": draw(_meta),
    }
    row = tuple({**found, **own}[name] for name in COLUMNS)
    place = COLUMNS.index("hash")
    digest = chain_hash(link, sealed_of(row).body)
    return (*row[:place], digest, *row[place + 1 :])


@given(_rows())
def test_the_quick_way_makes_the_same_bytes_as_the_slow_one(row: Row) -> None:
    assert body_of(row) == sealed_of(row).body
    assert is_intact(row)


@given(_rows(), st.sampled_from([*_NAMES, "prev_hash", "hash", "meta_data"]), _value)
def test_another_value_is_not_intact(row: Row, name: str, value: object) -> None:
    place = COLUMNS.index(name)
    old = row[place]
    if type(value) is type(old) and value == old and str(value) == str(old):
        return
    altered = (*row[:place], value, *row[place + 1 :])
    assert not is_intact(altered)


@given(_rows(), st.sampled_from(_NAMES), st.sampled_from([float("nan"), float("inf"), b"x", {1}]))
def test_what_no_record_can_hold_is_not_intact_and_no_error(
    row: Row, name: str, value: object
) -> None:
    place = COLUMNS.index(name)
    assert not is_intact((*row[:place], value, *row[place + 1 :]))
