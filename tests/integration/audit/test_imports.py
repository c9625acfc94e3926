from __future__ import annotations

import json
import subprocess
import sys

import pytest

import audit

_HEAVY = (
    "sqlalchemy",
    "duckdb",
    "psycopg",
    "sqlite3",
    "pydantic",
    "numpy",
    "pandas",
    "pyarrow",
    "ray",
)
_LIGHT = (
    "import audit, audit.canonical, audit.chain, audit.closes, audit.events, audit.receipts, "
    "audit.replay, audit.streams"
)


def _loaded(statement: str) -> list[str]:
    code = (
        f"import json, sys; {statement}\n"
        f"print(json.dumps([name for name in {_HEAVY!r} if name in sys.modules]))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(child.stdout)
    return loaded


def test_what_account_processes_import_is_light() -> None:
    assert _loaded(_LIGHT) == []


def test_the_ledger_needs_no_array_library() -> None:
    loaded = _loaded("from audit import AuditLedger, RecordQuery")
    assert not {"numpy", "pandas", "psycopg", "pyarrow", "ray"} & set(loaded)
    assert {"sqlalchemy", "sqlite3"} <= set(loaded)


@pytest.mark.parametrize("name", audit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(audit, name) is not None
    assert name in dir(audit)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        audit.nonsense  # noqa: B018 - asking is the test
