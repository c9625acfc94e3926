"""Configuration from code and environment."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from engine.config import EngineConfig, GuardSettings

_POSTGRES = "postgresql+psycopg://writer:s%40cret@db.example:5432/audit?sslmode=require"


def test_the_environment_sets_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_ENGINE_MODE", "observe")
    monkeypatch.setenv("RISK_ENGINE_GUARDS__DRAWDOWN_CRITICAL", "0.3")
    config = EngineConfig()
    assert config.mode == "observe"
    assert config.guards.drawdown_critical == 0.3
    assert not config.closing_policy().sends_orders


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"mode": "maybe"}, "mode"),
        ({"settle_window_s": 0}, "settle_window_s"),
        ({"most_attempts": -1}, "most_attempts"),
        ({"nonsense": 1}, "nonsense"),
        ({"silence_s": 75.0}, r"silence_s=75\.0 must be above send_deadline_s=75\.0"),
        ({"sweep_first_s": 61}, "sweep_longest_s=60"),
        ({"orders_per_s": 0}, "orders_per_s"),
        ({"lease_s": -1}, "lease_s"),
        ({"guards": {"drawdown_warning": 0.5}}, "drawdown_warning"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        EngineConfig(**fields)  # type: ignore[arg-type]


def test_limits_of_a_close_are_passed_on() -> None:
    config = EngineConfig(session_probe_s=7, session_wait_s=70)
    policy = config.closing_policy(waits_for_session=True)
    assert (policy.session_probe_s, policy.session_wait_s) == (7, 70)
    assert policy.waits_for_session
    assert not config.closing_policy().waits_for_session


def test_the_store_is_a_file_beside_the_journal_unless_told_otherwise(tmp_path: Path) -> None:
    config = EngineConfig(data_dir=tmp_path)
    assert config.store_url == f"duckdb:///{tmp_path / 'audit.duckdb'}"
    assert config.journal_path == tmp_path / "journal.sqlite"
    assert EngineConfig(audit_url="duckdb:////x.duckdb").store_url == "duckdb:////x.duckdb"


def test_relative_paths_are_fixed_to_where_they_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit actor's process has another working folder."""
    monkeypatch.chdir(tmp_path)
    config = EngineConfig(data_dir=Path("data"), audit_url="duckdb:///store.duckdb")
    default = EngineConfig()
    monkeypatch.chdir("/")
    assert config.journal_path == tmp_path / "data" / "journal.sqlite"
    assert config.store_url == f"duckdb:///{tmp_path / 'store.duckdb'}"
    assert default.data_dir == tmp_path / "risk-engine-data"


def test_the_digest_tells_configurations_apart() -> None:
    assert EngineConfig().digest == EngineConfig().digest
    other = EngineConfig(guards=GuardSettings(drawdown_critical=0.3))
    assert EngineConfig().digest != other.digest


def test_a_password_in_the_url_moves_out_of_it() -> None:
    config = EngineConfig(audit_url=_POSTGRES)
    assert config.audit_url == "postgresql+psycopg://writer@db.example:5432/audit?sslmode=require"
    assert config.audit_password == SecretStr("s@cret")
    assert config.store_url == _POSTGRES
    assert pickle.loads(pickle.dumps(config)).store_url == _POSTGRES
    assert config.model_copy(update={"mode": "observe"}).store_url == _POSTGRES


def test_a_password_of_its_own_needs_no_quoting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_ENGINE_AUDIT_URL", "postgresql+psycopg://writer@db/audit")
    monkeypatch.setenv("RISK_ENGINE_AUDIT_PASSWORD", "a/b?c@d:e")
    assert EngineConfig().store_url == "postgresql+psycopg://writer:a%2Fb%3Fc%40d%3Ae@db/audit"


def test_the_digest_knows_the_database_and_not_its_password() -> None:
    one, other = (f"postgresql+psycopg://w:{password}@db/audit" for password in ("p1", "p2"))
    assert EngineConfig(audit_url=one).digest == EngineConfig(audit_url=other).digest
    assert EngineConfig(audit_url=one).digest != EngineConfig().digest


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"audit_password": "x"}, "audit_url='' has no place for audit_password"),
        ({"audit_url": "postgresql+psycopg://db/a", "audit_password": "x"}, "no place for"),
        ({"audit_url": _POSTGRES, "audit_password": "x"}, "audit_password is given twice"),
        ({"audit_url": "postgresql+psycopg://u:a@b@db/a"}, "written %40"),
        ({"audit_url": "postgresql+psycopg://u@db/a?password=x"}, "not part of the query"),
    ],
)
def test_a_password_that_has_no_clear_place_is_refused(
    fields: dict[str, object], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        EngineConfig(**fields)  # type: ignore[arg-type]  # wrong on purpose


def test_digests_lie_beside_the_journal_or_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EngineConfig(data_dir=tmp_path).digests_file == tmp_path / "audit-digests.jsonl"
    monkeypatch.chdir(tmp_path)
    elsewhere = EngineConfig(data_dir=Path("data"), digests_path=Path("other/digests.jsonl"))
    assert elsewhere.digests_file == tmp_path / "other" / "digests.jsonl"


def test_who_says_nothing_enforces() -> None:
    assert EngineConfig().mode == "enforce"
    assert EngineConfig().closing_policy().sends_orders
    assert not EngineConfig().closing_policy().allow_live
