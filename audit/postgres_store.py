"""The store in a PostgreSQL database, 14 or newer.

A commit is on disk when it returns, so a checkpoint has nothing to add. A session has settings and
a temporary table, so a proxy in between must pool sessions, not transactions. A standby that is
promoted may lack the last commits of its predecessor, unless that waited for it
(``synchronous_standby_names``): what the journal still remembers is filled in again when the store
is opened, and the rest is named as a gap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Select,
    Text,
    Uuid,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from audit.chain import ChainHead
from audit.errors import StoreUnavailable
from audit.postgres_insert import CONTENT_ERRORS, hashes_of, insert_rows
from audit.postgres_owner import PostgresOwner
from audit.postgres_session import PostgresSession, native
from audit.queries import RecordQuery
from audit.rows import COLUMNS, Row
from audit.schema import is_empty, migrate, reconciliation_log
from audit.store import InsertReport, Meanwhile, RowsRefused, StoreOpened, StreamExtent
from engine.clock import to_datetime

logger = logging.getLogger(__name__)

_DATABASE_ERRORS = (psycopg.Error, SQLAlchemyError)


class PostgresStore:
    """An :class:`audit.store.AuditStore` in one PostgreSQL database.

    The role needs the rights of :func:`audit.roles.role_statements`; only the first one to open
    a new database, or one of an older version, needs to be its owner.

    Args:
        url: ``postgresql+psycopg://user:password@host:port/database``.
        deadline_s: seconds after which a transaction is given up, whatever it does.
        owner_number: see :class:`audit.postgres_owner.PostgresOwner`.

    Raises:
        ValueError: the URL is not one of this kind.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = 120.0,
        owner_number: Callable[[], int | None] | None = None,
    ) -> None:
        """Name the database; nothing is opened yet."""
        self._session = PostgresSession(url, deadline_s=deadline_s)
        self._owner = PostgresOwner(
            self._session.where, patience_s=min(5.0, deadline_s / 2), number=owner_number
        )
        self._lock = threading.RLock()
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be asked something."""
        return self._connection is not None

    def open(self) -> StoreOpened:
        """Connect, take the right to fill it, and bring the schema up to date.

        Raises:
            StoreInUse: another engine fills it.
            NewerSchema: a newer version of this software made it.
            StoreUnavailable: it cannot be reached, or does not suit; the message says why.
        """
        with self._lock:
            if self._connection is None:
                with self._explained(opening=True):
                    self._engine, self._connection = self._session.connect()
                try:
                    self._take_over(self._connection)
                except BaseException:
                    self.close()
                    raise
            return StoreOpened()

    def _take_over(self, connection: Connection) -> None:
        """Take the right to fill it, and bring the schema up to date.

        The lock is on the table, so that comes first where there is none. Otherwise an engine that
        is refused would have changed the schema under the one that runs.
        """
        with self._transaction(opening=True) as opened:
            if is_empty(opened, self._session.where):
                migrate(opened, self._session.where)
        with self._explained(opening=True), self._session.bounded(connection):
            self._owner.take(native(connection))
        with self._transaction(opening=True) as opened:
            migrate(opened, self._session.where)
        # From here on one statement does it all, and is a transaction by itself.
        connection.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Let go of the database; harmless when done twice."""
        with self._lock:
            connection, engine = self._connection, self._engine
            self._connection = self._engine = None
            for opened in (connection, engine):
                try:
                    if isinstance(opened, Connection):
                        if not opened.invalidated and _is_useless(opened):
                            opened.invalidate()  # or SQLAlchemy would end a transaction first
                        opened.close()
                    elif opened is not None:
                        opened.dispose()
                except (psycopg.Error, SQLAlchemyError) as error:
                    logger.warning(
                        "audit %s did not close cleanly: %s",
                        self._session.where,
                        self._session.describe(error),
                    )

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert rows in one transaction; see :meth:`audit.store.AuditStore.insert_batch`."""
        with self._in_use(meanwhile=meanwhile) as connection:
            try:
                return insert_rows(native(connection), rows)
            except CONTENT_ERRORS as error:
                said = self._session.describe(error)
                raise RowsRefused(f"{self._session.where} refuses a row: {said}") from None
            except StoreUnavailable as error:
                raise StoreUnavailable(f"{self._session.where}: {error}") from None

    def count(self) -> int:
        """Count all records."""
        return int(self._read(select(func.count()).select_from(reconciliation_log))[0][0])

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        log = reconciliation_log.c
        ends = (
            select(log.stream, func.max(log.seq).label("last"), func.count().label("records"))
            .group_by(log.stream)
            .subquery()
        )
        rows = self._read(
            select(log.stream, log.seq, log.hash, ends.c.records)
            .join(ends, (log.stream == ends.c.stream) & (log.seq == ends.c.last))
            .order_by(log.stream)
        )
        return [StreamExtent(ChainHead(*row[:3]), row[3]) for row in rows]

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        """Look up the hashes of those of these events that it holds."""
        with self._transaction() as connection:
            return hashes_of(native(connection), list(event_ids))

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        return self._read(query.choose(_READING))

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

        A page is a range of the table's blocks, read in a transaction of its own, so that no
        transaction lasts for long however large the table is.
        """
        statement = select(*_READING)
        if streams is not None:
            statement = statement.where(reconciliation_log.c.stream.in_(streams))
        if recorded_since is not None:
            moment = to_datetime(recorded_since)
            statement = statement.where(reconciliation_log.c.recorded_at >= moment)
        ((blocks,),) = self._read(_BLOCKS)
        step = max(1, page // _ROWS_IN_BLOCK)
        for first in range(0, blocks, step):
            # The last page has no end: what is inserted meanwhile may make the table longer.
            behind = _place(first) <= _PLACE
            pages = [behind] if first + step >= blocks else [behind, _place(first + step) > _PLACE]
            rows = self._read(statement.where(*pages))
            if rows:
                yield rows

    def checkpoint(self) -> None:
        """Do nothing: what was committed is on disk, for the session sees to that when it opens."""
        with self._lock:
            self._opened()

    def _opened(self) -> Connection:
        if self._connection is None:
            raise StoreUnavailable(f"{self._session.where} is not open")
        return self._connection

    @contextmanager
    def _transaction(self, *, opening: bool = False) -> Iterator[Connection]:
        with self._in_use(opening=opening) as connection, connection.begin():
            yield connection

    @contextmanager
    def _in_use(
        self, *, opening: bool = False, meanwhile: Meanwhile | None = None
    ) -> Iterator[Connection]:
        with self._lock:
            connection = self._opened()
            try:
                with self._session.bounded(connection, meanwhile):
                    yield connection
            except BaseException as error:
                if _is_useless(connection):
                    self.close()
                if isinstance(error, _DATABASE_ERRORS):
                    raise self._explain(error, opening=opening) from self._cause(error)
                raise

    def _read(self, statement: Select[Any]) -> list[Row]:
        with self._transaction() as connection:
            return [tuple(row) for row in connection.execute(statement).fetchall()]

    @contextmanager
    def _explained(self, *, opening: bool) -> Iterator[None]:
        try:
            yield
        except _DATABASE_ERRORS as error:
            raise self._explain(error, opening=opening) from self._cause(error)

    def _cause(self, error: Exception) -> Exception | None:
        return error if self._session.says_no_secret(error) else None

    def _explain(self, error: Exception, *, opening: bool) -> StoreUnavailable:
        cause = error.orig if isinstance(error, DBAPIError) else error
        advice = ""
        if isinstance(cause, errors.InsufficientPrivilege):
            advice = "; the rights of each role are in audit/roles.py"
            if opening:
                advice += ", and a new database is first opened by its owner"
        elif opening and self._connection is None:
            advice = (
                "; check that the server runs and that the URL's host, port, database, user and "
                "password are right"
            )
        text = self._session.describe(error)
        return StoreUnavailable(f"{self._session.where} cannot be used ({text}{advice})")


def _is_useless(connection: Connection) -> bool:
    """Whether a connection was lost, or left in the middle of something."""
    # SQLAlchemy would connect anew by itself: that is our caller's to do.
    if connection.closed or connection.invalidated or native(connection).closed:
        return True
    return native(connection).info.transaction_status is not TransactionStatus.IDLE


def _reading(name: str) -> ColumnElement[Any]:
    """Read a column as :mod:`audit.rows` has it: times as integers, the rest as text."""
    column = reconciliation_log.c[name]
    if isinstance(column.type, DateTime):  # exact: extract() gives a decimal number
        return cast(func.extract("epoch", column) * 1_000_000, BigInteger).label(name)
    if isinstance(column.type, JSON | Uuid):
        return cast(column, Text).label(name)
    return column


def _place(block: int) -> ColumnElement[Any]:
    """Name the beginning of a block of the table."""
    return literal_column(f"'({block},0)'::tid")


_PLACE: ColumnElement[Any] = literal_column("ctid")
_ROWS_IN_BLOCK = 10
"""How many rows share a block of 8 KiB, at most, unless they are unusually small."""
_BLOCKS = select(
    literal_column(
        f"pg_relation_size('{reconciliation_log.name}') / current_setting('block_size')::bigint",
        BigInteger,
    )
)
_READING = [_reading(name) for name in COLUMNS]
