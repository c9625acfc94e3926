"""A record as the store holds it: one plain tuple, from which the hashed bytes can be remade.

Times are integers, µs since 1970 UTC; ``meta_data`` is its canonical text. A store must give
back exactly what it was given.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from audit import canonical
from audit.chain import HASHED_PREFIX, NO_HASH, SealedRecord, chain_hash
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
Listed: TypeAlias = tuple[int, int, int, str, str, int, bytes, bytes, bytes]
"""A record as the journal lists it: ordinal, recorded_at, late (0 or 1), and the values of a
:class:`audit.chain.SealedRecord`."""

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
_BACKSLASH, _DELETE = 0x5C, 0x7F
"""One byte is found far quicker than two."""
_read = msgspec.json.Decoder(_Content).decode
_write = msgspec.json.Encoder().encode_into


class _Scratch(threading.local):
    """Where a thread writes what it compares."""

    def __init__(self) -> None:
        self.written = bytearray()


_scratch = _Scratch()


def row_of(record: SealedRecord, recorded_at: int, late: bool) -> Row:
    """Take a record apart into columns, and check that it is what it claims to be.

    Args:
        record: it.
        recorded_at: when the journal had it, µs UTC.
        late: whether its writer had been replaced.

    Raises:
        ValueError: it is damaged, mislabelled, or does not fit the columns; the message says how.
    """
    plain = plain_rows([(0, recorded_at, int(late), *record)])
    return plain[0] if plain else checked_row(record, recorded_at, late)


def plain_rows(listed: Iterable[Listed]) -> list[Row]:
    """Take plain records apart, as :func:`row_of` does, only faster, up to the first other one.

    Plain is what a second writer of JSON writes as it stands, and that is nearly every record: its
    values are then those that its bytes say, and give the bytes back.

    Returns:
        Rows of those before the first that is not plain, or not what it claims to be.
    """
    rows: list[Row] = []
    written = _scratch.written
    # A fill is as fast as this loop, so it makes few calls.
    for _, recorded_at, late, event_id, stream, seq, prev_hash, digest, body in listed:
        if sha256(HASHED_PREFIX + prev_hash + body).digest() != digest:
            return rows
        if not body.isascii() or (body.find(_BACKSLASH) >= 0 and b"\\u" in body):
            return rows  # some of that is text that no database takes
        if body.find(_DELETE) >= 0:
            return rows  # msgspec writes it as it is, and we do not
        try:
            content: Any = _read(body)
        except (msgspec.MsgspecError, RecursionError):
            return rows
        _write(content, written)
        if written != body:  # the order is not ours, or a float has an exponent
            return rows
        for real in _reals(content):
            if real and not _LEAST_PLAIN <= abs(real) < _LEAST_HUGE:
                return rows  # msgspec writes it with other digits than we do
        if content.event_id != event_id or content.stream != stream or content.seq != seq:
            return rows
        if not is_event_id(event_id) or len(prev_hash) != len(NO_HASH):
            return rows
        content.recorded_at = recorded_at
        content.late = late == 1
        content.hash_version = canonical.VERSION
        content.prev_hash = prev_hash
        content.hash = digest
        content.meta_data = str(content.meta_data, "ascii")
        rows.append(astuple(content))
    return rows


def checked_row(record: SealedRecord, recorded_at: int, late: bool) -> Row:
    """Take any record apart, as :func:`row_of` does: look at every member.

    Raises:
        ValueError: naming what is wrong.
    """
    if chain_hash(record.prev_hash, record.body) != record.hash:
        raise ValueError("its content does not have the hash that it claims")
    before, meta, after = parts_of_body(record.body)
    try:
        canonical.decode(meta)
    except RecursionError:
        raise ValueError("its meta_data is nested too deep") from None
    check_parts(before, after)
    if body_of_parts(before, meta, after) != record.body:
        raise ValueError("its content is not in canonical form")
    label = (record.event_id, record.stream, record.seq)
    if (before["event_id"], after["stream"], after["seq"]) != label:
        raise ValueError("its content names another event or place than its label")
    if len(record.prev_hash) != len(NO_HASH):
        raise ValueError("its previous hash has the wrong length")
    own = (recorded_at, late, canonical.VERSION, record.prev_hash, record.hash)
    return (*own, *before.values(), meta, *after.values())


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
