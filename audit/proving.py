"""What a store says of a stream, held against what the journal knows of it.

Whoever may write to the store could put an answer into it, or take one out. The journal remembers
for ever which record each stream ends with, and of the last hundred thousand records the hashes.
From there the chain leads back: a record is *proven* if its content has the hash that the journal
knows, or that the proven record behind it names as the one before. What is not proven is not
handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audit.chain import ChainHead, ChainProblem, SealedRecord, chain_hash
from audit.rows import SEQ, STREAM, Row, sealed_of

_PAGE = 10_000
"""Rows read at a time, at most, unless one stream alone has more."""
_MOST_STREAMS = 1_000
"""Streams asked for in one statement, at most."""


@dataclass(frozen=True, slots=True)
class KnownStream:
    """What the journal knows of one stream."""

    head: ChainHead
    hashes: Mapping[int, bytes]
    """Hashes of records by number, as far as remembered: nearly always the last one's, too."""
    links: Mapping[int, bytes]
    """For records that need not be read (the journal holds them whole, or apart), by number: the
    hash of the record before."""

    @property
    def unheld(self) -> int:
        """Number of the last record that must be read; 0 if the journal holds all."""
        return next((n for n in range(self.head.seq, 0, -1) if n not in self.links), 0)


@dataclass(slots=True)
class Walk:
    """Leads along one stream from its end to its beginning."""

    known: KnownStream
    seq: int
    """Number of the record that is due."""
    link: bytes | None = None
    """The hash that the record due must have, if the one behind it is proven."""
    problem: ChainProblem | None = None
    """The last record of the stream that does not fit, or is missing."""
    unproven: int = 0
    """How many records are missing, or could not be proven."""

    def take(self, rows: Iterable[Row], down_to: int) -> Iterator[SealedRecord]:
        """Walk down to a number, and hand out what is proven.

        Args:
            rows: this stream's, in the order of their numbers.
            down_to: the number before the first record that was read.
        """
        found = {row[SEQ]: row for row in rows}
        while self.seq > down_to:
            expected = self.known.hashes.get(self.seq, self.link)
            self.link = self.known.links.get(self.seq)
            if self.link is None:
                record = self._proven(found.get(self.seq), expected)
                if record is not None:
                    self.link = record.prev_hash
                    yield record
            self.seq -= 1

    def _proven(self, row: Row | None, expected: bytes | None) -> SealedRecord | None:
        record = None if row is None else sealed_of(row)
        if record is None:
            reason = "is missing from the store"
        elif expected is None:
            reason = "cannot be proven, for the record behind it is not"
        elif record.hash != expected:
            reason = "has another hash than its chain up to the journal's last record demands"
        elif chain_hash(record.prev_hash, record.body) != expected:
            reason = "its content does not have its hash: it was altered in the store"
        else:
            return record
        self.unproven += 1
        if self.problem is None:
            event_id = "unknown" if record is None else record.event_id
            self.problem = ChainProblem(self.known.head.stream, self.seq, event_id, reason)
        return None


ReadStreams = Callable[[Sequence[str], int, int], list[Row] | None]
"""Reads rows of streams behind one number up to another; ``None`` if the store is away."""


def walked(
    streams: Iterable[KnownStream], read: ReadStreams
) -> Iterator[tuple[Walk, list[SealedRecord] | None]]:
    """Read what the journal does not hold of these streams, and prove it.

    Small streams are read together, large ones page by page from their ends.

    Yields:
        A stream's walk, and proven records of it, at each step; ``None`` instead if the store
        could not be asked.
    """
    together: list[Walk] = []
    size = 0
    for known in streams:
        walk = Walk(known, known.unheld)
        if walk.seq == 0:
            continue
        walk.link = known.links.get(walk.seq + 1)
        if together and (size + walk.seq > _PAGE or len(together) == _MOST_STREAMS):
            yield from _small(together, read)
            together, size = [], 0
        if walk.seq > _PAGE:
            yield from _large(walk, read)
        else:
            together.append(walk)
            size += walk.seq
    if together:
        yield from _small(together, read)


def _small(
    walks: Sequence[Walk], read: ReadStreams
) -> Iterator[tuple[Walk, list[SealedRecord] | None]]:
    rows = read([walk.known.head.stream for walk in walks], 0, max(walk.seq for walk in walks))
    by_stream: dict[str, list[Row]] = {}
    for row in rows or ():
        by_stream.setdefault(row[STREAM], []).append(row)
    for walk in walks:
        if rows is None:
            yield walk, None
        else:
            yield walk, list(walk.take(by_stream.get(walk.known.head.stream, ()), 0))


def _large(walk: Walk, read: ReadStreams) -> Iterator[tuple[Walk, list[SealedRecord] | None]]:
    while walk.seq > 0:
        down_to = max(0, walk.seq - _PAGE)
        rows = read([walk.known.head.stream], down_to, walk.seq)
        if rows is None:
            yield walk, None
            return
        yield walk, list(walk.take(rows, down_to))
