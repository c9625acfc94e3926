"""A store in memory, which can be told to fail, to forget and to refuse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from audit.chain import ChainHead
from audit.errors import StoreUnavailable
from audit.queries import RecordQuery
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row
from audit.store import InsertReport, Meanwhile, RowsRefused, StoreOpened, StreamExtent


class MemoryStore:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.failures = 0
        """How many of the next uses fail."""
        self.refused: set[str] = set()
        self.batches: list[int] = []
        self.checkpoints = 0
        self.opened = 0
        self.queries = 0
        self.fails_after: int | None = None
        """Rows of the next batch after which the store fails, with nothing of it kept."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens in the middle of each batch."""
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

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        self._use()
        rows = list(rows)
        if any(row[EVENT_ID] in self.refused for row in rows):
            raise RowsRefused("a row is refused")
        self.meanwhile()
        if self.fails_after is not None and len(rows) > self.fails_after:
            self.fails_after = None
            raise StoreUnavailable("the store failed in the middle of a batch")
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
        self.queries += 1
        chosen = [row for row in self.rows.values() if _is_chosen(row, query)]
        chosen.sort(key=_in_time, reverse=query.newest_first)
        return chosen[: query.limit]

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        self._use()
        self.queries += 1
        chosen = [
            row
            for row in self.rows.values()
            if row[STREAM] in streams and after < row[SEQ] <= up_to
        ]
        return sorted(chosen, key=lambda row: (row[STREAM], row[SEQ]))

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        self._use()
        chosen = [
            row
            for row in self.rows.values()
            if (streams is None or row[STREAM] in streams)
            and (recorded_since is None or row[_RECORDED] >= recorded_since)
        ]
        for first in range(0, len(chosen), page):
            yield chosen[first : first + page]

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


_USER = COLUMNS.index("user_id")
_TRIGGER = COLUMNS.index("trigger_id")
_TYPE = COLUMNS.index("event_type")
_RECORDED = COLUMNS.index("recorded_at")
_OCCURRED = COLUMNS.index("occurred_at")


def _in_time(row: Row) -> tuple[int, str, int]:
    return row[_OCCURRED], row[STREAM], row[SEQ]


def _is_chosen(row: Row, query: RecordQuery) -> bool:
    return (
        query.user_id in (None, row[_USER])
        and query.trigger_id in (None, row[_TRIGGER])
        and (not query.user_ids or row[_USER] in query.user_ids)
        and (not query.event_types or row[_TYPE] in query.event_types)
    )
