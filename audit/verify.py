"""Checks every chain of a store, record by record, and that each stream follows on its
predecessor.

What this proves: no record between two others was altered, removed or moved. What it cannot prove
alone: that nobody who may write the database made the whole chain anew. For that the hashes of
known records must be kept elsewhere and be given as *anchors*; the journal's heads are such.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from audit.chain import NO_HASH, ChainHead, ChainProblem, ChainVerifier, SealedRecord
from audit.rows import PREDECESSOR, sealed_of
from audit.store import AuditStore, StreamExtent


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and the first record that does not fit."""

    records: int
    streams: int
    problem: ChainProblem | None

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return self.problem is None


def verify_store(
    store: AuditStore,
    *,
    anchors: Iterable[ChainHead] = (),
    apart: Iterable[SealedRecord] = (),
    page: int = 10_000,
) -> VerifyReport:
    """Check all chains of a store; holds one page of rows at a time.

    Args:
        store: open.
        anchors: records known from elsewhere, which must be there with just this hash.
        apart: records that were set aside; where one fills a gap in a chain, there is none.
        page: rows read at a time.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    extents = store.extents()
    expected = {(head.stream, head.seq): (head.hash, "the journal") for head in anchors}
    check = _Check(expected, {(record.stream, record.seq): record for record in apart})
    count = 0
    problem = None
    for streams, after, _ in _pages(extents, page):
        problem = check.first_records(store, streams) if after == 0 else None
        if problem is not None:
            return VerifyReport(count, len(extents), problem)
    for streams, after, up_to in _pages(extents, page):
        rows = store.read_streams(streams, after, up_to)
        for row in rows:
            count += 1
            problem = check.next(sealed_of(row))
            if problem is not None:
                return VerifyReport(count, len(extents), problem)
    return VerifyReport(count, len(extents), check.finish())


def _pages(extents: Sequence[StreamExtent], page: int) -> Iterator[tuple[Sequence[str], int, int]]:
    """Part the streams: many small ones to a page, or a large one over several pages."""
    small: list[str] = []
    rows = longest = 0
    for extent in extents:
        stream, last = extent.head.stream, extent.head.seq
        if small and (rows + extent.count > page or extent.count > page):
            yield small, 0, longest
            small, rows, longest = [], 0, 0
        if extent.count > page:
            for after in range(0, last, page):
                yield [stream], after, min(after + page, last)
            continue
        small.append(stream)
        rows += extent.count
        longest = max(longest, last)
    if small:
        yield small, 0, longest


class _Check:
    """Walks through the records of all streams, stream by stream."""

    def __init__(
        self,
        expected: dict[tuple[str, int], tuple[bytes, str]],
        apart: dict[tuple[str, int], SealedRecord],
    ) -> None:
        """Begin before the first stream."""
        self._expected = expected
        self._apart = apart
        self._verifier: ChainVerifier | None = None
        self._stream = ""

    def first_records(self, store: AuditStore, streams: Sequence[str]) -> ChainProblem | None:
        """Note which records the first ones of these streams cite, to be met later."""
        for row in store.read_streams(streams, 0, 1):
            first = sealed_of(row)
            cited = first.prev_hash, f"{first.stream}@1"
            if row[PREDECESSOR] is None:
                reason = "" if first.prev_hash == NO_HASH else "cites a record without naming it"
            else:
                stream, _, seq = row[PREDECESSOR].rpartition("@")
                place = stream, int(seq) if seq.isdigit() else 0
                other = self._expected.setdefault(place, cited)
                reason = "" if other[0] == cited[0] else f"cites another hash than {other[1]}"
            if reason:
                return ChainProblem(first.stream, first.seq, first.event_id, reason)
        return None

    def next(self, record: SealedRecord) -> ChainProblem | None:
        """Check one record."""
        if self._verifier is None or record.stream != self._stream:
            problem = self._end_stream()
            if problem is not None:
                return problem
            self._stream, self._verifier = record.stream, ChainVerifier(record.stream)
        return self._fill_gap(record.seq) or self._check(record)

    def finish(self) -> ChainProblem | None:
        """Check that everything expected was there."""
        problem = self._end_stream()
        if problem is not None:
            return problem
        for (stream, seq), (digest, witness) in self._expected.items():
            # A stream all of whose records were set aside is nowhere in the store.
            apart = self._apart.get((stream, seq))
            if apart is None or apart.hash != digest:
                return ChainProblem(stream, seq, "", f"is missing: {witness} names it")
        return None

    def _end_stream(self) -> ChainProblem | None:
        return None if self._verifier is None else self._fill_gap(None)

    def _fill_gap(self, up_to: int | None) -> ChainProblem | None:
        assert self._verifier is not None
        while up_to is None or self._verifier.head.seq + 1 < up_to:
            record = self._apart.get((self._stream, self._verifier.head.seq + 1))
            if record is None:
                return None
            problem = self._check(record)
            if problem is not None:
                return problem
        return None

    def _check(self, record: SealedRecord) -> ChainProblem | None:
        assert self._verifier is not None
        problem = self._verifier.check(*record)
        if problem is not None:
            return problem
        expected = self._expected.pop((record.stream, record.seq), None)
        if expected is not None and expected[0] != record.hash:
            reason = f"does not have the hash that {expected[1]} names"
            return ChainProblem(record.stream, record.seq, record.event_id, reason)
        return None
