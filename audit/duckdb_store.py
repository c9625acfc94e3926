"""The store in a DuckDB file: the embedded default.

Facts that shaped it (DuckDB 2.0): rows go in by an appender, which is two hundred times faster
than single statements; a table with triggers refuses ``ON CONFLICT``, so duplicates are found by
a look-up, and only after the primary key has shown that there are any; one process owns the file;
an open result blocks the appender, so every result is fetched to its end.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Integer,
    Select,
    StaticPool,
    Text,
    Uuid,
    cast,
    create_engine,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from audit.beside import Beside
from audit.chain import ChainHead
from audit.errors import JournalUnavailable, StoreDamaged, StoreInUse, StoreUnavailable
from audit.queries import RecordQuery
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row
from audit.schema import migrate, reconciliation_log
from audit.store import InsertReport, Meanwhile, RowsRefused, StoreOpened, StreamExtent
from engine.clock import Clock, SystemClock, to_datetime

logger = logging.getLogger(__name__)

_NOT_DAMAGE = re.compile(
    "Permission denied|No space left|Cannot open file|Is a directory|Read-only file system"
    "|version number|different configuration|Too many open files|Out of Memory|conflict",
    re.IGNORECASE,
)
"""Reasons not to open a file that lie outside the file."""
_SLICE = 100
"""Rows handed over in one call: no other thread runs meanwhile, about a millisecond."""


class DuckDBStore:
    """An :class:`audit.store.AuditStore` in one DuckDB file.

    Args:
        path: the file; its folder is made if missing.
        clock: dates files that are set aside.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        """Name the file; nothing is opened yet."""
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._beside = Beside("audit-duckdb")

    @property
    def is_open(self) -> bool:
        """Whether it can be asked something."""
        return self._connection is not None

    def open(self) -> StoreOpened:
        """Open the file and bring its schema up to date.

        A file that cannot be read is renamed, never deleted, and a new one is begun.

        Raises:
            StoreInUse: another process owns the file.
            NewerSchema: a newer version of this software made it.
            StoreUnavailable: it cannot be opened for a reason outside of it.
        """
        with self._lock:
            if self._connection is not None:
                return StoreOpened()
            try:
                self._connect()
            except StoreDamaged as damage:
                moved = self._move_away()
                logger.error(
                    "audit store %s cannot be read (%s): moved to %s, a new one is begun",
                    self.path,
                    damage,
                    moved,
                )
                self._connect()
                return StoreOpened(str(moved), str(damage))
            return StoreOpened()

    def close(self) -> None:
        """Let go of the file; harmless when done twice."""
        with self._lock:
            self._beside.close()
            connection, engine = self._connection, self._engine
            self._connection = self._engine = None
            for opened in (connection, engine):
                try:
                    if isinstance(opened, Connection):
                        opened.close()
                    elif opened is not None:
                        opened.dispose()
                except (duckdb.Error, SQLAlchemyError) as error:
                    logger.warning("audit store %s did not close cleanly: %s", self.path, error)

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert rows in one transaction; see :meth:`audit.store.AuditStore.insert_batch`."""
        try:
            with self._lock, self._explained(), self._opened().begin() as transaction:
                count = self._append(transaction.connection, rows, meanwhile)
                self._beside.do(transaction.commit, meanwhile)
                return InsertReport(count)
        except _DuplicateKey:
            rows = list(rows)
            with self._transaction() as connection:
                new, contradictions = self._sift(connection, rows)
                if new:
                    self._append(connection, new, meanwhile)
            known = len(rows) - len(new) - len(contradictions)
            return InsertReport(len(new), known, contradictions)

    def count(self) -> int:
        """Count all records."""
        return int(self._read(select(func.count()).select_from(reconciliation_log))[0][0])

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        log = reconciliation_log.c
        rows = self._read(
            select(log.stream, func.max(log.seq), func.arg_max(log.hash, log.seq), func.count())
            .group_by(log.stream)
            .order_by(log.stream)
        )
        return [StreamExtent(ChainHead(*row[:3]), row[3]) for row in rows]

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        """Look up the hashes of those of these events that it holds."""
        with self._transaction() as connection:
            rows = (
                _native(connection)
                .execute(
                    "SELECT event_id::VARCHAR, hash FROM reconciliation_log "
                    "WHERE event_id IN (SELECT unnest(?::UUID[]))",
                    [list(event_ids)],
                )
                .fetchall()
            )
        return dict(rows)

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        return self._read(query.choose(_READING))

    def select(self, statement: Select[Any]) -> list[tuple[Any, ...]]:
        """Run a statement over the table; see :class:`audit.totals.Selects`."""
        return self._read(statement)

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        log = reconciliation_log.c
        return self._read(
            select(*_READING)
            .where(log.stream.in_(streams), log.seq > after, log.seq <= up_to)
            .order_by(log.stream, log.seq)
        )

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read rows as they lie; see :meth:`audit.store.AuditStore.scan`.

        A page is a range of row ids, which are given in the order of insertion; between two pages
        the store can be filled.
        """
        statement = select(*_READING)
        if streams is not None:
            statement = statement.where(reconciliation_log.c.stream.in_(streams))
        if recorded_since is not None:
            moment = to_datetime(recorded_since)
            statement = statement.where(reconciliation_log.c.recorded_at >= moment)
        row_id: ColumnElement[int] = literal_column("rowid", Integer)
        ((last,),) = self._read(select(func.max(row_id)).select_from(reconciliation_log))
        for first in range(0, -1 if last is None else last + 1, page):
            end = min(first + page, last + 1)
            rows = self._read(statement.where(row_id >= first, row_id < end))
            if rows:
                yield rows

    def checkpoint(self) -> None:
        """Write everything into the file itself and empty DuckDB's own log."""
        with self._lock, self._explained():
            _native(self._opened()).execute("CHECKPOINT").fetchall()

    def _connect(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"store={str(self.path)!r}: its folder cannot be made ({error})"
            ) from error
        engine = create_engine(URL.create("duckdb", database=str(self.path)), poolclass=StaticPool)
        try:
            connection = engine.connect()
            # Our own checkpoints decide when the journal may forget: let DuckDB's come rarely.
            connection.exec_driver_sql("SET checkpoint_threshold = '256MB'")
            connection.commit()
            with connection.begin():
                migrate(connection, f"store={str(self.path)!r}")
        except (duckdb.Error, SQLAlchemyError) as error:
            engine.dispose()
            raise self._explain(error, opening=True) from error
        except BaseException:
            engine.dispose()
            raise
        self._engine, self._connection = engine, connection

    def _move_away(self) -> Path:
        moment = to_datetime(self._clock.wall_us()).strftime("%Y%m%dT%H%M%S.%fZ")
        moved = self.path.with_name(f"{self.path.name}.damaged-{moment}")
        log = self.path.with_name(self.path.name + ".wal")
        try:
            if log.exists():
                log.rename(moved.with_name(moved.name + ".wal"))
            return self.path.rename(moved)
        except OSError as error:
            raise StoreUnavailable(
                f"store={str(self.path)!r} cannot be read, nor moved away ({error}): "
                "move it by hand"
            ) from error

    def _opened(self) -> Connection:
        if self._connection is None:
            raise StoreUnavailable(f"store={str(self.path)!r} is not open")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, self._explained():
            connection = self._opened()
            with connection.begin():
                yield connection

    def _read(self, statement: Select[Any]) -> list[Row]:
        with self._transaction() as connection:
            return [tuple(row) for row in connection.execute(statement).fetchall()]

    def _append(
        self, connection: Connection, rows: Iterable[Row], meanwhile: Meanwhile | None
    ) -> int:
        appender = _native(connection).query_appender(_INSERT, _SOURCE)
        try:
            count = 0
            rest = iter(rows)
            while piece := list(islice(rest, _SLICE)):
                appender.append_rows(piece)
                count += len(piece)
            self._beside.do(appender.flush, meanwhile)
            return count
        except duckdb.ConstraintException as error:
            if "NOT NULL" in str(error):
                raise RowsRefused(f"store={str(self.path)!r} refuses a row: {error}") from error
            raise _DuplicateKey(str(error)) from error
        except (duckdb.DataError, duckdb.InvalidInputException, UnicodeError) as error:
            appender.clear()  # or it warns of what it dropped
            raise RowsRefused(f"store={str(self.path)!r} refuses a row: {error}") from error
        except JournalUnavailable:
            appender.clear()
            raise

    def _sift(
        self, connection: Connection, rows: Sequence[Row]
    ) -> tuple[list[Row], dict[str, str]]:
        """Part new rows from known ones and from those that contradict what is there."""
        native = _native(connection)
        hashes: dict[str, bytes] = dict(
            native.execute(
                "SELECT event_id::VARCHAR, hash FROM reconciliation_log "
                "WHERE event_id IN (SELECT unnest(?::UUID[]))",
                [[row[EVENT_ID] for row in rows]],
            ).fetchall()
        )
        places: dict[tuple[str, int], str] = {
            (stream, seq): event_id
            for stream, seq, event_id in native.execute(
                "SELECT stream, seq, event_id::VARCHAR FROM reconciliation_log "
                "WHERE (stream, seq) IN (SELECT unnest(?::VARCHAR[]), unnest(?::BIGINT[]))",
                [[row[STREAM] for row in rows], [row[SEQ] for row in rows]],
            ).fetchall()
        }
        new: list[Row] = []
        contradictions: dict[str, str] = {}
        for row in rows:
            event_id, place = row[EVENT_ID], (row[STREAM], row[SEQ])
            known, owner = hashes.get(event_id), places.get(place)
            if known is None and owner is None:
                new.append(row)
                hashes[event_id], places[place] = row[HASH], event_id
            elif known is None:
                contradictions[event_id] = f"its place in its stream is taken by event {owner}"
            elif known != row[HASH]:
                contradictions[event_id] = "the store holds the same event with another hash"
        return new, contradictions

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, SQLAlchemyError) as error:
            raise self._explain(error, opening=False) from error

    def _explain(self, error: Exception, *, opening: bool) -> StoreUnavailable:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        text = str(cause).strip().splitlines()[0]
        where = f"store={str(self.path)!r}"
        if "Could not set lock" in text:
            return StoreInUse(
                f"{where} is open in another process ({text}): DuckDB allows one at a time. Stop "
                "that process, read through the running engine, or name another file"
            )
        outside = isinstance(cause, duckdb.ProgrammingError | duckdb.NotSupportedError)
        if not opening or outside or _NOT_DAMAGE.search(text):
            return StoreUnavailable(f"{where} cannot be used ({text})")
        return StoreDamaged(f"{where} cannot be read ({text})")


