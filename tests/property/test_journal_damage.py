"""Whatever happens to rows of a journal's file: what is whole is stored, what is not is told.

Records are appended, stored and checkpointed, rows of the journal's file are altered and taken out
by somebody else, the store loses its end or is opened anew, and the process begins anew, in any
order.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from audit.backlog import Backlog
from audit.chain import SealedRecord
from audit.filler import Filler, FillPolicy
from audit.journal import Journal
from audit.journal_file import connect
from audit.rows import sealed_of
from tests.unit.audit.memory_store import MemoryStore
from tests.unit.audit.samples import ManualClock, a_chain

_RECORDS = [a_chain(40, f"account:u{n}:1", 1 + 40 * n) for n in range(2)]
_VALUES = ["'text'", "x'00ff'", "7", "2.5", "CAST(x'41ff42' AS TEXT)", "x''", "''", "-1"]
_COLUMNS = ["body", "prev_hash", "hash"]

_append = st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 20))
_taking_out = ["DELETE FROM records", "UPDATE records SET body = NULL"]
_altering = [
    *(f"UPDATE records SET {column} = {value}" for column in _COLUMNS for value in _VALUES),
    # Each its own, for a name is unique.
    "UPDATE records SET event_id = 'row ' || ordinal",
    "UPDATE records SET event_id = CAST(x'ff' || ordinal AS TEXT)",
    "UPDATE records SET event_id = CAST('row ' || ordinal AS BLOB)",
]
_damage = st.tuples(
    st.just("damage"),
    st.integers(1, 12),
    st.sampled_from(_taking_out) | st.sampled_from(_altering),
)
_step, _wait, _crash, _reopen, _restart = (
    st.tuples(st.just(what), st.just(0), st.just(0))
    for what in ("step", "wait", "crash", "reopen", "restart")
)
_actions = st.lists(
    st.one_of(_append, _step, _damage, _damage, _wait, _crash, _reopen, _restart),
    min_size=4,
    max_size=25,
)


class _World:
    """A journal, a store, and a filler between them."""

    def __init__(self, folder: Path, batch: int, checkpoint_rows: int) -> None:
        self.path = folder / "journal.sqlite3"
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.policy = FillPolicy(batch=batch, checkpoint_rows=checkpoint_rows, checkpoint_s=5.0)
        self.left = [list(chain) for chain in _RECORDS]
        self.appended: list[SealedRecord] = []
        self.damaged = 0
        self.begin()

    def begin(self) -> None:
        self.journal = Journal(self.path, clock=self.clock)
        self.backlog = Backlog(self.journal)
        self.filler = Filler(self.backlog, self.store, clock=self.clock, policy=self.policy)

    def end(self) -> None:
        self.store.close()
        self.backlog.close()
        self.journal.close()

    def do(self, what: str, first: int, second: int | str) -> None:
        if what == "append":
            assert isinstance(second, int)
            part, self.left[first] = self.left[first][:second], self.left[first][second:]
            if part:
                self.journal.append(part)
                self.appended += part
        elif what == "damage":
            with closing(connect(self.path)) as other:
                self.damaged += other.execute(f"{second} WHERE ordinal = ?", (first,)).rowcount
        elif what == "step":
            self.filler.step()
        elif what == "wait":
            self.clock.us += 6_000_000
        elif what == "crash":
            self.store.crash()
        elif what == "reopen":
            self.filler.distrust(RuntimeError("as after a reader's trouble"))
        else:
            self.end()
            self.begin()

    def settle(self) -> None:
        for _ in range(300):
            if self.filler.step() is None and self.filler.committed >= self.journal.newest:
                break
            self.clock.us += 6_000_000
        self.filler.distrust(RuntimeError("to have it look once more"))
        self.filler.step()


@settings(max_examples=600)
@given(
    actions=_actions,
    batch=st.sampled_from([1, 3, 20, 60, 1000]),
    checkpoint_rows=st.sampled_from([1, 20, 1000]),
)
def test_no_record_is_lost_in_silence(
    actions: list[tuple[str, int, int | str]], batch: int, checkpoint_rows: int
) -> None:
    with TemporaryDirectory() as folder:
        world = _World(Path(folder), batch, checkpoint_rows)
        try:
            world.do("append", 0, 12)
            for action in actions:
                world.do(*action)
            world.settle()
            assert world.filler.last_error is None
            assert world.filler.committed >= world.journal.newest
            stored = {event_id: sealed_of(row) for event_id, row in world.store.rows.items()}
            apart = {(one.record.stream, one.record.seq) for one in world.journal.set_aside()}
            missing = [one for one in world.appended if one.event_id not in stored]
            for one in missing:
                gaps = (gap for gap in world.filler.gaps if gap.stream == one.stream)
                is_named = any(gap.first <= one.seq <= gap.last for gap in gaps)
                assert is_named or (one.stream, one.seq) in apart, one[:3]
            assert len(missing) <= world.damaged
            assert all(stored[one.event_id] == one for one in world.appended if one not in missing)
            if not world.damaged:
                assert not missing
        finally:
            world.end()
