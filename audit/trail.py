"""The trail as one reads it, wherever the records are.

While an engine runs on DuckDB they are behind its audit actor (:mod:`actors.engine_trail`);
otherwise in files that this process opens itself (:mod:`audit.offline`). A reader holds a
:class:`Trail` and need not know which. Its ``extents`` and ``read_streams`` are those of
:class:`audit.store.AuditStore`, so that what checks a store checks a trail.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Protocol

from audit.chain import ChainHead, SealedRecord
from audit.digests import Digests
from audit.queries import Place, RecordQuery
from audit.receipts import SetAside
from audit.records import AuditRecord
from audit.rows import COLUMNS, SEQ, STREAM, Row, record_of_row, sealed_of
from audit.store import AuditStore, StreamExtent
from audit.totals import Group, Selects, added_up, grouping, groups_in, groups_of
from audit.verify import VerifyReport, verify_store

PAGE = 10_000
"""Rows that are read at a time: some 20 MB."""

_OCCURRED_AT = COLUMNS.index("occurred_at")


NO_JOURNAL = (
    "there is no journal to hold the records against: what was put in behind the end of a stream, "
    "or cut off there since the last digest, would not be seen"
)


class Trail(Protocol):
    """All acknowledged records, for reading. Nothing that is done with it changes them.

    Every method but ``close`` raises :class:`audit.errors.AuditError`, or
    :class:`actors.links.ActorLost`, when the records cannot be read just now.
    """

    @property
    def source(self) -> str:
        """Where the records come from, in words."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether it shows what is recorded while it is held."""
        ...

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order; see also :func:`records`."""
        ...

    def groups(self, query: RecordQuery) -> list[Group]:
        """Add up the records that a query chooses, its limit apart."""
        ...

    def heads(self) -> Sequence[ChainHead]:
        """Last record of each stream that the journal knows; empty if there is no journal.

        Ask for them before the records that they are compared with.
        """
        ...

    def set_aside(self) -> Sequence[SetAside]:
        """Every record that was kept apart, with the reason."""
        ...

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        ...

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        ...

    def verification(
        self,
        *,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
    ) -> VerifyReport:
        """Check the chains; see :func:`audit.verify.verify_store`.

        Args:
            since: see there.
            user_id: see there.
            digests: what to hold the records against; the ledger's own digests, where one is
                open, if ``None``.
        """
        ...

    def close(self) -> None:
        """Let go of it; harmless when done twice."""
        ...


def records(
    trail: Trail, query: RecordQuery | None = None, *, most: int | None = None
) -> Iterator[AuditRecord]:
    """Read the records that a query chooses, in its order, a page at a time.

    Args:
        trail: what to read.
        query: which records; its ``limit`` is passed over. All records if ``None``.
        most: no more than this many; however many there are if ``None``.

    Raises:
        AuditError: the trail cannot be read.
    """
    for rows in pages(trail, query, most=most):
        yield from map(record_of_row, rows)


def sealed_records(
    trail: Trail, query: RecordQuery | None = None, *, most: int | None = None
) -> Iterator[SealedRecord]:
    """Read records with their places and hashes, as :func:`records` does."""
    for rows in pages(trail, query, most=most):
        yield from map(sealed_of, rows)


def pages(
    trail: Trail, query: RecordQuery | None = None, *, most: int | None = None, size: int = PAGE
) -> Iterator[list[Row]]:
    """Read rows a page at a time, so that memory is bounded; see :func:`records`."""
    left = math.inf if most is None else most
    asked = query or RecordQuery()
    while left > 0:
        limit = int(min(size, left))
        rows = trail.query(replace(asked, limit=limit))
        if rows:
            yield rows
        if len(rows) < limit:
            return
        left -= limit
        asked = replace(asked, after=place_of(rows[-1]))


def place_of(row: Row) -> Place:
    """Say where a row stands in the order of queries."""
    return row[_OCCURRED_AT], row[STREAM], row[SEQ]


class StoreTrail:
    """A :class:`Trail` over open stores that share no record.

    Args:
        source: where the records come from, in words.
        stores: the store, and perhaps one with what it lacks; they are closed with the trail.
        heads: last record of each stream that the journal knows.
        set_aside: what the journal has kept apart.
    """

    def __init__(
        self,
        source: str,
        *stores: AuditStore,
        heads: Sequence[ChainHead] = (),
        set_aside: Sequence[SetAside] = (),
    ) -> None:
        """Take the stores over."""
        self._source = source
        self._stores = stores
        self._heads = tuple(heads)
        self._set_aside = tuple(set_aside)

    @property
    def source(self) -> str:
        """Where the records come from, in words."""
        return self._source

    @property
    def is_live(self) -> bool:
        """Nobody writes to it."""
        return False

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        found = [store.query(query) for store in self._stores]
        if len(found) == 1:
            return found[0]
        return list(islice(merge(*found, key=place_of, reverse=query.newest_first), query.limit))

    def groups(self, query: RecordQuery) -> list[Group]:
        """Add up the records that a query chooses, its limit apart."""
        found: list[Group] = []
        for store in self._stores:
            if isinstance(store, Selects):
                found += groups_of(store.select(grouping(query)))
            else:
                read = pages(StoreTrail("", store), replace(query, after=None))
                found += groups_in(row for page in read for row in page)
        return added_up(found)

    def heads(self) -> Sequence[ChainHead]:
        """Last record of each stream that the journal knows."""
        return self._heads

    def set_aside(self) -> Sequence[SetAside]:
        """Every record that was kept apart."""
        return self._set_aside

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        found: dict[str, StreamExtent] = {}
        for store in self._stores:
            for extent in store.extents():
                name = extent.head.stream
                other = found.get(name)
                if other is not None:
                    head = max(extent.head, other.head, key=lambda head: head.seq)
                    extent = StreamExtent(head, extent.count + other.count)
                found[name] = extent
        return [found[name] for name in sorted(found)]

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        found = [store.read_streams(streams, after, up_to) for store in self._stores]
        if len(found) == 1:
            return found[0]
        return sorted(
            (row for rows in found for row in rows), key=lambda row: (row[STREAM], row[SEQ])
        )

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = PAGE,
    ) -> Iterator[list[Row]]:
        """Read rows as they lie; see :meth:`audit.store.AuditStore.scan`."""
        for store in self._stores:
            yield from store.scan(streams=streams, recorded_since=recorded_since, page=page)

    def verification(
        self,
        *,
        since: int | None = None,
        user_id: str | None = None,
        digests: Digests | None = None,
    ) -> VerifyReport:
        """Check the chains, up to the last records that the journal knows."""
        report = verify_store(
            self,
            anchors=self._heads,
            newest=self.heads if self._heads else None,
            apart=[item.record for item in self._set_aside],
            digests=digests,
            since=since,
            user_id=user_id,
        )
        return report if self._heads else replace(report, notes=(NO_JOURNAL, *report.notes))

    def close(self) -> None:
        """Close the stores."""
        for store in self._stores:
            store.close()
