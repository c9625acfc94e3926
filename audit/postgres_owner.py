"""Makes one engine the only one that fills a PostgreSQL database.

Two engines with journals of their own would take each other's records for foreign ones. So whoever
opens a database to fill it holds an advisory lock of the session, on the table, until it lets go or
its connection ends. Readers hold none.

A connection that is lost may live on at the server, with the lock. The server is told to look for
clients that are gone, which takes some 25 s; and a session that was this store's own, as a second
lock of it shows, is ended by the store itself when it comes back. That holds for the next process,
too, where the number that it shows comes from its lock on the journal: whoever showed it before has
lost that lock, so it is dead. An engine on a copied journal shows another number, and is refused.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors

from audit.errors import StoreInUse
from audit.schema import reconciliation_log

logger = logging.getLogger(__name__)

_FILLING = 7_233_017
_OURS = 7_233_018
"""First halves of the locks' keys; the second ones are the table's oid, and the store's number."""
_KEY = f"({_FILLING}::bigint << 32) | '{reconciliation_log.name}'::regclass::oid::bigint"
_GONE_CLIENTS = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 25000",  # while it waits for an answer, keepalives do not count
)
_MARK = "SELECT pg_advisory_lock_shared(%s::int, %s::int)"
_HOLDER = f"""
SELECT held.pid, seen.usename, seen.client_addr::text, seen.backend_start, EXISTS (
    SELECT 1 FROM pg_locks own WHERE own.locktype = 'advisory' AND own.pid = held.pid
    AND own.database = held.database AND own.classid = {_OURS} AND own.objid = %s::oid
    AND own.objsubid = 2 AND own.granted
)
FROM pg_locks held LEFT JOIN pg_stat_activity seen ON seen.pid = held.pid
WHERE held.locktype = 'advisory' AND held.classid = {_FILLING} AND held.objsubid = 1
AND held.objid = '{reconciliation_log.name}'::regclass::oid AND held.granted
AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class PostgresOwner:
    """One store's right to fill its database.

    Args:
        where: names the database in errors.
        patience_s: seconds to wait for another's session that is just ending.
        number: returns what tells this engine's sessions from others', 0 to 2³¹ - 1: nobody else
            that lives may have it. Without it, or where it has none, one is drawn for the store.
    """

    def __init__(
        self,
        where: str,
        *,
        patience_s: float = 5.0,
        number: Callable[[], int | None] | None = None,
    ) -> None:
        """Nothing is locked yet."""
        self._where = where
        self._patience_ms = max(1, int(patience_s * 1000))
        self._drawn = secrets.randbelow(2**31)
        self._told = number

    def take(self, driver: psycopg.Connection[Any]) -> None:
        """Take the right for as long as a connection lives, which must be in no transaction.

        Raises:
            StoreInUse: another engine has it; the message says what to do.
            psycopg.Error: the server does not answer.
        """
        with driver.transaction(), driver.cursor() as cursor:
            for statement in _GONE_CLIENTS:
                cursor.execute(statement)
            cursor.execute(_MARK, (_OURS, self.number))
        holder = self._holder(driver)
        if holder is not None and holder[-1]:
            self._end_own(driver, holder[0])
        try:
            with driver.transaction(), driver.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {self._patience_ms}".encode())
                cursor.execute(f"SELECT pg_advisory_lock({_KEY})".encode())
        except (errors.LockNotAvailable, errors.QueryCanceled):
            raise StoreInUse(self._in_use(self._holder(driver))) from None

    @property
    def number(self) -> int:
        """What tells this engine's sessions from others'."""
        told = None if self._told is None else self._told()
        return self._drawn if told is None else told

    def _end_own(self, driver: psycopg.Connection[Any], pid: int) -> None:
        """End an earlier session of ours, on a connection that was lost."""
        try:
            with driver.transaction():
                driver.execute("SELECT pg_terminate_backend(%s)", (pid,))
        except errors.InsufficientPrivilege as error:  # the engine ran as another role
            logger.warning("audit %s: session %d, our own earlier one: %s", self._where, pid, error)
        else:
            logger.warning("audit %s: ended session %d, our own earlier one", self._where, pid)

    def _holder(self, driver: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
        with driver.transaction(), driver.cursor() as cursor:
            return cursor.execute(_HOLDER.encode(), (self.number,)).fetchone()

    def _in_use(self, holder: tuple[Any, ...] | None) -> str:
        who = "it let go just now"
        if holder is not None:
            pid, role, address, since, _ = holder
            who = f"session {pid} of role {role or 'unknown'}"
            who += f" from {address}" if address else ""
            who += f" since {since:%Y-%m-%d %H:%M:%S%z}" if since else ""
        return (
            f"{self._where} is filled by another engine ({who}): one at a time may fill a "
            "database. Stop that one, or give this one a database of its own. The session of a "
            "machine that is gone ends by itself within a minute: then start again"
        )
