"""A second engine on what the first one owns is told so, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import RiskEngine
from audit.errors import JournalInUse, StoreInUse
from tests.cluster.conftest import EngineStarter


def test_a_second_engine_on_the_same_folder_is_refused(
    new_engine: EngineStarter, tmp_path: Path, engine: RiskEngine
) -> None:
    with (
        pytest.raises(JournalInUse, match=r"journal=.*stop the engine that uses it"),
        new_engine(tmp_path),
    ):
        pass
    assert engine.status()


def test_a_second_engine_on_the_same_duckdb_file_is_refused(
    new_engine: EngineStarter, tmp_path: Path, engine: RiskEngine
) -> None:
    with (
        pytest.raises(StoreInUse, match=r"open in another process.*name another file"),
        new_engine(tmp_path / "other", audit_url=f"duckdb:///{tmp_path}/audit.duckdb"),
    ):
        pass
    assert engine.status()
    assert not list(tmp_path.glob("*damaged*"))
