"""The statement with which DuckDB takes sealed records apart, and proves that it did so exactly.

From the columns it writes the record's members again, as canonical JSON, and compares: only a
record that comes out to the byte gets its hash. DuckDB writes a ``DOUBLE`` with the same digits as
Python (the shortest that read back as the same number). Where it should not, the text differs,
nothing is inserted, and the record is taken apart in Python.
"""

from __future__ import annotations

import json

from sqlalchemy import JSON, Column, DateTime, Text, Uuid

from audit import canonical
from audit.chain import NO_HASH
from audit.records import MEMBERS
from audit.rows import COLUMNS, SEALED_COLUMNS
from audit.schema import reconciliation_log

_TEXTS = (Text, Uuid)
_LABELS = ("event_id", "stream", "seq")
"""Members whose value is taken from the label; the proof compares it with the content's."""
_NOT_PROVEN = "a record does not come out of its columns as it went in"


def plain_type(name: str) -> str:
    """Name the type in which a column's values arrive: times as integers, the rest as text."""
    kind = reconciliation_log.c[name].type
    if isinstance(kind, DateTime):
        return "BIGINT"
    return "VARCHAR" if isinstance(kind, JSON | Uuid) else str(kind)


def _column(name: str) -> Column[object]:
    return reconciliation_log.c[name]


def _arrived(name: str) -> str:
    """Say where a column's value comes from."""
    if name == "hash_version":
        return str(canonical.VERSION)
    return f"m.{name}" if name in MEMBERS and name not in _LABELS else name


def _stored(name: str) -> str:
    """Turn what arrived into the column's type."""
    value, kind = _arrived(name), _column(name).type
    if name == "hash":
        return f"CASE WHEN {_PROOF} THEN hash ELSE error('{_NOT_PROVEN}') END"
    if isinstance(kind, DateTime):
        return f"make_timestamptz({value})"
    return f"CAST({value} AS UUID)" if isinstance(kind, Uuid) else value


def _rewritten(name: str) -> str:
    """Write a member's value as canonical JSON again, from what the column will hold."""
    value, column = _stored(name), _column(name)
    if isinstance(column.type, DateTime):
        value = f"epoch_us({value})"
    value = f"CAST({value} AS VARCHAR)"
    if isinstance(column.type, _TEXTS):
        value = f"'\"' || {value} || '\"'"
    return f"coalesce({value}, 'null')" if column.nullable else value


def _rewritten_members() -> str:
    pieces = [f"'\"{name}\":', {_rewritten(name)}" for name in MEMBERS]
    return "concat('{', " + ", ',', ".join(pieces) + ", '}')"


_PROOF = f"{_rewritten_members()} = members AND octet_length(prev_hash) = {len(NO_HASH)}"
_PARSED = json.dumps({name: plain_type(name) for name in MEMBERS if name not in _LABELS})

SOURCE = {name: "VARCHAR" if name == "members" else plain_type(name) for name in SEALED_COLUMNS}
"""Names and types of a :data:`audit.rows.SealedRow`'s values."""
INSERT = (
    f"INSERT INTO reconciliation_log ({', '.join(COLUMNS)}) "
    f"SELECT {', '.join(map(_stored, COLUMNS))} "
    f"FROM (SELECT *, from_json(members, '{_PARSED}') AS m FROM appender_data)"
)
"""Inserts rows of :data:`SOURCE`; an error of one undoes all."""
