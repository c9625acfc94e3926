"""How rows get into PostgreSQL: in one go, passing over what is there, naming what contradicts.

Many rows go in fastest by COPY, which knows no ``ON CONFLICT``. That a row is there already is
rare; only where COPY says so are the rows copied again, into a temporary table, and the new ones
inserted from there. Few go in faster as one INSERT. Either is one statement, which is a transaction
by itself: nobody has to begin or to commit it.
"""

from __future__ import annotations

import struct
from binascii import a2b_hex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Any

import psycopg
from psycopg import errors, postgres
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.string import BytesBinaryDumper
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

from audit.errors import StoreUnavailable
from audit.postgres_connection import PostgresConnection
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row
from audit.schema import reconciliation_log
from audit.store import InsertReport

_FEW = 50
"""Below this many rows an INSERT is faster than a COPY."""
_LOOK = (
    "look for triggers, rules and unique indexes on reconciliation_log that are not this software's"
)
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


def prepare_driver(driver: psycopg.Connection[Any]) -> None:
    """Teach a connection how to write what is in a row."""
    driver.adapters.register_dumper(Moment, MomentDumper)
    # COPY asks for the last one that was registered for a type. By default that is one in Python,
    # which also takes what wraps bytes, and for it each hash is a call.
    driver.adapters.register_dumper(bytes, BytesBinaryDumper)


def insert_rows(driver: PostgresConnection, rows: Iterable[Row]) -> InsertReport:
    """Insert rows in a transaction; see :meth:`audit.store.AuditStore.insert_batch`.

    Args:
        driver: a connection that was prepared, and commits each statement by itself.
        rows: any number, which can be gone through more than once.

    Raises:
        StoreUnavailable: rows are not there, for a reason that the database does not say.
        psycopg.Error: among them :data:`CONTENT_ERRORS`, for which a row is to blame.
    """
    rest = iter(rows)
    first = list(islice(rest, _FEW))
    if not first:
        return InsertReport(0)
    if len(first) < _FEW:
        asked, inserted = len(first), _insert_few(driver.inserting, first)
    else:
        asked, inserted = _insert_many(driver, chain(first, rest), rows)
    if inserted == asked:
        return InsertReport(inserted)
    contradictions = _contradictions(driver, list(rows))
    return InsertReport(inserted, asked - inserted - len(contradictions), contradictions)


@cache
def insertion(count: int) -> bytes:
    """Make the statement that inserts so many rows."""
    row = f"({', '.join(['%s'] * len(COLUMNS))})"
    return (
        f"INSERT INTO reconciliation_log ({_NAMES}) VALUES {', '.join([row] * count)} "
        "ON CONFLICT DO NOTHING"
    ).encode()


def hashes_of(driver: psycopg.Connection[Any], event_ids: Sequence[str]) -> dict[str, bytes]:
    """Look up the hashes of those of these events that the table holds."""
    return dict(
        driver.execute(
            "SELECT event_id::text, hash FROM reconciliation_log WHERE event_id = ANY(%s::uuid[])",
            [list(event_ids)],
        ).fetchall()
    )


def _insert_few(cursor: psycopg.Cursor[Any], rows: Sequence[Row]) -> int:
    values = [value for row in rows for value in as_parameters(row)]
    return cursor.execute(insertion(len(rows)), values).rowcount


def _insert_many(
    driver: psycopg.Connection[Any], rows: Iterator[Row], again: Iterable[Row]
) -> tuple[int, int]:
    try:
        count = copy_rows(driver, rows)
        return count, count
    except errors.UniqueViolation:
        with driver.transaction():
            return copy_new_rows(driver, again)


def copy_rows(driver: psycopg.Connection[Any], rows: Iterable[Row]) -> int:
    """Copy rows straight into the table, and count them.

    Raises:
        psycopg.errors.UniqueViolation: one of them is there already; none is inserted.
    """
    with driver.cursor() as cursor:
        return _copy(cursor, _COPY, rows)


def copy_new_rows(driver: psycopg.Connection[Any], rows: Iterable[Row]) -> tuple[int, int]:
    """Copy rows beside the table, and insert those that are not there already.

    Returns:
        How many there are, and how many were inserted.
    """
    with driver.cursor() as cursor:
        cursor.execute(_MAKE_ARRIVING)
        asked = _copy(cursor, _COPY_ARRIVING, rows)
        cursor.execute(_INSERT_ARRIVED)
        return asked, cursor.rowcount


def _copy(cursor: psycopg.Cursor[Any], statement: bytes, rows: Iterable[Row]) -> int:
    count = 0
    with cursor.copy(statement) as copy:
        copy.set_types(_WIRE_TYPES)
        for row in rows:
            copy.write_row(_as_copied(row))
            count += 1
    if cursor.rowcount != count:
        raise StoreUnavailable(
            f"the database kept {cursor.rowcount} of {count} rows and said nothing of the others: "
            f"{_LOOK}"
        )
    return count


def as_parameters(row: Row) -> list[Any]:
    """Return a row as the parameters of an :func:`insertion`."""
    values = list(row)
    for index in _TIMES:
        if values[index] is not None:
            values[index] = Moment(values[index])
    return values


def _as_copied(row: Row) -> list[Any]:
    """Return a row such that each value's bytes are those of its column's type."""
    values = list(row)
    for index in _TIMES:
        us = values[index]
        if us is not None:
            values[index] = us - _EPOCH_US
    for index, limit in _LIMITS:
        number = values[index]
        if number is not None and not -limit <= number < limit:
            raise OverflowError(f"{COLUMNS[index]}={number!r} is out of range")
    values[EVENT_ID] = a2b_hex(values[EVENT_ID].replace("-", ""))
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
        owner = owners.get((row[STREAM], row[SEQ]))
        if owner is None:
            raise StoreUnavailable(
                f"the database keeps event {row[EVENT_ID]} out, although neither it nor its place "
                f"{row[STREAM]}@{row[SEQ]} is there: {_LOOK}"
            )
        found[row[EVENT_ID]] = f"its place in its stream is taken by event {owner}"
    return found


_TIMES = tuple(
    index
    for index, name in enumerate(COLUMNS)
    if isinstance(reconciliation_log.c[name].type, DateTime)
)
_BITS = {SmallInteger: 15, Integer: 31}
_LIMITS = tuple(
    (index, 2 ** _BITS[kind])
    for index, name in enumerate(COLUMNS)
    if (kind := type(reconciliation_log.c[name].type)) in _BITS
)
"""Where in a row the short numbers are, each with the first one that its column cannot hold:
psycopg would cut off what is longer, without a word. It refuses what 64 bits cannot hold itself."""
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
