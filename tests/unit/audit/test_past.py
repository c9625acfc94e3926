"""An account's past: which answers it remembers, its own and those it shares."""

from __future__ import annotations

from audit.chain import ChainWriter
from audit.past import past_of
from audit.rows import EVENT_ID, row_of
from audit.trail import StoreTrail
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import NOW, a_close, a_result, a_shared_answer


def test_a_key_that_another_has_answered_is_remembered_beside_it() -> None:
    writer = ChainWriter("account:u1:1")
    records = a_close(), a_shared_answer(), a_shared_answer(2)  # the last one's close is lost
    store = MemoryStore()
    store.open()
    rows = [row_of(writer.seal(record), NOW, False) for record in records]
    store.rows = {row[EVENT_ID]: row for row in rows}
    own, shared = past_of(StoreTrail("memory", store, heads=[]), "u1").answers
    assert (own.key, own.is_shared, own.answers_every_key) == ("trigger-1", False, True)
    assert (shared.key, shared.is_shared, shared.answers_every_key) == ("another key", True, False)
    assert shared.result is own.result
    assert shared.result.close_id == a_result().close_id
    assert shared.fingerprint == "1:1001:all"
    assert shared.evidence.key == "trigger-1"
