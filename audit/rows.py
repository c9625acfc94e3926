"""A record as the store holds it: one plain tuple, from which the hashed bytes can be remade.

Times are integers, µs since 1970 UTC; ``meta_data`` is its canonical text. A store must give
back exactly what it was given.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType

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

_Number = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]


def _type_of(member: str) -> Any:
    kinds = [_Number if kind is int else kind for kind in KINDS[member]]
    return Union[tuple(kinds)]  # noqa: UP007 - the types are known only here


_Content = msgspec.defstruct(
    "_Content",
    [
        # No JSON says them, and they are in no JSON: they are put in afterwards.
        *((name, UnsetType, UNSET) for name in _OWN),
        *((name, _type_of(name)) for name in BEFORE_META),
        ("meta_data", msgspec.Raw),
        *((name, _type_of(name)) for name in AFTER_META),
    ],
    forbid_unknown_fields=True,
    kw_only=True,
    gc=False,
)
"""A record's content: its members in canonical order, ``meta_data`` as it was written. With its
own values put in, it has all of a row's, in order."""
_reals = attrgetter(*(name for name, kinds in KINDS.items() if float in kinds))
_LEAST_PLAIN, _LEAST_HUGE = 1e-4, 1e16
"""From the one to below the other, Python writes a float without an exponent, as msgspec does."""
_read = msgspec.json.Decoder(_Content).decode
_write = msgspec.json.Encoder().encode_into


class _Scratch(threading.local):
    """Where a thread writes what it compares."""

    def __init__(self) -> None:
        self.written = bytearray()


_scratch = _Scratch()


def row_of(record: tuple[str, str, int, bytes, bytes, bytes], recorded_at: int, late: bool) -> Row:
    """Take a record apart into columns, and check that it is what it claims to be.

    Args:
        record: a :class:`audit.chain.SealedRecord`, or the same values as a bare tuple.
        recorded_at: when the journal had it, µs UTC.
        late: whether its writer had been replaced.

    Raises:
        ValueError: it is damaged, mislabelled, or does not fit the columns; the message says how.
    """
    event_id, stream, seq, prev_hash, digest, body = record
    if chain_hash(prev_hash, body) != digest:
        raise ValueError("its content does not have the hash that it claims")
    content = _plain_content(body) or _checked_content(body)
    if content.event_id != event_id or content.stream != stream or content.seq != seq:
        raise ValueError("its content names another event or place than its label")
    if len(prev_hash) != len(NO_HASH):
        raise ValueError("its previous hash has the wrong length")
    content.recorded_at = recorded_at
    content.late = late
    content.hash_version = canonical.VERSION
    content.prev_hash = prev_hash
    content.hash = digest
    content.meta_data = str(content.meta_data, "ascii")
    return msgspec.structs.astuple(content)


def _plain_content(body: bytes) -> Any:
    """Take apart what a second writer of JSON writes as it stands; that is nearly every record.

    Its values are then those that the bytes say, and give the bytes back.

    Returns:
        ``None`` for one that must be looked at member by member.
    """
    if (b"\\" in body and b"\\u" in body) or not body.isascii():  # one byte is found far quicker
        return None  # some of that is text that no database takes
    try:
        content: Any = _read(body)
    except msgspec.MsgspecError:
        return None
    written = _scratch.written
    _write(content, written)
    if written != body:  # the order is not ours, or a float has an exponent
        return None
    for real in _reals(content):
        if real and not _LEAST_PLAIN <= abs(real) < _LEAST_HUGE:
            return None  # msgspec writes it with other digits than we do
    return content if is_event_id(content.event_id) else None


def _checked_content(body: bytes) -> Any:
    """Take a record apart and look at every member.

    Raises:
        ValueError: naming what is wrong.
    """
    before, meta, after = parts_of_body(body)
    canonical.decode(meta)
    check_parts(before, after)
    if body_of_parts(before, meta, after) != body:
        raise ValueError("its content is not in canonical form")
    return _Content(**before, meta_data=msgspec.Raw(meta.encode("ascii")), **after)


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
