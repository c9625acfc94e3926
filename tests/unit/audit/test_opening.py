from __future__ import annotations

from pathlib import Path

import pytest

from audit.duckdb_store import DuckDBStore
from audit.opening import make_store, open_store
from audit.queries import RecordQuery
from tests.property.test_password_secrecy import assert_kept

_PASSWORD = "Zq-7xy"


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


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:{}@host/db",
        "postgresql://me:{}@host/db",
        "postgresql+psycopg2://me:{}@host/db",
        "postgresql+psycopg://me:{}@host",
        "postgresql+psycopg://me:{}@host:port/db",
        "postgresql+psycopg://me:a@{}@host/db/",
    ],
)
def test_a_wrong_postgres_url_is_refused_and_its_password_not_shown(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"postgresql\+psycopg://user:password@host|%40"
    ) as refusal:
        make_store(url.format(_PASSWORD)).open()
    assert_kept(refusal.value, _PASSWORD)


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.opening.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'risk-engine\[postgres\]'") as refusal:
        make_store(f"postgresql+psycopg://me:{_PASSWORD}@host/db")
    assert_kept(refusal.value, _PASSWORD)


def test_a_postgres_url_makes_a_store_that_is_not_open() -> None:
    assert not make_store("postgresql+psycopg://me@host/db").is_open


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
