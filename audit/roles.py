"""Who may do what in a PostgreSQL audit store: owner, writer, reader.

The *owner* makes the schema, by opening the store once with its own URL, and again after an update
of this software that brings a new step of the schema. The *writer* is what an engine runs as: it
reads and inserts. The *reader* is for people and reports. Only the owner, and whoever is above it,
can drop the table or switch off the triggers that make it append-only; so nobody should log in as
the owner otherwise. What the rights cannot prove, the digests do.
"""

from __future__ import annotations

from sqlalchemy.dialects import postgresql

from audit.schema import audit_schema, reconciliation_log

_quoted = postgresql.dialect().identifier_preparer.quote_identifier  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not typed


def role_statements(
    database: str, *, writer: str, reader: str, schema: str = "public"
) -> tuple[str, ...]:
    """Write the statements that give writer and reader their rights, and others none.

    Run them as the owner of the database, after the store was first opened as its owner. The roles
    have to exist: ``CREATE ROLE engine_writer LOGIN PASSWORD '…'``. They may be run again.

    Args:
        database: name of the database.
        writer: role of an engine.
        reader: role of those who only read.
        schema: the schema that holds the tables.

    Raises:
        ValueError: a name is empty, or one role is to be both.
    """
    names = {"database": database, "writer": writer, "reader": reader, "schema": schema}
    for name, value in names.items():
        if not value.strip() or "\0" in value:
            raise ValueError(f"{name}={value!r} is not allowed: it must be a name")
    if writer == reader:
        raise ValueError(f"reader={reader!r} is not allowed: it must differ from writer")
    base, place = _quoted(database), _quoted(schema)
    write, read = _quoted(writer), _quoted(reader)
    tables = [f"{place}.{_quoted(table.name)}" for table in (reconciliation_log, audit_schema)]
    both = ", ".join(tables)
    return (
        f"REVOKE CREATE ON SCHEMA {place} FROM PUBLIC, {write}, {read}",
        f"REVOKE ALL ON {both} FROM PUBLIC, {write}, {read}",
        f"GRANT CONNECT ON DATABASE {base} TO {write}, {read}",
        f"GRANT USAGE ON SCHEMA {place} TO {write}, {read}",
        f"GRANT SELECT ON {both} TO {write}, {read}",
        f"GRANT INSERT ON {tables[0]} TO {write}",
        # Many rows at a time come through a temporary table of the session.
        f"GRANT TEMPORARY ON DATABASE {base} TO {write}",
    )
