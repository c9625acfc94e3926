"""A PostgreSQL database opened for reading only: nothing is made, migrated or locked."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.postgres_session import native
from audit.postgres_store import PostgresStore
from audit.schema import check_for_reading


class ReadOnlyPostgres(PostgresStore):
    """A :class:`audit.postgres_store.PostgresStore` that can only be read.

    The right to read is enough, and any number may read while an engine fills the database.
    """

    def _take_over(self, connection: Connection) -> None:
        """Check that the schema can be read as it is.

        Raises:
            NewerSchema: a newer version of this software made it.
            StoreUnavailable: there is none, or an older version made it.
        """
        with native(connection).cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        native(connection).commit()
        with self._transaction(opening=True) as opened:
            check_for_reading(opened, self._session.where)
