"""The store's tables, defined once for every database, and the numbered steps that make them.

The steps are a few functions here, and not Alembic's: they have to run inside the engine, within
one transaction and under a lock, on two databases of which Alembic knows one, and there is no way
down from an audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    insert,
    inspect,
    select,
)

from audit.errors import NewerSchema, StoreUnavailable

metadata = MetaData()

reconciliation_log = Table(
    "reconciliation_log",
    metadata,
    Column("event_id", Uuid(as_uuid=False), primary_key=True),
    # Ordered by code point everywhere: a language's order would differ from database to database.
    Column("stream", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("trigger_id", Text),
    Column("close_id", Text),
    Column("position_id", Text),
    Column("ticket", BigInteger),
    Column("symbol", Text),
    Column("volume", Double),
    Column("closed_price", Double),
    Column("pnl", Double),
    Column("close_reason", Text),
    Column("outcome", Text),
    Column("attempts", Integer),
    Column("incarnation", BigInteger, nullable=False),
    Column("initiator", Text),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("filled_at", DateTime(timezone=True)),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("version", Text, nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("description", Text, nullable=False),
    # The canonical text itself, not its meaning: PostgreSQL's ``json`` and DuckDB's ``JSON``
    # keep it to the byte, and the hash covers those bytes.
    Column("meta_data", JSON, nullable=False),
    Column("request_fingerprint", Text),
    Column("predecessor", Text),
    Column("late", Boolean, nullable=False),
    Column("hash_version", SmallInteger, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("stream", "seq"),
)
"""The audit trail. Nothing in it is ever changed or removed."""

audit_schema = Table(
    "audit_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("what", Text, nullable=False),
    Column("applied_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Which migrations were applied."""

_APPEND_ONLY = {
    # DuckDB has no RAISE: a trigger can only write, so it writes what a CHECK refuses, into a
    # table whose name is the message.
    "duckdb": (
        "CREATE TABLE reconciliation_log_is_append_only (refused VARCHAR CHECK (refused IS NULL))",
        "CREATE TRIGGER reconciliation_log_no_update AFTER UPDATE ON reconciliation_log "
        "FOR EACH STATEMENT INSERT INTO reconciliation_log_is_append_only VALUES ('update')",
        "CREATE TRIGGER reconciliation_log_no_delete AFTER DELETE ON reconciliation_log "
        "FOR EACH STATEMENT INSERT INTO reconciliation_log_is_append_only VALUES ('delete')",
    ),
    "postgresql": (
        "CREATE FUNCTION reconciliation_log_is_append_only() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = "
        "'reconciliation_log is append-only: ' || lower(TG_OP) || ' is refused'; END $$",
        "CREATE TRIGGER reconciliation_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON reconciliation_log FOR EACH STATEMENT "
        "EXECUTE FUNCTION reconciliation_log_is_append_only()",
        # ALWAYS: also for sessions that call themselves replicas, for which others are silent.
        "ALTER TABLE reconciliation_log ENABLE ALWAYS TRIGGER reconciliation_log_no_change",
    ),
}
"""Statements that make a database refuse update, delete and truncate, by dialect."""


_EXACT = {
    # A number that means "infinity" on the wire would come in and could not be read back.
    "postgresql": tuple(
        f"ALTER TABLE reconciliation_log ADD CHECK (isfinite({column.name}))"
        for column in reconciliation_log.columns
        if isinstance(column.type, DateTime)
    ),
}
"""Statements that make a database refuse what it would not give back, by dialect."""


def _first(connection: Connection) -> None:
    reconciliation_log.create(connection)
    dialect = connection.dialect.name
    for statement in (*_EXACT.get(dialect, ()), *_APPEND_ONLY[dialect]):
        connection.exec_driver_sql(statement)


MIGRATIONS: Mapping[int, tuple[str, Callable[[Connection], None]]] = {
    1: ("reconciliation_log, append-only", _first),
}
"""Steps to the present schema, by number; each is applied once, in order."""


_LOCK = {"postgresql": "SELECT pg_advisory_xact_lock(7233017441095213)"}
"""How a process keeps others from migrating until its transaction ends, by dialect. DuckDB needs
no lock: one process owns the file."""


def migrate(connection: Connection, where: str) -> Sequence[int]:
    """Bring a database to the present schema, within the caller's transaction.

    Several processes may do so at once; the second waits, and finds nothing left to do. Where
    there is nothing to do, nothing is written or locked, and the right to read is enough.

    Args:
        connection: with a transaction begun, which reads what others have committed meanwhile.
        where: names the database in errors.

    Returns:
        Numbers of the steps that were applied now.

    Raises:
        NewerSchema: a newer version of this software made the schema.
    """
    newest = max(MIGRATIONS)
    if _version(connection, where) == newest:
        return ()
    lock = _LOCK.get(connection.dialect.name)
    if lock is not None:
        connection.exec_driver_sql(lock)
    present = _version(connection, where)
    if present == 0 and not _has_versions(connection):
        audit_schema.create(connection)
    steps = range(present + 1, newest + 1)
    for number in steps:
        what, step = MIGRATIONS[number]
        step(connection)
        connection.execute(insert(audit_schema).values(version=number, what=what))
    return steps


def is_empty(connection: Connection, where: str) -> bool:
    """Whether no step was ever applied to a database.

    Args:
        connection: with a transaction begun.
        where: names the database in errors.

    Raises:
        NewerSchema: a newer version of this software made the schema.
    """
    return _version(connection, where) == 0


def check_for_reading(connection: Connection, where: str) -> None:
    """Make sure that a database can be read as it is; nothing is changed.

    Args:
        connection: with a transaction begun.
        where: names the database in errors.

    Raises:
        NewerSchema: a newer version of this software made the schema.
        StoreUnavailable: it holds no audit trail, or one of an older version.
    """
    if not _has_versions(connection):
        raise StoreUnavailable(f"{where} holds no audit trail: name another one")
    _version(connection, where)
    present = inspect(connection).get_columns(reconciliation_log.name)
    if not {column["name"] for column in present}.issuperset(reconciliation_log.columns.keys()):
        raise StoreUnavailable(
            f"{where} was made by an older version, and a reader changes nothing: start the "
            "engine once on it, which brings it up to date"
        )


def _version(connection: Connection, where: str) -> int:
    """Return the number of the last step that was applied, 0 if none was."""
    if not _has_versions(connection):
        return 0
    present = connection.execute(select(func.max(audit_schema.c.version))).scalar() or 0
    newest = max(MIGRATIONS)
    if present > newest:
        raise NewerSchema(
            f"{where} has schema version {present}, this software knows up to {newest}: "
            "upgrade it, or name another database"
        )
    return int(present)


def _has_versions(connection: Connection) -> bool:
    # A new inspector each time: one remembers what it saw.
    return inspect(connection).has_table(audit_schema.name)
