"""A store in memory, which can be told to fail, to forget and to refuse."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from audit.chain import ChainHead
from audit.errors import StoreUnavailable
from audit.queries import RecordQuery
from audit.rows import EVENT_ID, HASH, SEQ, STREAM, Row
from audit.store import InsertReport, RowsRefused, StoreOpened, StreamExtent


class MemoryStore:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.failures = 0
        """How many of the next uses fail."""
        self.refused: set[str] = set()
        self.batches: list[int] = []
        self.checkpoints = 0
        self.opened = 0
        self._open = False
        self._safe: dict[str, Row] = {}

    @property
    def is_open(self) -> bool:
        return self._open

    def open(self) -> StoreOpened:
        self._use(need_open=False)
        self._open = True
        self.opened += 1
        return StoreOpened()

    def crash(self) -> None:
        """Lose what no checkpoint made safe."""
        self.rows = dict(self._safe)
        self._open = False

    def insert_batch(self, rows: Sequence[Row]) -> InsertReport:
        self._use()
        if any(row[EVENT_ID] in self.refused for row in rows):
            raise RowsRefused("a row is refused")
        self.batches.append(len(rows))
        wrong = {
            row[EVENT_ID]: "another hash"
            for row in rows
            if row[EVENT_ID] in self.rows and self.rows[row[EVENT_ID]][HASH] != row[HASH]
        }
        new = [row for row in rows if row[EVENT_ID] not in self.rows]
        self.rows.update({row[EVENT_ID]: row for row in new})
        return InsertReport(len(new), len(rows) - len(new) - len(wrong), wrong)

    def count(self) -> int:
        self._use()
        return len(self.rows)

    def extents(self) -> Sequence[StreamExtent]:
        self._use()
        streams: dict[str, list[Row]] = {}
        for row in self.rows.values():
            streams.setdefault(row[STREAM], []).append(row)
        last = {name: max(rows, key=lambda row: int(row[SEQ])) for name, rows in streams.items()}
        return [
            StreamExtent(ChainHead(name, last[name][SEQ], last[name][HASH]), len(streams[name]))
            for name in sorted(streams)
        ]

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        self._use()
        return {name: self.rows[name][HASH] for name in event_ids if name in self.rows}

    def query(self, query: RecordQuery) -> list[Row]:
        self._use()
        return list(self.rows.values())[: query.limit]

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        self._use()
        chosen = [
            row
            for row in self.rows.values()
            if row[STREAM] in streams and after < row[SEQ] <= up_to
        ]
        return sorted(chosen, key=lambda row: (row[STREAM], row[SEQ]))

    def checkpoint(self) -> None:
        self._use()
        self.checkpoints += 1
        self._safe = dict(self.rows)

    def close(self) -> None:
        self._open = False

    def _use(self, *, need_open: bool = True) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the store is away")
        if need_open and not self._open:
            raise StoreUnavailable("the store is not open")
