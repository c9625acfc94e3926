"""Checks every chain of a store, record by record, and that each stream follows on its
predecessor.

What the chains prove by themselves: no record between two others was altered, removed or moved.
What they cannot prove: that nobody who may write the database made a whole chain anew, or cut off
its end. For that the hashes of known records must be kept elsewhere: in the digests
(:mod:`audit.digests`), and in the journal, whose last records are the *anchors* here.

Two columns are no part of what is hashed, because the journal and not the writer says them:
``recorded_at`` and ``late``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.bodies import is_intact
from audit.chain import ChainHead, ChainProblem, SealedRecord
from audit.digests import DigestDamage, Digests
from audit.rows import COLUMNS, EVENT_ID, HASH, SEQ, STREAM, Row
from audit.store import StreamExtent
from audit.stream_walk import Citation, StreamWalk, Witness, first_of, link_of_row
from audit.streams import SUPERVISOR, account_owner, parse_stream

_PREV_HASH = COLUMNS.index("prev_hash")
_LEAST = -(2**63)
"""What no row's number is below, in any database."""


class Verifiable(Protocol):
    """What can be verified: a store, or whatever else gives out its rows."""

    def extents(self) -> Iterable[StreamExtent]:
        """Say of every stream how far it goes."""
        ...

    def read_streams(self, streams: Sequence[str], after: int, up_to: int) -> list[Row]:
        """Read rows of these streams with ``after < seq <= up_to``, by stream and number."""
        ...

    def scan(
        self,
        *,
        streams: Collection[str] | None = None,
        recorded_since: int | None = None,
        page: int = 10_000,
    ) -> Iterator[list[Row]]:
        """Read rows as they lie; see :meth:`audit.store.AuditStore.scan`."""
        ...


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and the first record that does not fit."""

    records: int
    """How many were hashed anew."""
    streams: int
    problem: ChainProblem | None
    broken: int = 0
    """Streams in which something does not fit."""
    digests: int = 0
    """Lines of the digest file that were held against the records."""
    damage: DigestDamage | None = None
    """The first line of the digest file that does not fit."""
    assumed: int = 0
    """Records that were only counted: a digest vouches for them, as said at ``since``."""
    assumed_since: int | None = None
    """When that digest was written, µs UTC."""
    notes: tuple[str, ...] = ()
    """What a person should know besides."""
    is_known: bool = True
    """Whether there is anything of the account that was asked for."""

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return self.problem is None and self.damage is None

    @property
    def first_problem(self) -> str | None:
        """What does not fit, in words, the records' troubles before the digests'."""
        found = self.problem or self.damage
        return None if found is None else str(found)


def verify_store(
    store: Verifiable,
    *,
    anchors: Iterable[ChainHead] = (),
    newest: Callable[[], Iterable[ChainHead]] | None = None,
    apart: Iterable[SealedRecord] = (),
    digests: Digests | None = None,
    since: int | None = None,
    user_id: str | None = None,
    page: int = 10_000,
) -> VerifyReport:
    """Check all chains of a store; holds one page of rows, and a few numbers for each stream.

    Args:
        store: open.
        anchors: records that the journal knows, which must be there with just this hash.
        newest: asked when all was read: the last record of each stream there can be. A record
            behind it was put in by someone else.
        apart: records that were set aside; where one fills a gap in a chain, there is none.
        digests: read before the store. Every record that they name must be there.
        since: µs UTC. Records that a digest written before then vouches for are not hashed
            anew: what is assumed is that they are what they were when it was written, or at the
            last full verification after it. Still seen are records removed among them, for they
            are counted, and whatever does not follow on them. Without a digest that old,
            everything is hashed.
        user_id: check the streams of one account only, and the supervisor's: triggers and locks
            of all accounts stand there, and a record missing among them would not be seen
            otherwise.
        page: rows read at a time.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    chosen = _Choice(user_id)
    check = _Check(store, chosen, page)
    for head in anchors:
        check.expect(head, "the journal")
    for stream, named in (digests.named if digests else {}).items():
        for seq, one in named.items():
            check.expect(ChainHead(stream, seq, one.hash), f"line {one.line} of the digests")
    check.set_aside(apart)
    line = None if since is None or digests is None else digests.line_before(since)
    if digests is not None and line is not None:
        check.run_behind(digests.heads_at(line), digests.times[line])
    else:
        check.run()
    if newest is not None:
        check.limit(newest())
    problems = check.finish()
    return VerifyReport(
        records=check.records,
        streams=check.streams,
        problem=first_of(problems),
        broken=len({problem.stream for problem in problems}),
        digests=len(digests.times) if digests else 0,
        damage=digests.trouble if digests else None,
        assumed=check.assumed,
        assumed_since=None if digests is None or line is None else digests.times[line],
        notes=(*_notes(digests, since, line), *check.notes(user_id)),
        is_known=user_id is None or check.has(user_id),
    )


