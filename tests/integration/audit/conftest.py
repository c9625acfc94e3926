"""The unit tests' clock and journal, for tests that add real databases."""

from __future__ import annotations

from tests.postgres_fixtures import postgres, postgres_url, stoppable_postgres
from tests.unit.audit.conftest import clock, journal, journal_path

__all__ = ["clock", "journal", "journal_path", "postgres", "postgres_url", "stoppable_postgres"]
