from __future__ import annotations

from pathlib import Path

import pytest

from audit.duckdb_store import DuckDBStore
from audit.opening import make_store, open_store
from audit.queries import RecordQuery


def test_a_duckdb_url_opens_its_file(tmp_path: Path) -> None:
    store = open_store(f"duckdb:///{tmp_path}/a.duckdb")
    assert store.is_open
    assert (tmp_path / "a.duckdb").exists()
    store.close()


def test_a_relative_path_has_three_slashes() -> None:
    store = make_store("duckdb:///runs/a.duckdb")
    assert isinstance(store, DuckDBStore)
    assert store.path == Path("runs/a.duckdb")


@pytest.mark.parametrize("url", ["", "duckdb:///", "a.duckdb", "sqlite:///a.db"])
def test_other_urls_are_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match=r"duckdb:///relative/path\.duckdb"):
        open_store(url)


def test_postgres_is_honestly_refused_and_its_password_not_shown() -> None:
    with pytest.raises(ValueError, match="not supported in this version") as refusal:
        open_store("postgresql+psycopg://me:secret@host/db")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user_id": " "}, "user_id"),
        ({"user_ids": ("u1", "")}, "user_ids"),
        ({"limit": 0}, "limit"),
        ({"limit": 10_000_000}, "limit"),
        ({"event_types": ("nonsense",)}, "event_types"),
        ({"since": 5, "until": 5}, "until"),
    ],
)
def test_a_query_that_chooses_nothing_is_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}="):
        RecordQuery(**arguments)  # type: ignore[arg-type]  # wrong on purpose