def _notes(digests: Digests | None, since: int | None, line: int | None) -> Iterator[str]:
    if digests is None or not (digests.times or digests.lacking):
        yield (
            "there are no digests: a chain that was made anew as a whole, or cut off at its end "
            "together with the journal, would not be seen"
        )
    if digests is not None and digests.torn:
        yield (
            f"the digests end in {digests.torn} bytes that are no whole line: it is being "
            "written, or was cut short by a crash"
        )
    if since is not None and line is None:
        yield "no digest is that old: every record was hashed"


class _Choice:
    """Which streams are looked at."""

    def __init__(self, user_id: str | None) -> None:
        """Choose those of one account and the supervisor, or all."""
        self.is_all = user_id is None
        self._owners = set() if user_id is None else {account_owner(user_id), SUPERVISOR}

    def __contains__(self, stream: str) -> bool:
        if self.is_all:
            return True
        try:
            return parse_stream(stream)[0] in self._owners
        except ValueError:
            return False


class _Check:
    """Walks along all streams at a time."""

    def __init__(self, store: Verifiable, chosen: _Choice, page: int) -> None:
        """Begin before the first record."""
        self._store = store
        self._chosen = chosen
        self._page = page
        self._walks: dict[str, StreamWalk] = {}
        self._met: set[str] = set()
        self._expected: dict[str, list[tuple[int, Witness]]] = {}
        self._confirmed: set[tuple[str, int]] = set()
        self._apart: dict[str, dict[int, SealedRecord]] = {}
        self._put_in: list[ChainProblem] = []
        self.records = 0
        self.assumed = 0

    @property
    def streams(self) -> int:
        """How many streams the store holds, of those that are looked at."""
        return len(self._met)

    def notes(self, user_id: str | None) -> Iterator[str]:
        """Say what was not there to be looked at."""
        if user_id is not None and not self.has(user_id):
            yield f"there is no stream of account {user_id!r}"

    def has(self, user_id: str) -> bool:
        """Whether any stream of an account was met."""
        owner = account_owner(user_id)
        return any(parse_stream(stream)[0] == owner for stream in self._walks)

    def expect(self, head: ChainHead, name: str) -> None:
        """Note that a record is named outside of the store."""
        if head.stream in self._chosen:
            witness = Witness(head.hash, name)
            self._expected.setdefault(head.stream, []).append((head.seq, witness))
            self._confirmed.add((head.stream, head.seq))

    def set_aside(self, apart: Iterable[SealedRecord]) -> None:
        """Note which records were set aside."""
        for record in apart:
            self._apart.setdefault(record.stream, {})[record.seq] = record

    def run(self) -> None:
        """Check everything."""
        self._scan(None if self._chosen.is_all else list(self._extents()), None)
        for walk in list(self._walks.values()):
            self._seek(walk, 0)

    def run_behind(self, heads: Mapping[str, ChainHead], moment: int) -> None:
        """Check what lies behind these records, and count what lies before."""
        extents = self._extents()
        # Rows that no writer numbered so would make up for others in a count.
        self._take(self._store.read_streams(list(extents), _LEAST, 0))
        for stream, extent in extents.items():
            head = heads.get(stream)
            # Else the stream is walked from its beginning, to name the record.
            if stream in self._walks or head is None:
                continue
            if self._may_be_assumed(extent, head):
                self._met.add(stream)
                self._begin(stream, head)
                self.assumed += head.seq
        self._scan(None if self._chosen.is_all else list(extents), moment)
        for stream, extent in extents.items():
            self._seek(self._walk(stream), extent.head.seq)

    def limit(self, newest: Iterable[ChainHead]) -> None:
        """Find records behind the last ones that there can be."""
        lasts = {head.stream: head.seq for head in newest}
        for stream in self._met:
            last = lasts.get(stream, 0)
            if self._walks[stream].seq > last:
                event_id = self._event_at(stream, last + 1)
                reason = f"was put in: the journal's last record of this stream is number {last}"
                self._put_in.append(ChainProblem(stream, last + 1, event_id, reason))

    def finish(self) -> list[ChainProblem]:
        """Find what is missing, and what does not follow on the stream before."""
        citations = []
        left = sorted({*self._walks, *self._expected})
        while left:
            walk = self._walk(left.pop())
            walk.fill(self._apart.get(walk.stream, {}))
            if walk.citation is not None:
                citations.append(walk.citation)
                cited = walk.citation.cited.stream
                if cited not in self._walks and cited not in left:
                    left.append(cited)
        for walk in self._walks.values():
            walk.end()
        false = list(self._false(citations))
        problems = [walk.problem for walk in self._walks.values() if walk.problem is not None]
        return [*problems, *self._put_in, *false]

    def _extents(self) -> dict[str, StreamExtent]:
        found = {extent.head.stream: extent for extent in self._store.extents()}
        return {stream: one for stream, one in found.items() if stream in self._chosen}

    def _walk(self, stream: str) -> StreamWalk:
        return self._walks.get(stream) or self._begin(stream, ChainHead(stream, 0, b""))

    def _begin(self, stream: str, start: ChainHead) -> StreamWalk:
        walk = self._walks[stream] = StreamWalk(stream, start)
        for seq, witness in self._expected.get(stream, ()):
            if seq > start.seq:
                walk.expect(seq, witness)
        return walk

    def _may_be_assumed(self, extent: StreamExtent, head: ChainHead) -> bool:
        """Whether a stream has as many records as its last one's number says, up to a record."""
        stream, last, digest = extent.head
        if self._apart.get(stream):
            return False  # the store may hold what was set aside as well: their number says little
        return extent.count == last >= head.seq and (last > head.seq or digest == head.hash)

    def _scan(self, streams: list[str] | None, recorded_since: int | None) -> None:
        if streams is None or streams:
            for rows in self._store.scan(
                streams=streams, recorded_since=recorded_since, page=self._page
            ):
                self._take(rows)

    def _seek(self, walk: StreamWalk, last: int) -> None:
        """Look by its place for what the scan did not bring, before it is said to be missing.

        A scan may choose by the time of recording, which is hashed nowhere; and rows that are
        inserted meanwhile may lie where it has been.
        """
        while walk.problem is None and (gap := walk.gap(last)) is not None:
            after, up_to = gap[0], min(gap[1], gap[0] + self._page)
            rows = self._store.read_streams([walk.stream], after, up_to)
            if not rows:
                return
            self._take(rows)

    def _take(self, rows: Iterable[Row]) -> None:
        """Check rows; this loop is where verifying spends its time."""
        walks = self._walks
        count = 0
        for row in rows:
            stream, seq = row[STREAM], row[SEQ]
            walk = walks.get(stream)
            if walk is None or stream not in self._met:
                self._met.add(stream)
                walk = self._walk(stream)
            if 0 < seq <= walk.start.seq:
                continue
            count += 1
            if walk.is_next(seq, row[_PREV_HASH]) and is_intact(row):
                walk.seq, walk.hash = seq, row[HASH]
            else:
                walk.take(link_of_row(row))
        self.records += count

    def _false(self, citations: Iterable[Citation]) -> Iterator[ChainProblem]:
        """Find the streams that do not follow on the record that they cite."""
        doubtful: dict[tuple[str, int], Citation] = {}
        for citation in citations:
            stream, seq, digest = citation.cited
            walk = self._walk(stream)
            if walk.problem is not None and walk.problem.seq <= seq:
                continue
            known = self._hash_at(walk, seq)
            if known == digest:
                self._confirmed.add((stream, seq))
            elif known is None:
                walk.lack(seq, f"{citation.stream}@1")
            elif (stream, seq) in self._confirmed or (stream, seq) in doubtful:
                yield _false_citation(citation)
            else:
                doubtful[stream, seq] = citation
        for (stream, seq), citation in doubtful.items():
            if (stream, seq) in self._confirmed:
                yield _false_citation(citation)
            else:
                reason = f"does not have the hash that {citation.stream}@1 names"
                yield ChainProblem(stream, seq, self._event_at(stream, seq), reason)

    def _hash_at(self, walk: StreamWalk, seq: int) -> bytes | None:
        """Find a record's hash; ``None`` if there is no such record."""
        if seq >= walk.seq:
            return walk.hash if seq == walk.seq else None
        rows = self._store.read_streams([walk.stream], seq - 1, seq)
        if rows:
            digest: bytes = rows[0][HASH]
            return digest
        record = self._apart.get(walk.stream, {}).get(seq)
        return None if record is None else record.hash

    def _event_at(self, stream: str, seq: int) -> str:
        rows = self._store.read_streams([stream], seq - 1, seq)
        return str(rows[0][EVENT_ID]) if rows else ""


def _false_citation(citation: Citation) -> ChainProblem:
    reason = f"cites another hash than {citation.cited.citation} has"
    return ChainProblem(citation.stream, 1, citation.event_id, reason)
