"""A record as the store holds it: one plain tuple, from which the hashed bytes can be remade.

Times are integers, µs since 1970 UTC; ``meta_data`` is its canonical text. A store must give
back exactly what it was given.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from audit import canonical
from audit.chain import NO_HASH, SealedRecord, chain_hash
from audit.records import (
    AFTER_META,
    BEFORE_META,
    MEMBERS,
    AuditRecord,
    body_of_parts,
    check_parts,
    cut_body,
    is_event_id,
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


SealedRow: TypeAlias = tuple[int, bool, str, str, int, bytes, bytes, str, str]
"""A record for a store that takes its members apart itself; see :data:`SEALED_COLUMNS`.

Its hash fits its bytes, and no member holds a backslash, so what stands between two quotation
marks is the text itself. That the rest fits the columns, the store has to prove.
"""
SEALED_COLUMNS = (
    "recorded_at",
    "late",
    "event_id",
    "stream",
    "seq",
    "prev_hash",
    "hash",
    "members",
    "meta_data",
)
"""Names of a sealed row's values, in order.

Event, stream and number are the label's: the content must say the same. ``members`` is canonical
JSON of everything else that was sealed, without ``meta_data``.
"""

_SPLIT = len(BEFORE_META)
_LARGEST = 2**63 - 1
_whole_numbers: dict[tuple[type, ...], tuple[int, ...]] = {}
"""Types of members that :func:`check_parts` let pass before: where the integers stand."""
_MOST_SHAPES = 10_000


def row_of(record: SealedRecord, recorded_at: int, late: bool) -> Row:
    """Take a sealed record apart into columns, and check that it is what it claims to be.

    Raises:
        ValueError: it is damaged, mislabelled, or does not fit the columns; the message says how.
    """
    if chain_hash(record.prev_hash, record.body) != record.hash:
        raise ValueError("its content does not have the hash that it claims")
    text, meta = cut_body(record.body)
    members = canonical.decode(text)
    values = tuple(members.values())
    if "\\" in text or not _is_known_good(members, values):
        _check(members, values)
    if (members["event_id"], members["stream"], members["seq"]) != record[:3]:
        raise ValueError("its content names another event or place than its label")
    if len(record.prev_hash) != len(NO_HASH):
        raise ValueError("its previous hash has the wrong length")
    return (
        recorded_at,
        late,
        canonical.VERSION,
        record.prev_hash,
        record.hash,
        *values[:_SPLIT],
        meta,
        *values[_SPLIT:],
    )


def sealed_row_of(record: SealedRecord, recorded_at: int, late: bool) -> SealedRow | None:
    """Make a record ready for a store that takes it apart itself.

    Returns:
        ``None`` for one that must be looked at member by member, by :func:`row_of`: it is damaged,
        or it holds text that JSON writes differently than it reads.
    """
    event_id, stream, seq, prev_hash, digest, body = record
    if chain_hash(prev_hash, body) != digest:
        return None
    try:
        members, meta = cut_body(body)
    except ValueError:
        return None
    if "\\" in members:
        return None
    return recorded_at, late, event_id, stream, seq, prev_hash, digest, members, meta


def _is_known_good(members: dict[str, Any], values: Row) -> bool:
    """Whether members without escapes are like others that passed :func:`check_parts`."""
    whole = _whole_numbers.get(tuple(map(type, values)))
    return (
        whole is not None
        and tuple(members) == MEMBERS
        and all(-_LARGEST <= values[place] <= _LARGEST for place in whole)
        and is_event_id(members["event_id"])
    )


def _check(members: dict[str, Any], values: Row) -> None:
    items = list(members.items())
    check_parts(dict(items[:_SPLIT]), dict(items[_SPLIT:]))
    if len(_whole_numbers) < _MOST_SHAPES:
        kinds = tuple(map(type, values))
        _whole_numbers[kinds] = tuple(n for n, kind in enumerate(kinds) if kind is int)


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
