"""How rows get into PostgreSQL: in one go, passing over what is there, naming what contradicts.

Many rows go in fastest by COPY, which knows no ``ON CONFLICT``. That a row is there already is
rare; only where COPY says so are the rows copied again, into a temporary table, and the new ones
inserted from there. Few go in faster one by one, in one round trip all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, postgres
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
)

from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row
from audit.schema import reconciliation_log
from audit.store import InsertReport

_FEW = 50
"""Below this many rows single statements are faster than a COPY."""
_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01 UTC: this is that moment, since 1970."""

CONTENT_ERRORS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    errors.ProgramLimitExceeded,  # a text too long for an index
    errors.StatementTooComplex,  # JSON nested too deep
    ValueError,  # a lone surrogate, or no UUID
    OverflowError,
    struct.error,
)
"""What the database or its driver says about a row, rather than about itself."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, µs since 1970 UTC, that goes to the database to the microsecond.

    A ``datetime`` knows fewer years than the database, and a number of seconds fewer digits.
    """

    us: int


class MomentDumper(Dumper):
    """Writes a :class:`Moment` as PostgreSQL holds it."""

    format = Format.BINARY
    oid = postgres.types["timestamptz"].oid

    def dump(self, obj: Moment) -> bytes:
        """Return the eight bytes."""
        return struct.pack(">q", obj.us - _EPOCH_US)


def insert_rows(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> InsertReport:
    """Insert rows within the caller's transaction; see :class:`audit.store.AuditStore`.

    Args:
        driver: a connection that knows :class:`MomentDumper`.
        rows: any number.

    Raises:
        psycopg.Error: among them :data:`CONTENT_ERRORS`, for which a row is to blame.
    """
    inserted = (_insert_few if len(rows) < _FEW else _insert_many)(driver, rows)
    if inserted == len(rows):
        return InsertReport(inserted)
    contradictions = _contradictions(driver, rows)
    return InsertReport(inserted, len(rows) - inserted - len(contradictions), contradictions)


def hashes_of(driver: psycopg.Connection[Any], event_ids: Sequence[str]) -> dict[str, bytes]:
    """Look up the hashes of those of these events that the table holds."""
    return dict(
        driver.execute(
            "SELECT event_id::text, hash FROM reconciliation_log WHERE event_id = ANY(%s::uuid[])",
            [list(event_ids)],
        ).fetchall()
    )


def _insert_few(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> int:
    with driver.cursor() as cursor:
        cursor.executemany(_INSERT_ONE, [_as_parameters(row) for row in rows])
        return cursor.rowcount


def _insert_many(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> int:
    try:
        with driver.transaction():  # a savepoint
            return copy_rows(driver, rows)
    except errors.UniqueViolation:
        return copy_new_rows(driver, rows)


def copy_rows(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> int:
    """Copy rows straight into the table.

    Raises:
        psycopg.errors.UniqueViolation: one of them is there already; none is inserted.
    """
    with driver.cursor() as cursor:
        _copy(cursor, _COPY, rows)
        return cursor.rowcount


def copy_new_rows(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> int:
    """Copy rows beside the table, and insert those that are not there already."""
    with driver.cursor() as cursor:
        cursor.execute(_MAKE_ARRIVING)
        _copy(cursor, _COPY_ARRIVING, rows)
        cursor.execute(_INSERT_ARRIVED)
        return cursor.rowcount


def _copy(cursor: psycopg.Cursor[Any], statement: bytes, rows: Sequence[Row]) -> None:
    with cursor.copy(statement) as copy:
        copy.set_types(_WIRE_TYPES)
        for row in rows:
            copy.write_row(_as_copied(row))


def _as_parameters(row: Row) -> list[Any]:
    values = list(row)
    for index in _TIMES:
        if values[index] is not None:
            values[index] = Moment(values[index])
    return values


def _as_copied(row: Row) -> list[Any]:
    """Return a row such that each value's bytes are those of its column's type."""
    values = list(row)
    for index in _TIMES:
        if values[index] is not None:
            values[index] -= _EPOCH_US
    for index, limit in _LIMITS:  # psycopg would cut off what is too large, without a word
        if values[index] is not None and not -limit <= values[index] < limit:
            raise OverflowError(f"{COLUMNS[index]}={row[index]!r} is out of range")
    values[EVENT_ID] = bytes.fromhex(values[EVENT_ID].replace("-", ""))
    return values


def _contradictions(driver: psycopg.Connection[Any], rows: Sequence[Row]) -> dict[str, str]:
    """Find the rows that were not inserted because something else stands in their place."""
    hashes = hashes_of(driver, [row[EVENT_ID] for row in rows])
    kept_out = [row for row in rows if row[EVENT_ID] not in hashes]
    owners: dict[tuple[str, int], str] = {
        (stream, seq): event_id
        for stream, seq, event_id in driver.execute(
            "SELECT stream, seq, event_id::text FROM reconciliation_log JOIN "
            "unnest(%s::text[], %s::bigint[]) AS place (stream, seq) USING (stream, seq)",
            [[row[STREAM] for row in kept_out], [row[SEQ] for row in kept_out]],
        ).fetchall()
    }
    found = {
        row[EVENT_ID]: "the store holds the same event with another hash"
        for row in rows
        if hashes.get(row[EVENT_ID], row[HASH]) != row[HASH]
    }
    for row in kept_out:
        owner = owners[row[STREAM], row[SEQ]]
        found[row[EVENT_ID]] = f"its place in its stream is taken by event {owner}"
    return found


_TIMES = tuple(
    index
    for index, name in enumerate(COLUMNS)
    if isinstance(reconciliation_log.c[name].type, DateTime)
)
_BITS = {SmallInteger: 15, Integer: 31, BigInteger: 63, DateTime: 63}
_LIMITS = tuple(
    (index, 2 ** _BITS[kind])
    for index, name in enumerate(COLUMNS)
    if (kind := type(reconciliation_log.c[name].type)) in _BITS
)
"""Where in a row the whole numbers are, each with the first one that its column cannot hold."""
_WIRE_NAMES = {
    BigInteger: "int8",
    Boolean: "bool",
    DateTime: "int8",  # a time is eight bytes, too, and an integer
    Double: "float8",
    Integer: "int4",
    JSON: "text",
    LargeBinary: "bytea",
    SmallInteger: "int2",
    Text: "text",
    Uuid: "bytea",
}
"""Types that psycopg writes our values as, and whose bytes are those of the column's type."""
_WIRE_TYPES = [_WIRE_NAMES[type(reconciliation_log.c[name].type)] for name in COLUMNS]
_NAMES = ", ".join(COLUMNS)
_INSERT_ONE = (
    f"INSERT INTO reconciliation_log ({_NAMES}) "
    f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT DO NOTHING"
).encode()
_MAKE_ARRIVING = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS reconciliation_log_arriving "
    "(LIKE reconciliation_log) ON COMMIT DELETE ROWS"
)
_COPY, _COPY_ARRIVING = (
    f"COPY {table} ({_NAMES}) FROM STDIN (FORMAT BINARY)".encode()
    for table in ("reconciliation_log", "pg_temp.reconciliation_log_arriving")
)
_INSERT_ARRIVED = (
    f"INSERT INTO reconciliation_log ({_NAMES}) "
    f"SELECT {_NAMES} FROM pg_temp.reconciliation_log_arriving ON CONFLICT DO NOTHING"
).encode()
