"""From a URL to the store that it names."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from audit.duckdb_reading import ReadOnlyDuckDB
from audit.duckdb_store import DuckDBStore
from audit.store import AuditStore
from engine.clock import Clock
from engine.store_url import POSTGRES, shown_url

_DUCKDB = "duckdb:///"


def open_store(url: str, *, clock: Clock | None = None) -> AuditStore:
    """Open the store that ``url`` names.

    Args:
        url: ``duckdb:///relative/path`` or ``duckdb:////absolute/path``, or
            ``postgresql+psycopg://user:password@host:port/database``.
        clock: dates files that are set aside.

    Raises:
        ValueError: the URL names no store of this version.
        StoreUnavailable: it names one that cannot be opened; the message says what to do.
    """
    store = make_store(url, clock=clock)
    store.open()
    return store


def make_store(
    url: str,
    *,
    clock: Clock | None = None,
    reads_only: bool = False,
    owner_number: Callable[[], int | None] | None = None,
) -> AuditStore:
    """Make the store that ``url`` names without opening it; see :func:`open_store`.

    Args:
        url: see there.
        clock: see there.
        reads_only: nothing in it is changed then, not even to bring it up to date.
        owner_number: asked when it is opened; see :class:`audit.postgres_store.PostgresStore`.

    Raises:
        ValueError: the URL names no store of this version.
    """
    if url.startswith(_DUCKDB) and len(url) > len(_DUCKDB):
        if reads_only:
            return ReadOnlyDuckDB(url[len(_DUCKDB) :])
        return DuckDBStore(url[len(_DUCKDB) :], clock=clock)
    if url.startswith(POSTGRES):
        if find_spec("psycopg") is None:
            raise ValueError(
                f"audit={shown_url(url)!r} needs psycopg, which is not installed: "
                "pip install 'risk-engine[postgres]'"
            )
        # psycopg is installed on request only.
        if reads_only:
            from audit.postgres_reading import ReadOnlyPostgres

            return ReadOnlyPostgres(url)
        from audit.postgres_store import PostgresStore

        return PostgresStore(url, owner_number=owner_number)
    driver = f"; for PostgreSQL the driver is part of the URL: {POSTGRES}..."
    raise ValueError(
        f"audit={shown_url(url)!r} is not allowed: it must be 'duckdb:///relative/path.duckdb', "
        f"'duckdb:////absolute/path.duckdb' or '{POSTGRES}user:password@host:5432/database'"
        f"{driver if url.startswith('postgres') else ''}"
    )
