"""A choice of records in one file, Parquet or CSV, for other tools.

The file is written where the command runs, whatever machine the records are on: they come in
pages and are gathered in a scratch database beside the file, so memory stays bounded, and an
engine that runs is never held up for longer than a page takes.
"""

from __future__ import annotations

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import JSON, DateTime, LargeBinary, Uuid

from audit.errors import AuditError
from audit.queries import RecordQuery
from audit.rows import COLUMNS
from audit.schema import reconciliation_log
from audit.trail import Trail, pages


class ExportFormat(StrEnum):
    """What a file can be, by the end of its name."""

    PARQUET = "parquet"
    CSV = "csv"


class ExportFailed(AuditError):
    """The file could not be written; there is none, or the one that was there before."""


def format_of(file: Path) -> ExportFormat:
    """Say what a file is to be, by the end of its name.

    Raises:
        ValueError: it ends otherwise.
    """
    try:
        return ExportFormat(file.suffix.lower().removeprefix("."))
    except ValueError:
        raise ValueError(
            f"FILE={str(file)!r} is not allowed: its name must end in .parquet or .csv"
        ) from None


def export(trail: Trail, file: Path, query: RecordQuery, *, most: int | None = None) -> int:
    """Write the records that a query chooses into a file, in its order.

    The columns are those of the table ``reconciliation_log``. Times are, in Parquet, timestamps
    in UTC, in CSV ISO 8601 in UTC; hashes are binary, in CSV hexadecimal. The file appears whole,
    in place of one of that name.

    Args:
        trail: what to read.
        file: where; its folder must exist.
        query: which records; its ``limit`` is passed over.
        most: no more than this many; all if ``None``.

    Returns:
        How many records were written.

    Raises:
        ValueError: the name of the file ends in neither ``.parquet`` nor ``.csv``.
        ExportFailed: it cannot be written.
        AuditError: the trail cannot be read.
    """
    kind = format_of(file)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as scratch:
            count = _write(trail, Path(scratch), kind, query, most)
            (Path(scratch) / kind.value).replace(file)
    except (OSError, duckdb.Error) as error:
        raise ExportFailed(
            f"FILE={str(file)!r} cannot be written ({error}): see to its folder and to free space"
        ) from error
    return count


def _write(
    trail: Trail, scratch: Path, kind: ExportFormat, query: RecordQuery, most: int | None
) -> int:
    count = 0
    with duckdb.connect(str(scratch / "gathered")) as gathered:
        # One thread keeps few groups of rows in memory, and their order.
        gathered.execute("SET threads = 1").fetchall()
        gathered.execute("SET memory_limit = '512MB'").fetchall()
        columns = ", ".join(f"{name} {kept}" for name, kept in _KEPT.items())
        gathered.execute(f"CREATE TABLE rows ({columns})").fetchall()
        native: Any = gathered
        for page in pages(trail, query, most=most):
            appender = native.query_appender("INSERT INTO rows SELECT * FROM appender_data", _KEPT)
            appender.append_rows(page)
            appender.flush()
            count += len(page)
        chosen = ", ".join(_written(name, kind) for name in _ORDER)
        options = (
            "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
            if kind is ExportFormat.PARQUET
            else ("FORMAT csv, HEADER")
        )
        gathered.execute(
            f"COPY (SELECT {chosen} FROM rows) TO $file ({options})",
            {"file": str(scratch / kind.value)},
        ).fetchall()
    return count


def _kept(name: str) -> str:
    kind = reconciliation_log.c[name].type
    if isinstance(kind, DateTime):
        return "BIGINT"
    if isinstance(kind, LargeBinary):
        return "BLOB"
    return "VARCHAR" if isinstance(kind, JSON | Uuid) else str(kind)


def _written(name: str, kind: ExportFormat) -> str:
    column = reconciliation_log.c[name].type
    if isinstance(column, DateTime):
        if kind is ExportFormat.PARQUET:
            return f"make_timestamptz({name}) AS {name}"
        return f"strftime(make_timestamp({name}), '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"
    if isinstance(column, LargeBinary) and kind is ExportFormat.CSV:
        return f"lower(hex({name})) AS {name}"
    return name


_KEPT = {name: _kept(name) for name in COLUMNS}
_ORDER = tuple(column.name for column in reconciliation_log.columns)
