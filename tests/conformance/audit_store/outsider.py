"""Somebody who goes past the store, straight to the database, with the owner's rights."""

from __future__ import annotations

import duckdb
import psycopg
from sqlalchemy import make_url

REFUSED = (duckdb.ConstraintException, psycopg.errors.RestrictViolation)
"""What the databases raise for a change to what is only appended to."""


def run(url: str, statement: str, *, is_replica: bool = False) -> list[tuple[object, ...]]:
    """Run one statement, and fetch what it returns; the store has to be closed."""
    address = make_url(url)
    if address.drivername == "duckdb":
        with duckdb.connect(address.database or "") as file:
            return list(file.execute(statement).fetchall())
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        if is_replica:
            connection.execute("SET session_replication_role = replica")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
