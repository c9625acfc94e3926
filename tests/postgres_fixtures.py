"""Fixtures of a real PostgreSQL: ``from tests.postgres_fixtures import ...`` in a conftest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.postgres_server import (
    Databases,
    PostgresServer,
    PostgresUnavailable,
    any_postgres,
    running_postgres,
)

__all__ = ["postgres", "postgres_url", "reachable_folder", "stoppable_postgres"]


class _Shared:
    """One server for all folders whose conftests name the fixture: each has its own fixture."""

    def __init__(self) -> None:
        self.server: Databases | None = None
        self.users = 0
        self.undo = ExitStack()


_shared = _Shared()


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that another user can reach: pytest keeps its own to itself."""
    with TemporaryDirectory(prefix="risk-engine-postgres-") as folder:
        yield Path(folder)


def _cannot(reason: PostgresUnavailable) -> None:
    if os.environ.get("CI"):
        raise reason
    pytest.skip(f"no PostgreSQL: {reason}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """Run PostgreSQL, one for the whole session; skip where there is none, but never in CI."""
    if _shared.server is None:
        try:
            folder = _shared.undo.enter_context(reachable_folder())
            _shared.server = _shared.undo.enter_context(any_postgres(folder))
        except PostgresUnavailable as reason:
            _cannot(reason)
    assert _shared.server is not None
    _shared.users += 1
    try:
        yield _shared.server
    finally:
        _shared.users -= 1
        if _shared.users == 0:
            _shared.server = None
            _shared.undo.close()


@pytest.fixture
def postgres_url(postgres: Databases) -> str:
    """Address of an empty database."""
    return postgres.fresh_database()


@pytest.fixture
def stoppable_postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL of the test's own, to be stopped, started and killed."""
    with ExitStack() as undo:
        try:
            folder = undo.enter_context(reachable_folder())
            server = undo.enter_context(running_postgres(folder))
        except PostgresUnavailable as reason:
            _cannot(reason)
        yield server
