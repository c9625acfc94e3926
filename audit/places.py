"""Where records stand in their chains, and whether those chains hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from audit.chain import NO_HASH, ChainHead, ChainProblem, ChainVerifier, SealedRecord
from audit.queries import RecordQuery
from audit.records import AuditRecord
from audit.rows import HASH, PREDECESSOR, Row, record_of_row, sealed_of
from audit.store import StreamExtent
from audit.streams import parse_stream

PAGE = 10_000
"""Rows read at a time."""


class RecordSource(Protocol):
    """What a certificate reads: an open store, or whatever answers like one."""

    def query(self, query: RecordQuery) -> list[Row]:
        """Read the rows that a query chooses, in its order."""
        ...

    def extents(self) -> Sequence[StreamExtent]:
        """Say of every stream how far it goes, ordered by name."""
        ...

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        ...


class Entry(NamedTuple):
    """A record, and the hash that it has in its chain."""

    record: AuditRecord
    hash: bytes

    @property
    def order(self) -> tuple[int, int]:
        """Its place among its owner's records: life, and number in that life's stream."""
        return self.record.incarnation, self.record.seq

    def data(self) -> dict[str, Any]:
        """Name the record's place as plain JSON values."""
        return {
            "event_id": self.record.event_id,
            "event_type": self.record.event_type.value,
            "stream": self.record.stream,
            "seq": self.record.seq,
            "hash": self.hash.hex(),
            "late": self.record.late,
        }


def entry_of(row: Row) -> Entry:
    """Read the record that a row holds, with its hash."""
    return Entry(record_of_row(row), row[HASH])


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What became of checking one stream from its first record to its last."""

    stream: str
    records: int
    problem: str | None = None

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"stream": self.stream, "records": self.records, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of checking the chains that a certificate rests on."""

    chains: tuple[ChainCheck, ...]
    notes: tuple[str, ...] = ()
    """What would not have been seen, as there was nothing to hold the records against."""

    @property
    def problem(self) -> str | None:
        """The first thing that does not fit, in words."""
        return next((chain.problem for chain in self.chains if chain.problem), None)

    @property
    def ok(self) -> bool:
        """Whether there was something to check, and everything fits."""
        return bool(self.chains) and self.problem is None

    def data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "ok": self.ok,
            "chains": [chain.data() for chain in self.chains],
            "notes": list(self.notes),
        }


def verify_streams(
    source: RecordSource,
    entries: Iterable[Entry],
    *,
    heads: Iterable[ChainHead] = (),
    apart: Iterable[SealedRecord] = (),
) -> Verification:
    """Check every stream that one of these records is in, whole; holds one page at a time.

    Args:
        source: where the records are.
        entries: records that must be met in their chains, with just these hashes.
        heads: the last record of each stream, as known from elsewhere: no earlier end will do.
        apart: records that were set aside; where one fills a gap in a chain, there is none.

    Raises:
        StoreUnavailable: the records cannot be read.
    """
    wanted: dict[str, dict[int, bytes]] = {}
    for entry in entries:
        wanted.setdefault(entry.record.stream, {})[entry.record.seq] = entry.hash
    for head in heads:
        if head.stream in wanted:
            wanted[head.stream][head.seq] = head.hash
    lengths = {extent.head.stream: extent.head.seq for extent in source.extents()}
    filling = {(record.stream, record.seq): record for record in apart}
    return Verification(
        tuple(
            _check(source, stream, lengths.get(stream, 0), wanted[stream], filling)
            for stream in sorted(wanted, key=lambda name: (parse_stream(name)[0], name))
        )
    )


def _check(
    source: RecordSource,
    stream: str,
    length: int,
    wanted: dict[int, bytes],
    apart: dict[tuple[str, int], SealedRecord],
) -> ChainCheck:
    verifier = ChainVerifier(stream)
    count = 0
    for record in _in_order(source, stream, max(length, *wanted), apart):
        problem = verifier.check(*record)
        if problem is None and wanted.pop(record.seq, record.hash) != record.hash:
            problem = ChainProblem(stream, record.seq, record.event_id, "has another hash")
        if problem is not None:
            return ChainCheck(stream, count, str(problem))
        count += 1
    if wanted:
        return ChainCheck(stream, count, f"{stream}@{min(wanted)} is missing")
    return ChainCheck(stream, count, _citation_problem(source, stream, apart))


def _citation_problem(
    source: RecordSource, stream: str, apart: dict[tuple[str, int], SealedRecord]
) -> str | None:
    """Check that a stream's first record follows on the record that it cites."""
    for row in source.read_streams([stream], 0, 1):
        first, citation = sealed_of(row), row[PREDECESSOR]
        if citation is None:
            fits = first.prev_hash == NO_HASH
            return None if fits else f"{stream}@1 cites a record without naming it"
        before, _, number = citation.rpartition("@")
        seq = int(number) if number.isdigit() else 0
        cited = {row[HASH] for row in source.read_streams([before], seq - 1, seq)}
        if (before, seq) in apart:
            cited.add(apart[before, seq].hash)
        if first.prev_hash not in cited:
            return f"{stream}@1 cites {citation}, which is missing or has another hash"
    return None


def _in_order(
    source: RecordSource,
    stream: str,
    length: int,
    apart: dict[tuple[str, int], SealedRecord],
) -> Iterator[SealedRecord]:
    """Read a stream's records, and those set aside where they fill a gap."""
    following = 1
    for after in range(0, length, PAGE):
        for row in source.read_streams([stream], after, min(after + PAGE, length)):
            record = sealed_of(row)
            while following < record.seq and (stream, following) in apart:
                yield apart[stream, following]
                following += 1
            yield record
            following = record.seq + 1
    while (stream, following) in apart and following <= length:
        yield apart[stream, following]
        following += 1
