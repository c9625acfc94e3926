"""A record as the store holds it: one plain tuple, from which the hashed bytes can be remade.

Times are integers, µs since 1970 UTC; ``meta_data`` is its canonical text. A store must give
back exactly what it was given.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, Union

import msgspec
from msgspec import Meta

from audit import canonical
from audit.chain import NO_HASH, SealedRecord, chain_hash
from audit.records import (
    AFTER_META,
    BEFORE_META,
    KINDS,
    LARGEST,
    AuditRecord,
    body_of_parts,
    check_parts,
    is_event_id,
    parts_of_body,
    record_of,
)

Row: TypeAlias = tuple[Any, ...]

_OWN = ("recorded_at", "late", "hash_version", "prev_hash", "hash")
COLUMNS = (*_OWN, *BEFORE_META, "meta_data", *AFTER_META)
"""Names of a row's values, in order."""

_META = COLUMNS.index("meta_data")
_PREV_HASH = COLUMNS.index("prev_hash")
HASH = COLUMNS.index("hash")
EVENT_ID = COLUMNS.index("event_id")
STREAM = COLUMNS.index("stream")
SEQ = COLUMNS.index("seq")
PREDECESSOR = COLUMNS.index("predecessor")
_EVENT_ID, _STREAM, _SEQ = (place - len(_OWN) for place in (EVENT_ID, STREAM, SEQ))
"""Where they stand among the values of the content."""


_SPLIT = len(BEFORE_META)
_Number = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]


def _type_of(member: str) -> Any:
    kinds = [_Number if kind is int else kind for kind in KINDS[member]]
    return Union[tuple(kinds)]  # noqa: UP007 - the types are known only here


_Content = msgspec.defstruct(
    "_Content",
    [
        *((name, _type_of(name)) for name in BEFORE_META),
        ("meta_data", msgspec.Raw),
        *((name, _type_of(name)) for name in AFTER_META),
    ],
    forbid_unknown_fields=True,
    gc=False,
)
"""A record's content: its members in canonical order, ``meta_data`` as it was written."""
_read = msgspec.json.Decoder(_Content).decode
_write = msgspec.json.Encoder().encode


def row_of(record: SealedRecord, recorded_at: int, late: bool) -> Row:
    """Take a sealed record apart into columns, and check that it is what it claims to be.

    Raises:
        ValueError: it is damaged, mislabelled, or does not fit the columns; the message says how.
    """
    event_id, stream, seq, prev_hash, digest, body = record
    if chain_hash(prev_hash, body) != digest:
        raise ValueError("its content does not have the hash that it claims")
    values = _plain_values(body) or _checked_values(body)
    if (values[_EVENT_ID], values[_STREAM], values[_SEQ]) != (event_id, stream, seq):
        raise ValueError("its content names another event or place than its label")
    if len(prev_hash) != len(NO_HASH):
        raise ValueError("its previous hash has the wrong length")
    return (recorded_at, late, canonical.VERSION, prev_hash, digest, *values)


def _plain_values(body: bytes) -> Row | None:
    """Take apart what a second writer of JSON writes as it stands; that is nearly every record.

    Its values are then those that the bytes say, and give the bytes back.

    Returns:
        ``None`` for one that must be looked at member by member.
    """
    if not body.isascii() or (b"\\" in body and b"\\u" in body):  # one byte is found far quicker
        return None  # some of that is text that no database takes
    try:
        content = _read(body)
    except msgspec.MsgspecError:
        return None
    if _write(content) != body:  # a float with an exponent; or the order is not ours
        return None
    values = msgspec.structs.astuple(content)
    if not is_event_id(values[_EVENT_ID]):
        return None
    return (*values[:_SPLIT], str(values[_SPLIT], "ascii"), *values[_SPLIT + 1 :])


def _checked_values(body: bytes) -> Row:
    """Take a record apart and look at every member.

    Raises:
        ValueError: naming what is wrong.
    """
    before, meta, after = parts_of_body(body)
    canonical.decode(meta)
    check_parts(before, after)
    if body_of_parts(before, meta, after) != body:
        raise ValueError("its content is not in canonical form")
    return (*before.values(), meta, *after.values())


def sealed_of(row: Row) -> SealedRecord:
    """Make the sealed record again, its bytes rebuilt from the columns."""
    return SealedRecord(
        row[EVENT_ID], row[STREAM], row[SEQ], row[_PREV_HASH], row[HASH], _body_of(row)
    )


def record_of_row(row: Row) -> AuditRecord:
    """Read the record that a row holds."""
    return record_of(_body_of(row), recorded_at=row[0], late=row[1])


def _body_of(row: Row) -> bytes:
    return body_of_parts(
        dict(zip(BEFORE_META, row[len(_OWN) : _META], strict=True)),
        row[_META],
        dict(zip(AFTER_META, row[_META + 1 :], strict=True)),
    )
