"""An audit actor of another kind fills the store that it brings."""

from __future__ import annotations

from pathlib import Path

from actors.audit import AuditActor
from audit.store import AuditStore
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import a_chain, ids


class WithOwnStore(AuditActor):
    """Brings a store in memory."""

    def __init__(self, journal: Path) -> None:
        super().__init__(journal, f"duckdb:///{journal.parent}/never-opened.duckdb")
        self.memory = MemoryStore()

    def _store(self) -> AuditStore:
        return self.memory


def test_an_audit_actor_fills_the_store_that_it_brings(tmp_path: Path) -> None:
    actor = WithOwnStore(tmp_path / "journal.sqlite")
    (opened,) = actor.open_streams(["account:u1"])
    records = a_chain(3, opened.stream)
    actor.append(records)
    assert actor.count() == 3
    assert set(actor.memory.rows) == ids(records)
    actor.close()
    assert [file.name for file in tmp_path.iterdir() if "duckdb" in file.name] == []
