"""Every test here runs on every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.opening import make_store
from audit.store import AuditStore
from tests.postgres_fixtures import postgres, postgres_url
from tests.postgres_server import Databases
from tests.unit.audit.conftest import clock, journal, journal_path

__all__ = ["clock", "journal", "journal_path", "postgres", "postgres_url"]

DATABASES = ("duckdb", "postgresql")


def new_url(database: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Name a database that nobody has used."""
    if database == "duckdb":
        return f"duckdb:///{folder}/audit.duckdb"
    server: Databases = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a store that nobody has used."""
    return new_url(request.param, request, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[AuditStore]:
    """Open one."""
    store = make_store(url)
    store.open()
    yield store
    store.close()
