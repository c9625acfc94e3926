"""An audit store in memory, with a disk's weaknesses: a tail that a crash takes, and bad days.

It stands for the database file, so it outlives the audit actor that writes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from actors.simulation.fault_kinds import Disturbance
from audit.chain import ChainHead
from audit.errors import StoreUnavailable
from audit.queries import RecordQuery
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row, record_of_row
from audit.store import InsertReport, Meanwhile, StoreOpened, StreamExtent

_RECORDED_AT = COLUMNS.index("recorded_at")
_USER_ID = COLUMNS.index("user_id")

Acted = Callable[[Disturbance, Iterable[str]], None]
"""Told that a fault of the disk has acted, and on which accounts; on none in particular: empty."""


def _nobody(_kind: Disturbance, _users: Iterable[str]) -> None:
    """Hear of faults and do nothing."""


class MemoryStore:
    """An :class:`audit.store.AuditStore`."""

    def __init__(self) -> None:
        """Begin empty and well."""
        self._rows: dict[str, Row] = {}
        self._places: dict[tuple[str, int], str] = {}
        self._safe = 0
        self._is_open = False
        self.is_away = False
        """Whether nobody can reach it."""
        self.is_full = False
        """Whether it takes no more rows."""
        self.is_damaged = False
        """Whether its file cannot be read: the next opening sets it aside and begins anew."""
        self.rows_set_aside: list[Row] = []
        """What was in files that were set aside."""
        self.acted: Acted = _nobody
        """Told whose rows a crash or a damaged file has taken."""

    @property
    def is_open(self) -> bool:
        """Whether it can be asked something."""
        return self._is_open

    @property
    def rows(self) -> list[Row]:
        """Everything it holds, in the order in which it came."""
        return list(self._rows.values())

    def with_rows_set_aside(self) -> MemoryStore:
        """Return an open store that holds what this one does, and what was set aside."""
        whole = MemoryStore()
        whole.open()
        whole.insert_batch(self.rows)
        whole.insert_batch(self.rows_set_aside)
        return whole

    def crash(self, *, tail_lost: bool) -> None:
        """Lose the process that had it open, and perhaps what came since the last checkpoint."""
        self._is_open = False
        if tail_lost:
            lost = [self._rows.pop(event_id) for event_id in list(self._rows)[self._safe :]]
            for row in lost:
                del self._places[row[STREAM], row[SEQ]]
            self.acted(Disturbance.STORE_TAIL_LOST, _users_of(lost))

    def open(self) -> StoreOpened:
        """Open it; see :meth:`audit.store.AuditStore.open`."""
        if self._is_open:
            return StoreOpened()
        if self.is_away:
            raise StoreUnavailable("the simulated store is away: wait until it is back")
        self._is_open = True
        if not self.is_damaged:
            return StoreOpened()
        self.is_damaged = False
        self.acted(Disturbance.STORE_DAMAGED, _users_of(self._rows.values()))
        self.rows_set_aside.extend(self._rows.values())
        self._rows.clear()
        self._places.clear()
        self._safe = 0
        return StoreOpened("the simulated store's old file", "it cannot be read")

    def insert_batch(self, rows: Iterable[Row], meanwhile: Meanwhile | None = None) -> InsertReport:
        """Insert rows; see :meth:`audit.store.AuditStore.insert_batch`."""
        self._check()
        if self.is_full:
            raise StoreUnavailable("the simulated store's disk is full: free space on it")
        inserted = known = 0
        contradictions: dict[str, str] = {}
        for row in rows:
            held = self._rows.get(row[EVENT_ID])
            place = row[STREAM], row[SEQ]
            if held is not None and held[HASH] == row[HASH]:
                known += 1
            elif held is not None:
                contradictions[row[EVENT_ID]] = "the store holds this event with another content"
            elif place in self._places:
                contradictions[row[EVENT_ID]] = (
                    f"its place in its stream is taken by event {self._places[place]}"
                )
            else:
                self._rows[row[EVENT_ID]] = row
                self._places[place] = row[EVENT_ID]
                inserted += 1
        return InsertReport(inserted, known, contradictions)

    def count(self) -> int:
        """Count all records."""
        self._check()
        return len(self._rows)

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes."""
        self._check()
        heads: dict[str, tuple[int, bytes, int]] = {}
        for row in self._rows.values():
            seq, digest, count = heads.get(row[STREAM], (0, b"", 0))
            if row[SEQ] > seq:
                seq, digest = row[SEQ], row[HASH]
            heads[row[STREAM]] = seq, digest, count + 1
        return [
            StreamExtent(ChainHead(stream, seq, digest), count)
            for stream, (seq, digest, count) in sorted(heads.items())
        ]

    def hashes_of(self, event_ids: Collection[str]) -> dict[str, bytes]:
        """Look up hashes of events."""
        self._check()
        return {name: self._rows[name][HASH] for name in event_ids if name in self._rows}

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        self._check()
        found = []
        for row in self._rows.values():
            record = record_of_row(row)
            matches = all(
                wanted is None or getattr(record, name) == wanted
                for name, wanted in (
                    ("user_id", query.user_id),
                    ("position_id", query.position_id),
                    ("trigger_id", query.trigger_id),
                    ("close_id", query.close_id),
                )
            )
            if (
                matches
                and (not query.event_types or record.event_type in query.event_types)
                and (query.since is None or record.occurred_at >= query.since)
                and (query.until is None or record.occurred_at < query.until)
            ):
                found.append(((record.occurred_at, row[STREAM], row[SEQ]), row))
        found.sort(key=lambda item: item[0], reverse=query.newest_first)
        return [row for _, row in found[: query.limit]]

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of streams by number."""
        self._check()
        wanted = frozenset(streams)
        return [
            self._rows[event_id]
            for (stream, seq), event_id in sorted(self._places.items())
            if stream in wanted and after < seq <= up_to
        ]

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read rows as they came."""
        self._check()
        chosen = [
            row
            for row in self._rows.values()
            if (streams is None or row[STREAM] in streams)
            and (recorded_since is None or row[_RECORDED_AT] >= recorded_since)
        ]
        for first in range(0, len(chosen), page):
            yield chosen[first : first + page]

    def checkpoint(self) -> None:
        """Make what was inserted safe."""
        self._check()
        self._safe = len(self._rows)

    def close(self) -> None:
        """Let go of it; a clean end makes everything safe."""
        if self._is_open and not self.is_away:
            self._safe = len(self._rows)
        self._is_open = False

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the simulated store is away: wait until it is back")
        if not self._is_open:
            raise StoreUnavailable("the simulated store is closed")


def _users_of(rows: Iterable[Row]) -> list[str]:
    return sorted({row[_USER_ID] for row in rows} - {""})
