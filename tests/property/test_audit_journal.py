from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from audit.backlog import Backlog
from audit.chain import SealedRecord
from audit.journal import Journal
from tests.unit.audit.samples import a_chain

_POOL = [
    *a_chain(5, "account:u1:1"),
    *a_chain(5, "account:u1:2", first=4),  # two of its events are those of the first stream
    *a_chain(3, "account:u1:1", first=20),  # three of its places are taken
    *a_chain(2, "account:u2:1", first=40),
]
_batches = st.lists(st.sampled_from(_POOL), max_size=6)
_steps = st.lists(st.tuples(_batches, st.sampled_from(["go on", "reopen", "crash"])), max_size=6)


class _Model:
    """What a journal should hold: first come, first kept."""

    def __init__(self) -> None:
        self.held: list[SealedRecord] = []
        self.apart: list[SealedRecord] = []

    def append(self, batch: list[SealedRecord]) -> tuple[set[str], list[SealedRecord]]:
        acknowledged: set[str] = set()
        apart = []
        for record in batch:
            rivals = [
                one
                for one in self.held
                if one.event_id == record.event_id or one[1:3] == record[1:3]
            ]
            if rivals and rivals != [record]:
                apart.append(record)
                continue
            acknowledged.add(record.event_id)
            if not rivals:
                self.held.append(record)
        self.apart += [record for record in dict.fromkeys(apart) if record not in self.apart]
        return acknowledged, apart


@settings(deadline=None, max_examples=60)
@given(_steps)
def test_a_journal_keeps_what_its_model_keeps(
    steps: list[tuple[list[SealedRecord], str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0" / "journal.sqlite3"
        journal, model = Journal(path), _Model()
        for number, (batch, then) in enumerate(steps, 1):
            receipt = journal.append(batch)
            acknowledged, apart = model.append(batch)
            assert receipt.acknowledged == acknowledged
            assert [item.record for item in receipt.set_aside] == apart
            if then == "reopen":
                journal.close()
                journal = Journal(path)
            elif then == "crash":
                # The files as a killed process leaves them: the write-ahead log not merged.
                target = Path(folder) / str(number)
                shutil.copytree(path.parent, target)
                journal.close()
                path = target / path.name
                journal = Journal(path)
        backlog = Backlog(journal)
        assert [one.record for one in backlog.after(0, 1000)] == model.held
        assert [item.record for item in journal.set_aside()] == model.apart
        backlog.close()
        journal.close()
