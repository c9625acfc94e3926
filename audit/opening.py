"""From a URL to the store that it names."""

from __future__ import annotations

import re

from audit.duckdb_store import DuckDBStore
from audit.store import AuditStore
from engine.clock import Clock

_DUCKDB = "duckdb:///"


def open_store(url: str, *, clock: Clock | None = None) -> AuditStore:
    """Open the store that ``url`` names.

    Args:
        url: ``duckdb:///relative/path`` or ``duckdb:////absolute/path``.
        clock: dates files that are set aside.

    Raises:
        ValueError: the URL names no store of this version.
        StoreUnavailable: it names one that cannot be opened; the message says what to do.
    """
    store = make_store(url, clock=clock)
    store.open()
    return store


def make_store(url: str, *, clock: Clock | None = None) -> AuditStore:
    """Make the store that ``url`` names without opening it; see :func:`open_store`."""
    if url.startswith(_DUCKDB) and len(url) > len(_DUCKDB):
        return DuckDBStore(url[len(_DUCKDB) :], clock=clock)
    shown = re.sub(r"//[^/@]*@", "//...@", url)  # a URL may hold a password
    if url.startswith("postgres"):
        raise ValueError(
            f"audit={shown!r} is not allowed: PostgreSQL is not supported in this version; "
            "use 'duckdb:///path/to/file.duckdb'"
        )
    raise ValueError(
        f"audit={shown!r} is not allowed: it must be 'duckdb:///relative/path.duckdb' or "
        "'duckdb:////absolute/path.duckdb'"
    )
