"""Reading a trail that no engine has open, as it lies there: nothing is changed.

An engine that died may have left records in the journal that its store does not hold yet. They
are read from there and laid over the store, in memory. Whatever an engine would mend when it
starts (it fills the store, brings the schema up to date, moves a file away that it cannot read)
is left for it to mend: a reader says what is wrong.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from audit.backlog import Waiting
from audit.duckdb_store import DuckDBStore
from audit.errors import AuditError, StoreUnavailable
from audit.journal_reading import JournalReading
from audit.opening import make_store
from audit.receipts import SetAside
from audit.records import is_event_id
from audit.rows import EVENT_ID, HASH, Row, row_of, sealed_of
from audit.store import AuditStore, RowsRefused
from audit.trail import StoreTrail

logger = logging.getLogger(__name__)

_BATCH = 10_000


class NothingToRead(AuditError):
    """There is neither a journal nor a store where they were looked for."""


def open_trail(store_url: str, journal: Path | None) -> StoreTrail:
    """Open store and journal for reading.

    Args:
        store_url: see :func:`audit.opening.open_store`.
        journal: the journal's file, which need not exist; ``None`` reads the store alone.

    Raises:
        NothingToRead: neither is there.
        StoreInUse: another process has the store open.
        StoreUnavailable: the store cannot be read; the message says why and what to do.
        NewerSchema: a newer version of this software made it.
        JournalUnavailable: the journal cannot be read.
        ValueError: the URL names no store.
    """
    store = make_store(store_url, reads_only=True)
    shown = re.sub(r"//[^/@]*@", "//...@", store_url)  # a URL may hold a password
    reading = JournalReading(journal) if journal is not None and journal.exists() else None
    try:
        opened: list[AuditStore] = []
        try:
            if _exists(store):
                opened.append(store)
                store.open()
            elif reading is None:
                raise NothingToRead(
                    f"store={shown!r}: there is no such file"
                    + (f", and no journal={str(journal)!r}" if journal is not None else "")
                    + ": name the folder of an engine that has run, or its store"
                )
            elif reading.stored:
                raise StoreUnavailable(
                    f"store={shown!r} is missing, and the journal says that it was given the "
                    f"first {reading.stored:,} records: put the file back, or name where it is"
                )
            if reading is None:
                return StoreTrail(shown, *opened)
            more = _Overlay()
            opened.append(more.store)
            more.lay(reading, store if _exists(store) else None)
            source = shown if _exists(store) else str(journal)
            if more.count:
                source += f" and {more.count:,} records that only the journal has"
            stores = [one for one in opened if one is not more.store or more.count]
            return StoreTrail(
                source,
                *(stores or opened),
                heads=reading.heads(),
                set_aside=(*reading.set_aside(), *more.unreadable),
            )
        except BaseException:
            for one in opened:
                one.close()
            raise
    finally:
        if reading is not None:
            reading.close()


def _exists(store: AuditStore) -> bool:
    return not isinstance(store, DuckDBStore) or store.path.exists()


def _hashes_in(store: AuditStore, batch: Sequence[Waiting]) -> dict[str, bytes]:
    """Look up what a store holds of a batch; no record has a name that is none."""
    return store.hashes_of([one.event_id for one in batch if is_event_id(one.event_id)])


class _Overlay:
    """What a journal has and a store lacks, in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.store = DuckDBStore(":memory:")
        self.store.open()
        self.count = 0
        self.unreadable: list[SetAside] = []

    def lay(self, reading: JournalReading, below: AuditStore | None) -> None:
        """Take what ``below`` does not hold."""
        for batch in reading.not_surely_stored(_BATCH):
            held = _hashes_in(below, batch) if below else {}
            rows: list[Row] = []
            for one in batch:
                try:
                    row = row_of(one.record, one.recorded_at, one.late == 1)
                except ValueError as error:
                    self._keep_apart(SetAside(one.record, str(error)))
                    continue
                known = held.get(row[EVENT_ID])
                if known is None:
                    rows.append(row)
                elif known != row[HASH]:
                    reason = "the store holds the same event with another hash"
                    self._keep_apart(SetAside(one.record, reason))
            self._insert(rows)

    def _insert(self, rows: Sequence[Row]) -> None:
        try:
            self.count += self.store.insert_batch(rows).inserted
        except RowsRefused as refusal:
            if len(rows) == 1:
                self._keep_apart(SetAside(sealed_of(rows[0]), str(refusal)))
                return
            half = len(rows) // 2
            self._insert(rows[:half])
            self._insert(rows[half:])

    def _keep_apart(self, apart: SetAside) -> None:
        self.unreadable.append(apart)
        logger.error(
            "audit: record %s@%d is passed over: %s",
            apart.record.stream,
            apart.record.seq,
            apart.reason,
        )
