"""Whatever a journal is sent, in whatever order, its streams have no hole."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
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
    *a_chain(7, "account:u3:1", first=50)[3:],  # its writer outlived another journal
]
_TAKEN_OVER = "account:u3:1"
_OPENED = ("account:u1", "account:u1", "account:u2")
_batches = st.lists(st.sampled_from(_POOL), max_size=8) | st.builds(
    lambda first, count: _POOL[first : first + count], st.integers(0, 18), st.integers(1, 8)
)
_afterwards = st.sampled_from(["go on", "reopen", "crash", "forget", "refuse"])
_steps = st.lists(st.tuples(_batches, _afterwards), max_size=10)


class _Model:
    """What a journal should hold: each stream in order, first come, first kept."""

    def __init__(self) -> None:
        self.held: list[SealedRecord] = []
        self.apart: list[SealedRecord] = []
        self.places: dict[str, dict[int, SealedRecord]] = defaultdict(dict)
        """What took each place of a stream, set aside or not; the first taken comes first."""

    def append(self, batch: list[SealedRecord]) -> tuple[set[str], set[str], dict[str, int]]:
        """Return what is acknowledged, set aside, and expected."""
        acknowledged: set[str] = set()
        apart: set[str] = set()
        gaps: set[str] = set()
        for record in batch:
            places = self.places[record.stream]
            is_new = record.seq == self._next(record)
            if record.seq > self._next(record):
                gaps.add(record.stream)
            elif self._contradicts(record):
                apart.add(record.hash.hex())
                if record not in self.apart:
                    self.apart.append(record)
                if is_new:
                    places[record.seq] = record
            else:
                acknowledged.add(record.event_id)
                if is_new or record.seq not in places:
                    places[record.seq] = record
                    self.held.append(record)
        return acknowledged, apart, {name: max(self.places[name], default=0) + 1 for name in gaps}

    def _next(self, record: SealedRecord) -> int:
        places = self.places[record.stream]
        if record.stream == _TAKEN_OVER and not places:
            return record.seq
        return max(places, default=0) + 1

    def _contradicts(self, record: SealedRecord) -> bool:
        owner = self.places[record.stream].get(record.seq)
        if owner is not None and owner != record:
            return True
        if owner is not None and owner not in self.held:
            return True
        return any(one.event_id == record.event_id and one != record for one in self.held)

    def refuse(self, record: SealedRecord) -> None:
        """Set aside what the store would not take."""
        self.held.remove(record)
        self.apart.append(record)


@contextmanager
def _reading(journal: Journal) -> Iterator[Backlog]:
    backlog = Backlog(journal, keep_whole=1, keep_identities=1_000)
    try:
        yield backlog
    finally:
        backlog.close()


@settings(deadline=None, max_examples=80)
@given(_steps)
def test_a_journal_keeps_what_its_model_keeps(steps: list[tuple[list[SealedRecord], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0" / "journal.sqlite3"
        journal, model = Journal(path), _Model()
        journal.open_streams(_OPENED)
        for number, (batch, then) in enumerate(steps, 1):
            receipt = journal.append(batch)
            acknowledged, apart, expected = model.append(batch)
            assert receipt.acknowledged == acknowledged
            assert {item.record.hash.hex() for item in receipt.set_aside} == apart
            assert receipt.expected == expected
            with _reading(journal) as backlog:
                waiting = backlog.after(backlog.stored, 1)
                if then == "forget":
                    backlog.mark_stored(journal.newest)
                elif then == "refuse" and waiting:
                    backlog.keep_apart(waiting[0], "refused")
                    model.refuse(waiting[0].record)
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
        _check(journal, model)
        journal.close()


def _check(journal: Journal, model: _Model) -> None:
    with journal.writing() as connection:
        rows = connection.execute(
            "SELECT s.name, r.seq, r.hash FROM records r JOIN streams s ON s.id = r.stream_id "
            "ORDER BY r.ordinal"
        ).fetchall()
    assert rows == [(one.stream, one.seq, one.hash) for one in model.held]
    assert [item.record for item in journal.set_aside()] == model.apart
    heads = {head.stream: head for head in journal.heads()}
    assert heads.keys() == {stream for stream, places in model.places.items() if places}
    for stream, head in heads.items():
        seqs = sorted(seq for name, seq, _ in rows if name == stream)
        apart = {one.seq for one in model.apart if one.stream == stream}
        first = 1 if stream != _TAKEN_OVER else next(iter(model.places[stream]))
        assert {*seqs, *apart} >= set(range(first, head.seq + 1)), "a hole"
        assert len(seqs) == len(set(seqs))
        assert model.places[stream][head.seq].hash == head.hash
