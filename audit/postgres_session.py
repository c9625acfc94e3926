"""How a PostgreSQL database is reached: with deadlines, durable commits, and no secret shown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from audit.errors import StoreUnavailable
from audit.postgres_connection import PostgresConnection
from audit.postgres_insert import prepare_driver
from audit.store import Meanwhile
from engine.brokers.redaction import Redaction
from engine.store_url import shown_url, split_password

logger = logging.getLogger(__name__)

_SCHEME = "postgresql+psycopg"
_OLDEST = 140_000
_GRACE_S = 5.0
"""How much later than the server's own deadline ours comes, in case the server does not answer."""
_CONNECTING = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "application_name": "risk-engine audit",
}
"""libpq's settings, unless the URL says otherwise; times in seconds."""


class PostgresSession:
    """Opens connections to one database, bounds what is done on them, and explains failures.

    Args:
        url: ``postgresql+psycopg://user:password@host:port/database``.
        deadline_s: seconds after which a transaction is ended, whatever it does.

    Raises:
        ValueError: the URL is not one of this kind.
    """

    def __init__(self, url: str, *, deadline_s: float) -> None:
        """Read the URL; nothing is opened yet."""
        self.where = f"store={shown_url(url)!r}"
        self._deadline_s = deadline_s
        self._url = self._read(url)
        self._redaction = Redaction(self._url.password)

    def connect(self) -> tuple[Engine, Connection]:
        """Open a connection whose commits are durable.

        Raises:
            StoreUnavailable: the server does not suit.
            psycopg.Error: it cannot be reached.
            SQLAlchemyError: it cannot be reached.
        """
        given = dict(self._url.query)
        engine = create_engine(
            self._url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={name: value for name, value in _CONNECTING.items() if name not in given},
            isolation_level="READ COMMITTED",
        )
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", self._prepare)
        try:
            connection = engine.connect()
            try:
                self._check(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            engine.dispose()
            raise
        native(connection).give_up_after(None)
        return engine, connection

    def bounded(
        self, connection: Connection, meanwhile: Meanwhile | None = None
    ) -> AbstractContextManager[None]:
        """Cut the connection off some time past the deadline.

        The server ends a long statement itself. This is for a server that says nothing any more.

        Args:
            connection: it.
            meanwhile: to be done whenever the block would wait for the server.
        """
        return native(connection).bounded(self._patience_s, meanwhile)

    def describe(self, error: BaseException) -> str:
        """Say in one line what went wrong, without any secret."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        text = self._redaction(str(cause).strip())
        return shown_url(text.splitlines()[0] if text else type(cause).__name__)

    def says_no_secret(self, error: BaseException) -> bool:
        """Whether neither ``error`` nor what led to it says a secret."""
        return self._redaction.is_clean(error)

    def _read(self, text: str) -> URL:
        wanted = f"it must be '{_SCHEME}://user:password@host:5432/database'"
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            url = None
        if url is None or url.drivername != _SCHEME or not url.database:
            raise ValueError(f"audit={shown_url(text)!r} is not allowed: {wanted}")
        split_password(text)  # refuses one whose end is not clear: the rest would be shown
        return url

    @property
    def _patience_s(self) -> float:
        return self._deadline_s + _GRACE_S

    def _connect(
        self, _: object, __: object, args: Sequence[Any], options: dict[str, Any]
    ) -> PostgresConnection:
        connection = PostgresConnection.connect(*args, **options)
        # SQLAlchemy asks the server several things before anyone else has the connection.
        connection.give_up_after(self._patience_s)
        return connection

    def _prepare(self, driver: psycopg.Connection[Any], _: object) -> None:
        # Statements, not connection options: these need no consent of a proxy in between.
        prepare_driver(driver)
        milliseconds = int(self._deadline_s * 1000)
        with driver.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {milliseconds}".encode())
            cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}".encode())
            cursor.execute("SET client_encoding = 'UTF8'")
            # The journal forgets what was committed here, so "committed" has to mean "on disk".
            # 'local' and more are kept: waiting for a standby is the administrator's choice.
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        driver.commit()

    def _check(self, connection: Connection) -> None:
        row = connection.exec_driver_sql(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
            ", current_setting('fsync'), current_setting('full_page_writes')"
        ).one()
        connection.rollback()
        version, encoding, *safeguards = row
        if version < _OLDEST:
            raise StoreUnavailable(
                f"{self.where} runs PostgreSQL {version // 10_000}: 14 or newer is needed"
            )
        if encoding != "UTF8":
            raise StoreUnavailable(
                f"{self.where} has the encoding {encoding}, which cannot hold every text: make the "
                "database with ENCODING 'UTF8'"
            )
        for name, value in zip(("fsync", "full_page_writes"), safeguards, strict=True):
            if value != "on":
                logger.warning(
                    "audit %s runs with %s=%s: a crash of its machine may lose records that the "
                    "journal has forgotten; set it to on",
                    self.where,
                    name,
                    value,
                )


def native(connection: Connection) -> PostgresConnection:
    """Reach the driver's connection: COPY and arrays as parameters are not in SQLAlchemy."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, PostgresConnection)
    return driver
