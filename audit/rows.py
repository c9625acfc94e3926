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
    AuditRecord,
    body_of_parts,
    check_parts,
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


def row_of(record: SealedRecord, recorded_at: int, late: bool) -> Row:
    """Take a sealed record apart into columns, and check that it is what it claims to be.

    Raises:
        ValueError: it is damaged, mislabelled, or does not fit the columns; the message says how.
    """
    if chain_hash(record.prev_hash, record.body) != record.hash:
        raise ValueError("its content does not have the hash that it claims")
    before, meta, after = parts_of_body(record.body)
    check_parts(before, after)
    claimed = (record.event_id, record.stream, record.seq)
    if (before["event_id"], after["stream"], after["seq"]) != claimed:
        raise ValueError("its content names another event or place than its label")
    if len(record.prev_hash) != len(NO_HASH):
        raise ValueError("its previous hash has the wrong length")
    return (
        recorded_at,
        late,
        canonical.VERSION,
        record.prev_hash,
        record.hash,
        *before.values(),
        meta,
        *after.values(),
    )


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
