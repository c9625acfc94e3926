"""Walking along one stream's chain while its records come in nearly any order.

A database gives its rows out fastest as they lie, which is nearly the order in which they were
written, with the streams mixed. A record that comes before its predecessor is kept as a few
numbers until that one has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from audit.bodies import is_intact
from audit.chain import NO_HASH, ChainHead, ChainProblem, SealedRecord, chain_hash
from audit.records import parts_of_body
from audit.rows import COLUMNS, EVENT_ID, HASH, PREDECESSOR, SEQ, Row
from audit.streams import parse_stream

_PREV_HASH = COLUMNS.index("prev_hash")


class Link(NamedTuple):
    """What the walk needs of a record."""

    seq: int
    event_id: str
    prev_hash: bytes
    hash: bytes
    is_intact: bool
    """Whether its content has its hash."""
    predecessor: str | None


class Citation(NamedTuple):
    """What a stream's first record says of the owner's stream before."""

    stream: str
    event_id: str
    cited: ChainHead


class Witness(NamedTuple):
    """Who outside of the stream names one of its records, and with which hash."""

    hash: bytes
    name: str


def link_of_row(row: Row) -> Link:
    """Read what the walk needs from a row, and check its content."""
    return Link(
        row[SEQ], row[EVENT_ID], row[_PREV_HASH], row[HASH], is_intact(row), row[PREDECESSOR]
    )


def link_of_record(record: SealedRecord) -> Link:
    """Read what the walk needs from a record that is not in the store, and check its content."""
    try:
        predecessor = parts_of_body(record.body)[2].get("predecessor")
    except ValueError:
        predecessor = None
    intact = chain_hash(record.prev_hash, record.body) == record.hash
    return Link(record.seq, record.event_id, record.prev_hash, record.hash, intact, predecessor)


class StreamWalk:
    """How far one stream's chain was found whole.

    Args:
        stream: the stream's name.
        start: the record to begin behind; number 0 is the beginning of the stream.
    """

    __slots__ = ("_ahead", "citation", "hash", "problem", "seq", "start", "stream", "witnesses")

    def __init__(self, stream: str, start: ChainHead) -> None:
        """Begin."""
        self.stream = stream
        self.start = start
        self.seq = start.seq
        """Number of the last record that fits; moved on by who asked :meth:`is_next`."""
        self.hash: bytes | None = start.hash if start.seq else None
        """Its hash."""
        self.problem: ChainProblem | None = None
        """The first record that does not fit."""
        self.citation: Citation | None = None
        self.witnesses: dict[int, list[Witness]] = {}
        """Records that were named elsewhere and have not come yet, by number."""
        self._ahead: dict[int, Link] = {}

    def gap(self, last: int) -> tuple[int, int] | None:
        """Say which records have not come though later ones have, or though the last is known.

        Args:
            last: number of the last record there is; 0 if that is not known.

        Returns:
            The number before the first, and the number of the last of them; ``None`` if there
            are none.
        """
        if self._ahead:
            return self.seq, min(self._ahead) - 1
        return (self.seq, last) if self.seq < last else None

    def is_next(self, seq: int, prev_hash: bytes) -> bool:
        """Whether a record fits if only it is intact, so that the walk need not be told more."""
        return (
            seq == self.seq + 1
            and prev_hash == self.hash
            and seq not in self.witnesses
            and not self._ahead
            and self.problem is None
        )

    def expect(self, seq: int, witness: Witness) -> None:
        """Note that a record was named elsewhere, before it comes."""
        self.witnesses.setdefault(seq, []).append(witness)

    def take(self, link: Link) -> None:
        """Take the next record that came, whichever it is; after a problem none matters."""
        if self.problem is None and link.seq < 1:
            self._refuse(link, "was put in: numbers begin at 1")
        if self.problem is not None or link.seq <= self.start.seq:
            return
        if link.seq <= self.seq or link.seq in self._ahead:
            self._refuse(link, "another record has the same place")
            return
        self._ahead[link.seq] = link
        self._go_on()

    def fill(self, apart: Mapping[int, SealedRecord]) -> None:
        """Fill gaps with records that were set aside, when all others have come."""
        while self.problem is None and (record := apart.get(self.seq + 1)) is not None:
            self._ahead[record.seq] = link_of_record(record)
            self._go_on()

    def end(self) -> None:
        """Find what is missing, when all records have come."""
        if self.problem is not None:
            return
        if self._ahead:
            link = self._ahead[min(self._ahead)]
            self._refuse(link, f"follows number {self.seq}: a record is missing")
        elif self.witnesses:
            seq = min(self.witnesses)
            self.lack(seq, self.witnesses[seq][0].name)

    def lack(self, seq: int, witness: str) -> None:
        """Note that the records up to one that a witness names are not there."""
        first = self.seq + 1
        what = "is missing" if seq == first else f"is missing, and all up to number {seq}"
        reason = f"{what}: {witness} names {'it' if seq == first else 'that one'}"
        self.problem = ChainProblem(self.stream, first, "", reason)

    def _go_on(self) -> None:
        while self.problem is None and (link := self._ahead.pop(self.seq + 1, None)) is not None:
            reason = self._reason(link)
            if reason is not None:
                self._refuse(link, reason)
                return
            self.seq, self.hash = link.seq, link.hash

    def _reason(self, link: Link) -> str | None:
        """Say why a record does not fit behind the one before it, if it does not."""
        if self.hash is not None and link.prev_hash != self.hash:
            return "does not cite the hash of the record before it"
        if not link.is_intact:
            return "its content does not have the hash that was recorded: it was altered"
        for witness in self.witnesses.pop(link.seq, ()):
            if witness.hash != link.hash:
                return f"does not have the hash that {witness.name} names"
        return self._cite(link) if link.seq == 1 else None

    def _cite(self, link: Link) -> str | None:
        if link.predecessor is None:
            return None if link.prev_hash == NO_HASH else "cites a record without naming it"
        name, _, number = link.predecessor.rpartition("@")
        if not (number.isascii() and number.isdigit() and is_predecessor(name, self.stream)):
            return f"cites {link.predecessor!r}, which is no record of the same owner before it"
        cited = ChainHead(name, int(number), link.prev_hash)
        self.citation = Citation(self.stream, link.event_id, cited)
        return None

    def _refuse(self, link: Link, reason: str) -> None:
        self.problem = ChainProblem(self.stream, link.seq, link.event_id, reason)
        self._ahead.clear()


def is_predecessor(name: str, stream: str) -> bool:
    """Whether a stream is of an earlier life of another stream's owner."""
    try:
        (owner, life), (other, later) = parse_stream(name), parse_stream(stream)
    except ValueError:
        return False
    return owner == other and life < later


def first_of(problems: Iterable[ChainProblem]) -> ChainProblem | None:
    """Choose the first problem: by owner, then by life and number, as they were written."""
    return min(problems, key=_place, default=None)


def _place(problem: ChainProblem) -> tuple[str, int, int]:
    try:
        owner, incarnation = parse_stream(problem.stream)
    except ValueError:  # no stream of ours: it was brought in by someone
        return problem.stream, 0, problem.seq
    return owner, incarnation, problem.seq