class _DuplicateKey(Exception):
    """A batch holds a row that the table holds already."""


def _native(connection: Connection) -> Any:
    """Reach DuckDB's own connection: appenders and lists as parameters are not in SQLAlchemy."""
    return connection.connection.driver_connection


def _reading(name: str) -> ColumnElement[Any]:
    """Read a column as :mod:`audit.rows` has it: times as integers, the rest as text."""
    column = reconciliation_log.c[name]
    if isinstance(column.type, DateTime):
        return func.epoch_us(column).label(name)
    if isinstance(column.type, JSON | Uuid):
        return cast(column, Text).label(name)
    return column


def plain_type(name: str) -> str:
    """Name the type in which a column's values arrive: times as integers, the rest as text."""
    kind = reconciliation_log.c[name].type
    if isinstance(kind, DateTime):
        return "BIGINT"
    return "VARCHAR" if isinstance(kind, JSON | Uuid) else str(kind)


def _source_expression(name: str) -> str:
    is_time = isinstance(reconciliation_log.c[name].type, DateTime)
    return f"make_timestamptz({name})" if is_time else name


_READING = [_reading(name) for name in COLUMNS]
_SOURCE = {name: plain_type(name) for name in COLUMNS}
_INSERT = (
    f"INSERT INTO reconciliation_log ({', '.join(COLUMNS)}) "
    f"SELECT {', '.join(map(_source_expression, COLUMNS))} FROM appender_data"
)
