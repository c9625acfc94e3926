"""A DuckDB file opened for reading only: nothing is made, migrated, mended or moved away."""

from __future__ import annotations

import duckdb
from sqlalchemy import StaticPool, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from audit.duckdb_store import DuckDBStore
from audit.errors import StoreDamaged
from audit.schema import check_for_reading
from audit.store import StoreOpened


class ReadOnlyDuckDB(DuckDBStore):
    """A :class:`audit.duckdb_store.DuckDBStore` that can only be read.

    Several readers may have the file open at a time, but no engine: one that is started meanwhile
    is told that the file is in use.
    """

    def open(self) -> StoreOpened:
        """Open the file as it is.

        Raises:
            StoreInUse: another process writes to it.
            NewerSchema: a newer version of this software made it.
            StoreUnavailable: it cannot be read; it stays where it is.
        """
        with self._lock:
            if self._connection is None:
                try:
                    self._connect()
                except StoreDamaged as damage:
                    raise StoreDamaged(
                        f"{damage}. It was left as it is: start the engine on it, which moves it "
                        "away and fills a new one with what its journal still has, or put a "
                        "backup in its place"
                    ) from damage
            return StoreOpened()

    def _connect(self) -> None:
        engine = create_engine(
            URL.create("duckdb", database=str(self.path)),
            poolclass=StaticPool,
            connect_args={"read_only": True},
        )
        try:
            connection = engine.connect()
            # Of the whole machine's memory DuckDB would keep most: a reader is a guest on it.
            connection.exec_driver_sql("SET memory_limit = '1GB'")
            connection.commit()
            with connection.begin():
                check_for_reading(connection, f"store={str(self.path)!r}")
        except (duckdb.Error, SQLAlchemyError) as error:
            engine.dispose()
            raise self._explain(error, opening=True) from error
        except BaseException:
            engine.dispose()
            raise
        self._engine, self._connection = engine, connection
