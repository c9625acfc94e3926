"""The hashed bytes of a row, remade quickly: verifying a trail does little else.

:func:`audit.rows.sealed_of` makes the same bytes with the encoder that wrote them, at twice the
cost: it sorts names whose order never changes, and looks into every value for more than there can
be. Here the names are a form, filled in with the writers that the encoder itself uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any

from audit import canonical
from audit.chain import HASHED_PREFIX
from audit.records import AFTER_META, BEFORE_META
from audit.rows import COLUMNS, HASH, Row, sealed_of

_META = COLUMNS.index("meta_data")
_FIRST = COLUMNS.index(BEFORE_META[0])
_AFTER = _META + 1
_PREV_HASH = COLUMNS.index("prev_hash")
_HASH_VERSION = COLUMNS.index("hash_version")

_NAMES = (*BEFORE_META, "meta_data", *AFTER_META)
_FORM = "{" + ",".join(f'"{name}":%s' for name in _NAMES) + "}"


def _null(_: object) -> str:
    return "null"


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: float.__repr__,
    type(None): _null,
}
"""How JSON writes what a sound row can hold. Other types have other bytes or none: see below."""


def body_of(row: Row) -> bytes:
    """Remake the canonical bytes of a row's content; ``meta_data`` is taken verbatim.

    A number that is not finite, which no sound record holds, comes out as bytes that no record
    has ever had.

    Raises:
        ValueError: the row holds something that is not ASCII where only ASCII was ever written.
        TypeError: it holds something that is no JSON value.
    """
    writers = _WRITERS
    try:
        text = _FORM % (
            *[writers[value.__class__](value) for value in row[_FIRST:_META]],
            row[_META],
            *[writers[value.__class__](value) for value in row[_AFTER:]],
        )
    except KeyError:
        return sealed_of(row).body
    return text.encode("ascii")


def is_intact(row: Row) -> bool:
    """Whether a row's content, with the hash before it, has the hash that stands beside it."""
    try:
        body = body_of(row)
        fits: bool = sha256(HASHED_PREFIX + row[_PREV_HASH] + body).digest() == row[HASH]
    except (TypeError, ValueError):
        return False  # no writer could have sealed it
    return fits and row[_HASH_VERSION] == canonical.VERSION
